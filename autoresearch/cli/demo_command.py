"""The command that demonstrates the loop: it lays down a small project and calls the commands of a night on it."""

import os
import shlex
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import RUN, SLOTS, WAIT, app, examples, open_ledger
from autoresearch.cli.slot import say_line
from autoresearch.errors import UserError

if TYPE_CHECKING:
    from autoresearch.ledger.session_status import SessionStatus

MINUTES = 3.6  # for everything, on two cores of which one is busy
TAIL_S = 35.0  # of them for the honest total and the report
MIN_SESSION_S = 15.0
SEARCH_S = 2  # for validation text in what a cell can read; `prepare` takes longer by default
PAIRS = 3  # of trials for the honest total, where there is time
TOTAL_FACTOR = 1.5  # duration of a trial of the total, which is scored on two splits, in those of the session
GRACE_S = 15.0  # that a third pair may take longer

INTRODUCTION = (
    "A demonstration on one CPU core. A researcher without a language model (`sweep`) changes a small neural network in"
    " numpy, which trains for one CPU-second. Each line that begins with $ is a command that you can type, too."
)
HONEST_WORDS = (
    "This shows the loop, not a good model. The network is tiny, and its constants are defaults of textbooks, which"
    " nobody tuned for one CPU-second: there was room, on purpose. No change was scripted: `sweep` chose each of them."
)
NO_KEEP = (
    "Nothing was kept: no change was confirmed on fresh seeds in this time. That happens; a second run tries again."
)
NEXT = """\
cd {folder}
{path}autoresearch log --all           # every experiment; `show N` for one of them
autoresearch demo .              # another session here
{init:33}# a project of your own: a GPT in PyTorch
autoresearch run --agent claude  # ideas, not only numbers
The last one needs a key in ANTHROPIC_API_KEY. With an NVIDIA card, a trial of
the GPT trains for five minutes, and `autoresearch run --hours 8` is a night.\
"""


@app.command(rich_help_panel=RUN, epilog=examples("autoresearch demo", "autoresearch demo my-demo --minutes 8"))
def demo(
    folder: Path = typer.Argument(Path("autoresearch-demo"), help="Folder to make, or one that a demo has made."),
    minutes: float = typer.Option(MINUTES, min=0.5, max=600.0, help="Minutes for all of it."),
    slots: str = SLOTS,
    wait: bool = WAIT,
) -> None:
    """Show the whole loop on a CPU in under four minutes, without a key or a card.

    Makes a folder with a small numpy train.py, runs a session in it, measures its honest total, and writes the report.
    In a folder that a demo has made it starts another session, or continues one that was interrupted.
    """
    from autoresearch.setup.demo_project import lay_down_demo

    end = time.monotonic() + 60 * minutes
    _forget_settings()
    where = [*(["--slots", slots] if slots else []), *(["--wait"] if wait else [])]
    _say(INTRODUCTION)
    if written := lay_down_demo(folder, say_line):
        _say(f"{folder} is a git repository now, with {', '.join(written)}")
    os.chdir(folder)
    try:
        _call("prepare", "--search", str(SEARCH_S))
        seconds = max(MIN_SESSION_S, end - TAIL_S - time.monotonic())
        _call("run", "--agent", "sweep", "--minutes", f"{seconds / 60:.2f}", *where)
        status = _read_status()
        if status.best and status.total is None:
            _call("total", "--pairs", str(_count_pairs(end - time.monotonic())), *where)
    except typer.Exit:
        _say(f"`autoresearch demo {folder}` goes on")
        raise
    _call("report")
    _conclude(folder)


def _forget_settings() -> None:
    """Remove the settings of the environment, which would override those of the demonstration, and say which."""
    from autoresearch.config import PREFIX, Config

    found = [name for name in (PREFIX + field.upper() for field in Config.model_fields) if os.environ.pop(name, None)]
    if found:
        say_line(f"without {', '.join(found)}: a demonstration has settings of its own")


def _call(*arguments: str) -> None:
    """Call a command of this program as if it had been typed. Raises typer.Exit if it fails or is interrupted."""
    _say(f"$ autoresearch {shlex.join(arguments)}", "bold")
    if code := app(list(arguments), standalone_mode=False):
        raise typer.Exit(code)


def _count_pairs(left_s: float) -> int:
    """Return the number of pairs for the honest total in the seconds that are left."""
    from autoresearch.analysis.total import FEWEST_PAIRS
    from autoresearch.ledger import trial_seconds

    with open_ledger(None) as (store, session):
        durations = trial_seconds(store, session)
    return PAIRS if 2 * PAIRS * TOTAL_FACTOR * sum(durations) / len(durations) < left_s + GRACE_S else FEWEST_PAIRS


def _conclude(folder: Path) -> None:
    """Print the honest total once more, what it means, and what to do next."""
    from autoresearch.report.format import between

    status = _read_status()
    if (total := status.total) is not None:
        gain = f"On fresh seeds, val_bpb of the final version is {total.mean:+.4f} against the base"
        _say(f"{gain}, {between(total, status.metric.change)}.", "bold")
    _say(HONEST_WORDS if status.best else NO_KEEP)
    _say("Next:", "bold")
    Console(stderr=True, highlight=False).print(describe_next(folder, Path.cwd()), markup=False, soft_wrap=True)


def describe_next(folder: Path, demo: Path) -> str:
    """Return commands that work where `demo FOLDER` was typed; `demo` is the whole path of the folder."""
    activate = Path(sys.prefix, "bin", "activate")
    is_hidden = shutil.which("autoresearch") is None and activate.exists()
    path = f". {shlex.quote(str(activate))}  # puts autoresearch on your path\n" if is_hidden else ""
    init = f"autoresearch init {shlex.quote(_choose_place(demo))}"
    return NEXT.format(folder=shlex.quote(str(folder)), path=path, init=init)


def _choose_place(demo: Path) -> str:
    """Return a folder for a project of the user's own: outside of all repositories, relative to the demonstration."""
    from autoresearch.workspace.git import is_in_repository, top_folder

    around = demo.parent
    with suppress(UserError):  # a bare or broken one
        while around != around.parent and is_in_repository(around):
            around = top_folder(around).parent
    return os.path.relpath(around / "mine", demo)


def _read_status() -> "SessionStatus":
    from autoresearch import ledger

    with open_ledger(None) as (store, session):
        return ledger.status(store, session, time.time())


def _say(text: str, style: str = "") -> None:
    """Print a paragraph for people on stderr, after an empty line."""
    Console(stderr=True, highlight=False).print(f"\n{text}", style=style, markup=False, soft_wrap=text.startswith("$"))
