"""The line at the end of `run` that says what to do next, and the one about a best version that nobody took over."""

from collections.abc import Iterator

from autoresearch.ledger.rows import AGENT_EXHAUSTED, RESUMABLE
from autoresearch.ledger.session_status import SessionStatus


def describe_next_step(
    status: SessionStatus, is_taken: bool, is_newest: bool = True, untaken: str | None = None
) -> str:
    """Return what to do after a session has ended.

    `is_taken` says whether the user's train.py has its best version, `is_newest` whether it is the newest session, and
    `untaken` is an earlier session whose best version the user's train.py does not have.
    """
    return f"next: {'; '.join(_steps(status, is_taken, is_newest, untaken))}"


def describe_untaken(tag: str, belief: str | None = None) -> str:
    """Return the line about an earlier session whose best version is not in the user's files.

    `belief` is the word for what may be believed of a command's number; None with the built-in trial.
    """
    files = "train.py" if belief is None else "files"
    return f"{tag}'s best is not in your {files}: `autoresearch best --tag {tag} --write`"


def _steps(status: SessionStatus, is_taken: bool, is_newest: bool, untaken: str | None) -> Iterator[str]:
    if status.verdicts.get("suspect"):
        yield "read the suspects first, `autoresearch log` lists them"
    if status.stop_reason in RESUMABLE:
        yield f"`autoresearch run{'' if is_newest else f' --tag {status.tag}'}` continues {status.tag}"
        yield from _use_of_best(status, is_taken)
    elif status.best:
        yield "`autoresearch report` shows what was kept"
        yield from _use_of_best(status, is_taken)
        yield f"`autoresearch export --branch {status.tag}-kept` for review"
    elif untaken is not None:
        yield f"nothing was kept, and {describe_untaken(untaken, status.belief)}"
    else:
        yield f"nothing was kept: {_another_try(status)}"


def _use_of_best(status: SessionStatus, is_taken: bool) -> Iterator[str]:
    if not status.best:
        return
    if status.has_holdout and (status.total is None or status.total.final != status.best):
        yield "`autoresearch total` measures what it gained"
    if not is_taken:
        where = "train.py" if status.belief is None else "your files"
        yield f"`autoresearch best --write` puts experiment {status.best} into {where}"


def _another_try(status: SessionStatus) -> str:
    again = f"autoresearch run --tag {status.tag}"
    if status.stop_reason == "max experiments":
        return f"`{again} --max-experiments {2 * status.experiments or 1}` goes on"
    if (status.stop_reason or "").startswith(AGENT_EXHAUSTED):
        other = "claude" if status.agent == "sweep" else "sweep"
        return f"`{again} --agent {other} --hours 1` goes on with another agent"
    return f"`{again} --hours 1` goes on"
