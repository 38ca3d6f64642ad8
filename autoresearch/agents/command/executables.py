"""Find the program that a command starts, and the files of that program, which its cell must be able to read."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from autoresearch.config import expand_user
from autoresearch.errors import UsageError
from autoresearch.source_tree import EditRules

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix/store")  # readable in every cell, with exceptions
WORK_FILES = ("train.py", "program.md")  # in the scratch folder, and perhaps in the current folder
MAX_SHEBANG_BYTES = 200
OPERATORS = set("();<>|&")
_SHEBANG = re.compile(rb"#!\s*(\S+)(?:\s+(?:-S\s+)?(\S+))?")
_ASSIGNMENT = re.compile(r"\w+=")
_HOME = re.compile(r"(?<![^\s=\"'])~(?=/)")


def expand_home(command: str) -> str:
    """Replace `~` by the user's home folder: in the cell it is another one. Raises UsageError."""
    return _HOME.sub(lambda _: str(expand_user("~")), command)


def split_words(command: str, edited: Sequence[str] = ()) -> list[str]:
    """Split a shell command into words, without operators and leading assignments. Raises UsageError.

    `edited` are patterns of files that the scratch folder holds too.
    """
    work_files = EditRules((*WORK_FILES, *edited))
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = [word for word in lexer if not set(word) <= OPERATORS]
    except ValueError as error:
        raise UsageError(f"the command `{command}` cannot be read: {str(error).lower()}") from None
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    if not words:
        raise UsageError("`command:` needs a tool (claude, codex, gemini) or a shell command")
    foreign = (word for word in words if _is_relative_file(word) and not work_files.matches(word))
    if relative := next(foreign, None):
        full = Path(relative).resolve()
        raise UsageError(f"the command runs in a scratch folder: write `{full}` instead of `{relative}`")
    return words


def locate(name: str) -> str | None:
    """Return the program's path, the name itself for a word of the shell (`cd`, `if`), or None."""
    if found := shutil.which(name):
        return found
    if "/" in name:
        return None
    shell = subprocess.run(["/bin/sh", "-c", 'command -v -- "$1"', "sh", name], capture_output=True, check=False)
    return name if shell.returncode == 0 else None


def program_files(program: Path) -> list[Path]:
    """Return a program, its package, its libraries, and its interpreter with the same."""
    real = program.resolve()
    packages = [folder for folder in real.parents if folder.name == "node_modules"][-1:]
    packages += [folder for folder in real.parents if (folder / "pyvenv.cfg").is_file()][:1]
    return [real, *packages, *_libraries(real), *_interpreter(real)]


def is_file(word: str) -> bool:
    """Return whether a word of a command is the path of a file; a whole prompt is not."""
    return os.path.isfile(word)  # noqa: PTH113  (Path.is_file raises for long names)


def _is_relative_file(word: str) -> bool:
    return not word.startswith(("/", "-")) and is_file(word)


def _libraries(real: Path) -> list[Path]:
    """Return the `lib` next to a program's `bin` if both belong to it; never one that holds Python's library."""
    lib = real.parent.parent / "lib"
    if real.parent.name != "bin" or str(real).startswith(SYSTEM) or not lib.is_dir() or any(lib.glob("python3*")):
        return []
    return [lib]


def _interpreter(real: Path) -> list[Path]:
    """Return the files of the interpreter in a script's first line: `#!/bin/sh`, `#!/usr/bin/env node`."""
    try:
        with open(real, "rb") as file:
            found = _SHEBANG.match(file.readline(MAX_SHEBANG_BYTES))
    except OSError:
        return []
    if found is None:
        return []
    name, argument = found[1].decode(errors="replace"), (found[2] or b"").decode(errors="replace")
    path = shutil.which(argument if Path(name).name == "env" else name)
    return program_files(Path(path)) if path and Path(path).resolve() != real else []
