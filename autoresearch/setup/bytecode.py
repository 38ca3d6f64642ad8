"""Bytecode of the installed packages: pip writes it, uv does not.

A cell cannot write files. Without bytecode each of the three cells of a trial compiles torch anew, which takes 3 s.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

TIMEOUT_S = 300.0


def compile_packages(package: str, say: Callable[[str], None]) -> None:
    """Compile all packages in the folder that `package` is in, unless that one is compiled, missing or read-only."""
    folder = find_folder(package)
    if folder is None or has_bytecode(package) or not os.access(folder, os.W_OK):
        return
    say(f"compiling the Python files of {package} and its neighbours, once: up to half a minute")
    command = [sys.executable, "-I", "-m", "compileall", "-qq", "-j", "0", str(folder.parent)]
    try:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        say(f"not ready after {TIMEOUT_S:.0f} s: trials will begin a few seconds later")


def has_bytecode(package: str) -> bool:
    """Return whether an installed package is compiled for this Python, where cells look for that."""
    folder = find_folder(package)
    return folder is not None and (folder / "__pycache__" / f"__init__.{sys.implementation.cache_tag}.pyc").exists()


def find_folder(package: str) -> Path | None:
    """Return the folder of an installed package without importing it; None if there is none."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None
