"""`mortal.py SCRIPT pure|real`: the program, in processes that die by their own hand; started by `lives.py`.

It runs in a repository and forks once for each line of JSON on its stdin, so that a new process costs milliseconds. The
child is a real run (open or continue the session, run it, close it), with a boundary before and after each thing that
it leaves behind: each write to the ledger, each git command, each file. `{"at": 17}` dies at the 17th boundary,
`{"at": null}` at the first one with a name at which none died yet, `{"after": 0.2}` when 0.2 s have passed. With `"do"`
something else happens there (`BLOWS`), with `"every"` at each boundary from then on, until the child ends. The answer
names the boundary, and says why the session ended, or with which words and exit code the program did.

`pure` takes a function of text and seed for the trials, `real` measures them. The dates in commits are frozen, so that
the same steps give the same commits.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import os
import re
import resource
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from referees import FunctionReferee  # beside this script

from autoresearch import cli
from autoresearch.ledger import Ledger
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.measure.result import Result
from autoresearch.measure.settings import TrialPlan
from autoresearch.session import run
from autoresearch.session.stopping import Limits
from autoresearch.setup import project
from autoresearch.workspace import git
from autoresearch.workspace.git import Plumbing
from autoresearch.workspace.workspace import Workspace

NEVER = 10**9
UNTOLD = 99  # exit code after an error that the program did not put into a line
FILLER = Path("filler")
WRITING = ("hash-object", "update-index", "write-tree", "commit-tree", "update-ref")  # git commands


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    with open(FILLER, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 10, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)


def take_descriptors() -> None:
    lower(resource.RLIMIT_NOFILE, len(list(Path("/proc/self/fd").iterdir())))


def take_memory() -> None:
    lower(resource.RLIMIT_AS, 1 << 20)


def lower(kind: int, limit: int) -> None:
    resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))


def give_back() -> None:
    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS):
        lower(kind, resource.getrlimit(kind)[1])


def delete_references() -> None:
    names = subprocess.run(
        ["git", "for-each-ref", "--format=delete %(refname)", "refs/autoresearch"], capture_output=True
    )
    subprocess.run(["git", "update-ref", "--stdin"], input=names.stdout, check=True)


def collect_garbage() -> None:
    subprocess.run(["git", "reflog", "expire", "--expire=now", "--all"], check=True)
    subprocess.run(["git", "gc", "-q", "--prune=now"], check=True)


def delete_and_collect() -> None:
    delete_references()
    collect_garbage()


BLOWS = {
    "die": die,
    "disk": fill_the_disk,
    "descriptors": take_descriptors,
    "memory": take_memory,
    "references": delete_references,
    "garbage": collect_garbage,
    "both": delete_and_collect,
}


class Fate:
    """Strikes this process at a boundary, after telling its name."""

    def __init__(self, order: dict[str, Any], met: set[str], last_word: int) -> None:
        self.at, self.every = order.get("at", NEVER), order.get("every", NEVER)
        self.blows = itertools.cycle(order.get("do", ["die"]))
        self.met, self.last_word = met, last_word
        self.crossed, self.struck = 0, False

    def cross(self, name: str) -> None:
        self.crossed += 1
        if self.crossed == self.at or (self.at is None and name not in self.met):
            self.at = self.crossed + self.every
            if not self.struck:
                os.write(self.last_word, f"{name}\n".encode())
            self.struck = True
            BLOWS[next(self.blows)]()


fate = Fate({}, set(), -1)


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
    guard(Ledger, "update_experiment", lambda *_, **columns: f"{columns.get('state')}: {', '.join(columns)}")
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


def pure(text: str, seed: int, plan: TrialPlan) -> Result:
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
    result.claimed = plan.loses_above is not None and score > plan.loses_above
    result.audit = None if result.claimed else {"n": 1.0}
    result.holdout_bpb = score if plan.wants_holdout(score) else None
    return result


def life(order: dict[str, Any], met: set[str], live: Callable[[], str]) -> dict[str, Any]:
    """One forked life; how it ended."""
    reader, last_word = os.pipe()
    child = os.fork()
    if child == 0:
        be_born(order, met, live, last_word)
    os.close(last_word)
    if not select.select([reader], [], [], order.get("after"))[0]:
        os.kill(child, signal.SIGKILL)
    boundary, _, rest = b"".join(iter(lambda: os.read(reader, 4096), b"")).decode().partition("\n")
    os.close(reader)
    _, status = os.waitpid(child, 0)
    FILLER.unlink(missing_ok=True)
    met.add(boundary)
    return {"boundary": boundary, "status": os.waitstatus_to_exitcode(status), **json.loads(rest or "{}")}


def be_born(order: dict[str, Any], met: set[str], live: Callable[[], str], last_word: int) -> None:
    """In the forked child: live, and tell how it ended."""
    said, ended = os.memfd_create("stderr"), []
    os.dup2(said, 2)
    fate.__init__(order, met, last_word)  # type: ignore[misc]
    try:
        code = cli.exit_code(lambda: ended.append(live()))
    except Exception:
        give_back()
        traceback.print_exc()
        code = UNTOLD
    give_back()
    fate.at = NEVER
    words = os.pread(said, 1 << 20, 0).decode()
    telling = {"ended": ended[0] if ended else None, "code": code, "said": words}
    os.write(last_word, ("" if fate.struck else "\n").encode() + json.dumps(telling).encode())
    os._exit(0)


def main(script: str, trials: str) -> None:
    place = project.open_session_project({"agent": f"scripted:{script}"})
    found = project.inspection(place)
    run.inspection = lambda project: found
    git._now = lambda: dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "1700000000 +0000")
    if trials == "pure":
        run.make_referees = lambda context, slots, *_: [FunctionReferee(pure, slots[0])]  # type: ignore[assignment]
    guard_everything()

    def live() -> str:
        with Ledger.open(place.ledger) as store:
            return run.run_session(place, store, Limits(), [])[0]

    met: set[str] = set()
    for line in sys.stdin:
        print(json.dumps(life(json.loads(line), met, live)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
