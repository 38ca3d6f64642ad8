"""Run sessions in child processes that crash at chosen boundaries: `crash_process.py SCRIPT pure|real`.

`crash_session.py` starts it in a repository, and it forks once for each line of JSON on its stdin, so that a new
process costs milliseconds. The child is a real run (open or continue the session, run it, close it), with a boundary
before and after each thing that it leaves behind: each write to the ledger, each git command, each file. `{"at": 17}`
kills it at the 17th boundary, `{"at": null}` at the first one with a name at which none was killed yet,
`{"after": 0.2}` when 0.2 s have passed. With `"do"` other faults happen there (`FAULTS`), with `"every": 9` again after
each 9 boundaries until the child ends. The answer names the first boundary, and says why the session ended, or with
which words and exit code the program did.

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
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from referees import FunctionReferee  # beside this script

from autoresearch import cli
from autoresearch.ledger import Ledger
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session import referees as session_referees
from autoresearch.session import run
from autoresearch.session.opening import open_session_project
from autoresearch.session.stopping import Limits
from autoresearch.workspace import git
from autoresearch.workspace.git import GitCommands
from autoresearch.workspace.workspace import Workspace

NEVER = 10**9
UNEXPECTED_ERROR = 99  # exit code after an error that the program did not put into a line
FILLER = Path("filler")
WRITING_COMMANDS = ("hash-object", "update-index", "write-tree", "commit-tree", "update-ref")  # git commands


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
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


def restore_limits() -> None:
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


def delete_runs() -> None:
    shutil.rmtree("runs", ignore_errors=True)


def delete_runs_and_die() -> None:
    delete_runs()
    die()


FAULTS = {
    "die": die,
    "runs": delete_runs,
    "runs and death": delete_runs_and_die,
    "disk": fill_disk,
    "descriptors": take_descriptors,
    "memory": take_memory,
    "references": delete_references,
    "garbage": collect_garbage,
    "both": delete_and_collect,
}


class Boundaries:
    """Count the boundaries that this process crosses; at some, write the name to a pipe and cause a fault."""

    def __init__(self, order: dict[str, Any], seen: set[str], pipe: int) -> None:
        self.at, self.every = order.get("at", NEVER), order.get("every", NEVER)
        self.faults = itertools.cycle(order.get("do", ["die"]))
        self.seen, self.pipe = seen, pipe
        self.count, self.reported = 0, False

    def cross(self, name: str) -> None:
        self.count += 1
        if self.count == self.at or (self.at is None and name not in self.seen):
            self.at = self.count + self.every
            if not self.reported:
                os.write(self.pipe, f"{name}\n".encode())
            self.reported = True
            FAULTS[next(self.faults)]()


boundaries = Boundaries({}, set(), -1)


def wrap(owner: Any, method: str, label: Callable[..., str | None]) -> None:
    """Put a boundary before and after every call of a function that has a label."""
    real = getattr(owner, method)

    @functools.wraps(real)
    def wrapped(*args: Any, **options: Any) -> Any:
        if (name := label(*args, **options)) is None:
            return real(*args, **options)
        boundaries.cross(f"before {name}")
        result = real(*args, **options)
        boundaries.cross(f"after {name}")
        return result

    setattr(owner, method, wrapped)


def add_boundaries() -> None:
    """Add boundaries at everything that a session stores."""
    wrap(Ledger, "create_session", lambda *_, **__: "the session")
    wrap(Ledger, "update_session", lambda *_, **columns: f"the session: {columns['state']}")
    wrap(Ledger, "add_experiment", lambda *_, **__: "proposed")
    wrap(Ledger, "update_experiment", lambda *_, **columns: f"{columns.get('state')}: {', '.join(columns)}")
    wrap(Ledger, "start_trial", lambda *args: f"the start of a {args[3]} trial")
    wrap(Ledger, "end_trial", lambda *args: f"the end of a trial: {args[2]}")
    wrap(Ledger, "event", lambda *args, **_: f"event {args[2]}")
    wrap(Workspace, "start", lambda *_: "the base in git")
    wrap(Workspace, "commit", lambda *_: "a commit")
    wrap(Workspace, "keep", lambda *_: "a keep in git")
    wrap(GitCommands, "run", lambda *args, **_: f"git {args[1]}" if args[1] in WRITING_COMMANDS else None)
    wrap(Artefacts, "write_proposal", lambda *_: "the files of a proposal")
    wrap(Artefacts, "write_trial", lambda *_: "the files of a trial")
    wrap(np, "savez_compressed", lambda *_, **__: "the rows of a trial")
    wrap(Path, "replace", lambda path, _: f"the file {kind(path)} in place")
    add_boundaries_within_files()


def add_boundaries_within_files() -> None:
    """Add boundaries inside text files: a file may be half written."""
    real = Path.write_text

    def wrapped(path: Path, text: str, *args: Any, **options: Any) -> int:
        boundaries.cross(f"before {kind(path)}")
        real(path, text[: len(text) // 2], *args, **options)
        boundaries.cross(f"in the middle of {kind(path)}")
        written = real(path, text, *args, **options)
        boundaries.cross(f"after {kind(path)}")
        return written

    Path.write_text = wrapped  # type: ignore[assignment, method-assign]


def kind(path: Path) -> str:
    """Return the name of a file without its random part."""
    return re.sub(r"-[0-9a-f]+", "", path.name)


def fake_trial(text: str, seed: int, plan: TrialPlan) -> Result:
    """Return a score without a cell: from two constants of the text, with noise from text and seed."""
    boundaries.cross("before a trial")
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


def fork_child(order: dict[str, Any], seen: set[str], run_once: Callable[[], str]) -> dict[str, Any]:
    """Run a forked child; return how it ended."""
    reader, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        run_child(order, seen, run_once, pipe)
    os.close(pipe)
    if not select.select([reader], [], [], order.get("after"))[0]:
        os.kill(child, signal.SIGKILL)
    boundary, _, rest = b"".join(iter(lambda: os.read(reader, 4096), b"")).decode().partition("\n")
    os.close(reader)
    _, status = os.waitpid(child, 0)
    FILLER.unlink(missing_ok=True)
    seen.add(boundary)
    return {"boundary": boundary, "status": os.waitstatus_to_exitcode(status), **json.loads(rest or "{}")}


def run_child(order: dict[str, Any], seen: set[str], run_once: Callable[[], str], pipe: int) -> None:
    """Run the session in the forked child, and write how it ended to the pipe."""
    said, ended = os.memfd_create("stderr"), []
    os.dup2(said, 2)
    boundaries.__init__(order, seen, pipe)  # type: ignore[misc]
    try:
        code = cli.exit_code(lambda: ended.append(run_once()))
    except Exception:
        restore_limits()
        traceback.print_exc()
        code = UNEXPECTED_ERROR
    restore_limits()
    boundaries.at = NEVER
    words = os.pread(said, 1 << 20, 0).decode()
    answer = {"ended": ended[0] if ended else None, "code": code, "said": words}
    os.write(pipe, ("" if boundaries.reported else "\n").encode() + json.dumps(answer).encode())
    os._exit(0)


def make_fake_referees(context: object, slots: Sequence[Settings], *_: object) -> list[FunctionReferee]:
    return [FunctionReferee(fake_trial, slots[0])]


def main(script: str, trials: str) -> None:
    project = open_session_project({"agent": f"scripted:{script}"})
    inspection = run.inspection(project)
    run.inspection = lambda project: inspection
    git._dates = lambda: dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "1700000000 +0000")
    if trials == "pure":
        session_referees.make_referees = make_fake_referees  # type: ignore[assignment]
    add_boundaries()

    def run_once() -> str:
        with Ledger.open(project.ledger) as ledger:
            return run.run_session(project, ledger, Limits(), [])[0]

    seen: set[str] = set()
    for line in sys.stdin:
        print(json.dumps(fork_child(json.loads(line), seen, run_once)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
