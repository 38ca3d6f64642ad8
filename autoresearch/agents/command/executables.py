"""Which program a command starts, and which files that program is made of: what its cell must be able to read."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

from autoresearch.errors import UsageError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix/store")  # cells read these anyway, as far as they may
HERE = ("train.py", "program.md")  # in the scratch folder, and in the repository where we may stand
OPERATORS = set("();<>|&")
_SHEBANG = re.compile(rb"#!\s*(\S+)(?:\s+(?:-S\s+)?(\S+))?")
_ASSIGNMENT = re.compile(r"\w+=")
_HOME = re.compile(r"(?<![^\s=\"'])~(?=/)")


def with_home(command: str) -> str:
    """The command with the user's home folder written out: in the cell `~` is another one."""
    return _HOME.sub(lambda _: str(Path.home()), command)


def words(command: str) -> list[str]:
    """The words of a shell command, without operators and leading assignments. Raises UsageError."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        found = [word for word in lexer if not set(word) <= OPERATORS]
    except ValueError as error:
        raise UsageError(f"the command `{command}` cannot be read: {str(error).lower()}") from None
    while found and _ASSIGNMENT.match(found[0]):
        found.pop(0)
    if not found:
        raise UsageError("`command:` needs a tool (claude, codex, gemini) or a shell command")
    if relative := next((word for word in found if _is_relative_file(word)), None):
        full = Path(relative).resolve()
        raise UsageError(f"the command runs in a scratch folder: write `{full}` instead of `{relative}`")
    return found


def locate(name: str) -> str | None:
    """The program's path; the name itself if only the shell knows it (`cd`, `if`); None if nobody does."""
    if found := shutil.which(name):
        return found
    if "/" in name:
        return None
    asked = subprocess.run(["/bin/sh", "-c", 'command -v -- "$1"', "sh", name], capture_output=True, check=False)
    return name if asked.returncode == 0 else None


def parts(program: Path) -> list[Path]:
    """A program, the package that it belongs to, and its interpreter with its libraries."""
    real = program.resolve()
    packages = [folder for folder in real.parents if folder.name == "node_modules"][-1:]
    packages += [folder for folder in real.parents if (folder / "pyvenv.cfg").is_file()][:1]
    return [real, *packages, *_libraries(real), *_interpreter(real)]


def _is_relative_file(word: str) -> bool:
    return word not in HERE and not word.startswith(("/", "-")) and Path(word).is_file()


def _libraries(real: Path) -> list[Path]:
    """The `lib` beside a program's `bin`, where both came with it; never one with a Python's library in it."""
    lib = real.parent.parent / "lib"
    if real.parent.name != "bin" or str(real).startswith(SYSTEM) or not lib.is_dir() or any(lib.glob("python3*")):
        return []
    return [lib]


def _interpreter(real: Path) -> list[Path]:
    """What a script's first line asks for: `#!/bin/sh`, `#!/usr/bin/env node`."""
    try:
        with open(real, "rb") as file:
            found = _SHEBANG.match(file.readline(200))
    except OSError:
        return []
    if found is None:
        return []
    name, argument = found[1].decode(errors="replace"), (found[2] or b"").decode(errors="replace")
    path = shutil.which(argument if Path(name).name == "env" else name)
    return parts(Path(path)) if path and Path(path).resolve() != real else []
