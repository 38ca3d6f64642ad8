"""Show output in the user's pager, if it does not fit on the screen of a terminal."""

import os
import shlex
import signal
import subprocess
from collections.abc import Iterable

from rich.console import Console
from rich.pager import Pager

from autoresearch.report.blocks import Block
from autoresearch.terminal.console import print_blocks

LESS = {"LESS": "FRX", "LV": "-c"}  # colours are shown, and the text stays on the screen afterwards


def show(blocks: Iterable[Block]) -> None:
    """Print a page to stdout, through $PAGER (default: less) if it is longer than the screen."""
    console = Console()
    if not console.is_terminal or console.is_dumb_terminal:
        print_blocks(blocks, console)
        return
    with console.pager(_UserPager(console), styles=True):
        print_blocks(blocks, console)


class _UserPager(Pager):
    """The program in $PAGER. rich's own pager prints nothing if that program does not exist."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def show(self, content: str) -> None:
        """Page a text, or write it to the terminal where it fits or the pager cannot be started."""
        if content.count("\n") < self.console.height or not _page(content):
            self.console.file.write(content)


def _page(text: str) -> bool:
    """Run the pager; return whether it could be started. Meanwhile Ctrl-C is for the pager."""
    try:
        command = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:  # a quote without its other half
        return False
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
