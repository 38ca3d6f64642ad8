"""Long output in the user's pager, as git has it: only in a terminal, and only if it does not fit on the screen."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from io import StringIO

from rich.console import Console

LESS = {"LESS": "FRX", "LV": "-c"}  # colours are shown, and the text stays on the screen afterwards


def show(write: Callable[[Console], None]) -> None:
    """Let `write` print to stdout, by way of $PAGER (by default less) where that is needed."""
    console = Console()
    if not console.is_terminal or console.is_dumb_terminal:
        write(console)
        return
    text = _rendered(write, console)
    if text.count("\n") < console.height or not _paged(text):
        console.file.write(text)


def _rendered(write: Callable[[Console], None], console: Console) -> str:
    """What would be printed, with its colours."""
    buffer = StringIO()
    write(Console(file=buffer, force_terminal=True, width=console.width, height=console.height))
    return buffer.getvalue()


def _paged(text: str) -> bool:
    """Whether a pager took it. Ctrl-C is the pager's meanwhile."""
    command = shlex.split(os.environ.get("PAGER", "less"))
    if not command or command == ["cat"]:
        return False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        subprocess.run(command, input=text, text=True, errors="replace", env=LESS | os.environ, check=False)
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True
