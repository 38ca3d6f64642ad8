"""The folders of `examples/`, each copied, committed and run as its README says, on prepared changes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.programs import call_main
from support.repositories import git

ROOT = Path(__file__).parents[2]
CHANGES = ROOT / "tests" / "examples"


class Example:
    """A copy of an example in a repository of its own."""

    def __init__(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self.root, self._monkeypatch = name, folder / name, monkeypatch
        shutil.copytree(ROOT / "examples" / name, self.root, ignore=shutil.ignore_patterns("runs", "__pycache__"))
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
            git(self.root, *command)
        monkeypatch.setenv("AUTORESEARCH_CACHE", str(folder / "cache"))
        monkeypatch.chdir(self.root)

    def call(self, *arguments: str) -> int:
        """Call a command in the repository."""
        return call_main(self._monkeypatch, *arguments)

    def run(self, *only: str) -> int:
        """Run a session on the prepared changes; `only` names some of them."""
        folder = CHANGES / self.name
        if only:
            folder = self.root.parent / "changes"
            folder.mkdir()
            for name in only:
                shutil.copy(CHANGES / self.name / f"{name}.patch", folder)
        return self.call("run", "--agent", f"scripted:{folder}", "--device", "cpu", "--tag", "t")

    def rows(self, capfd: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
        """Return what `log` says of each change, by its name without the number; the base is `the-base`."""
        capfd.readouterr()
        assert self.call("log", "--all", "--json") == 0
        return {row["hypothesis"].replace(" ", "-"): row for row in json.loads(capfd.readouterr().out)}
