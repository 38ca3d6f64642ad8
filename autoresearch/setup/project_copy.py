"""Installs of the project itself, which would hide the files of a version behind those of the base."""

import json
from pathlib import Path

from autoresearch.errors import UserError

PACKAGES = ".venv/lib/python*/site-packages"
FOLLOW = "import os, sys; sys.path.append(os.path.join(os.getcwd(), {below!r}))"  # a line of a .pth file


def follow_versions(tree: Path) -> None:
    """Make editable installs of a tree follow the folder in which a command runs. Raises UserError for others."""
    for packages in tree.glob(PACKAGES):
        for file in packages.glob("*.pth"):
            lines = file.read_text(errors="replace").splitlines()
            file.write_text("".join(f"{_follow(line, tree)}\n" for line in lines))
        if copies := [*filter(None, (_hidden_name(info, packages, tree) for info in packages.glob("*.dist-info")))]:
            words = f"`setup` installs the project itself ({copies[0]}), and trials would run the base's files"
            raise UserError(f"{words}: leave it out (uv: --no-install-project, poetry: --no-root)")


def _follow(line: str, tree: Path) -> str:
    path = Path(line.strip())
    if not path.is_absolute() or not path.is_relative_to(tree):
        return line
    return FOLLOW.format(below=str(path.relative_to(tree)))


def _hidden_name(info: Path, packages: Path, tree: Path) -> str | None:
    """Return the name of a package that was installed from the tree, other than by a path that follows versions."""
    try:
        told = json.loads((info / "direct_url.json").read_text())
    except (OSError, ValueError):
        return None
    name = info.name.partition("-")[0]
    if Path(str(told.get("url", "")).removeprefix("file://")) != tree:
        return None
    follows = told.get("dir_info", {}).get("editable") and not [*packages.glob(f"__editable__*{name}*finder.py")]
    return None if follows else name
