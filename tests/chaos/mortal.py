"""`mortal.py SCRIPT pure|real`: the program, in processes that die by their own hand; started by `lives.py`.

It stands in a repository and forks once for each line of JSON on its stdin, so that a new life costs milliseconds. A life
is the real night (open or go on with the session, run it, close it), with a boundary before and after everything it
leaves behind: each write to the ledger, each git command, each file. `{"at": 17}` dies at the 17th boundary,
`{"at": null}` at the first one whose name nobody died at yet, `{"after": 0.2}` whenever 0.2 s have passed. The
answer names the boundary, or why the session ended.

`pure` takes a function of text and seed for the trials, `real` measures them. The dates in commits are frozen, so that
the same steps give the same commits.
"""

import functools
import hashlib
import json
import os
import re
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from autoresearch import night, plumbing, start
from autoresearch.artefacts import Artefacts
from autoresearch.ledger import Ledger
from autoresearch.limits import Limits
from autoresearch.measure.result import Result
from autoresearch.measure.trial import measure
from autoresearch.plumbing import Plumbing
from autoresearch.session import Reporter, Session
from autoresearch.workspace import Workspace

NEVER = 10**9
WRITING = ("hash-object", "update-index", "write-tree", "commit-tree", "update-ref")  # git commands


class Fate:
    """Kills this process at a boundary, after telling its name."""

    def __init__(self, at: int | None, met: set[str], last_word: int) -> None:
        self.at, self.met, self.last_word = at, met, last_word
        self.crossed = 0

    def cross(self, name: str) -> None:
        self.crossed += 1
        if self.crossed == self.at or (self.at is None and name not in self.met):
            os.write(self.last_word, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)


fate = Fate(NEVER, set(), -1)


def guard(owner: Any, method: str, label: Callable[..., str | None]) -> None:
    """Put a boundary before and after every call of a function that has a label."""
    real = getattr(owner, method)

    @functools.wraps(real)
    def guarded(*args: Any, **options: Any) -> Any:
        if (name := label(*args, **options)) is None:
            return real(*args, **options)
        fate.cross(f"before {name}")
        result = real(*args, **options)
        fate.cross(f"after {name}")
        return result

    setattr(owner, method, guarded)


def guard_everything() -> None:
    """All that a session leaves behind."""
    guard(Ledger, "create_session", lambda *_, **__: "the session")
    guard(Ledger, "update_session", lambda *_, **columns: f"the session: {columns['state']}")
    guard(Ledger, "add_experiment", lambda *_, **__: "proposed")
    guard(Ledger, "update_experiment", lambda *_, **columns: f"{columns['state']}: {', '.join(columns)}")
    guard(Ledger, "start_trial", lambda *args: f"the start of a {args[3]} trial")
    guard(Ledger, "end_trial", lambda *args: f"the end of a trial: {args[2]}")
    guard(Ledger, "event", lambda *args, **_: f"event {args[2]}")
    guard(Workspace, "start", lambda *_: "the base in git")
    guard(Workspace, "commit", lambda *_: "a commit")
    guard(Workspace, "keep", lambda *_: "a keep in git")
    guard(Plumbing, "run", lambda *args, **_: f"git {args[1]}" if args[1] in WRITING else None)
    guard(Artefacts, "write_proposal", lambda *_: "the files of a proposal")
    guard(Artefacts, "write_trial", lambda *_: "the files of a trial")
    guard(np, "savez_compressed", lambda *_, **__: "the rows of a trial")
    guard(Path, "replace", lambda path, _: f"the file {kind(path)} in place")
    guard_halves()


def guard_halves() -> None:
    """A file may be half written."""
    real = Path.write_text

    def guarded(path: Path, text: str, *args: Any, **options: Any) -> int:
        fate.cross(f"before {kind(path)}")
        real(path, text[: len(text) // 2], *args, **options)
        fate.cross(f"in the middle of {kind(path)}")
        written = real(path, text, *args, **options)
        fate.cross(f"after {kind(path)}")
        return written

    Path.write_text = guarded  # type: ignore[assignment, method-assign]


def kind(path: Path) -> str:
    """The name of a file without what differs from one to the next."""
    return re.sub(r"-[0-9a-f]+", "", path.name)


def pure(
    text: str, seed: int, *_: object, loses_above: float | None, wants_holdout: Callable[[float], bool], **__: object
) -> Result:
    """A trial without a cell: a score that follows from two constants of the text, and noise from text and seed."""
    fate.cross("before a trial")
    result = Result(seed=seed, grade="STRONG", log="a trial\n", total_seconds=0.1)
    if "ValueError" in text:
        result.reason = "ValueError: no"
        return result
    value = {name: float(number) for name, number in re.findall(r"^([A-Z]+) = ([\d.]+)", text, re.MULTILINE)}
    noise = int(hashlib.sha256(f"{seed}{text}".encode()).hexdigest()[:4], 16) / 65536
    score = round(2 + 0.1 * value["SMOOTHING"] + abs(1 - value["SHARPNESS"]) + 0.001 * noise, 6)
    result.outcome, result.val_bpb = "ok", score
    result.rows = np.array([[1.0, 2.0]])
    result.claimed = loses_above is not None and score > loses_above
    result.audit = None if result.claimed else {"n": 1.0}
    result.holdout_bpb = score if wants_holdout(score) else None
    return result


def life(order: dict[str, Any], met: set[str], live: Callable[[], str]) -> dict[str, Any]:
    """One forked life; how it ended."""
    reader, last_word = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        fate.__init__(order.get("at", NEVER), met, last_word)  # type: ignore[misc]
        os.write(last_word, f"={live()}".encode())
        os._exit(0)
    os.close(last_word)
    if not select.select([reader], [], [], order.get("after"))[0]:
        os.kill(child, signal.SIGKILL)
    word = b"".join(iter(lambda: os.read(reader, 4096), b"")).decode()
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
        return {"failed": os.waitstatus_to_exitcode(status)}
    met.add(word)
    return {"ended": word[1:]} if word.startswith("=") else {"died": word or "somewhere"}


def main(script: str, trials: str) -> None:
    place = start.session_place({"agent": f"scripted:{script}"})
    found = start.inspection(place)
    start.inspection = lambda place: found
    plumbing._now = lambda: dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "1700000000 +0000")
    night.Session = functools.partial(Session, measure=pure if trials == "pure" else measure)  # type: ignore[misc, assignment]
    guard_everything()

    def live() -> str:
        with Ledger.open(place.ledger) as store:
            return night.spend(place, store, Limits(), Reporter())[0]

    met: set[str] = set()
    for line in sys.stdin:
        print(json.dumps(life(json.loads(line), met, live)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
