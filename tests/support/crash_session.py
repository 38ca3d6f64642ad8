"""A session that crashes and resumes, and a record of its results, to compare with an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from support.repositories import git

from autoresearch.ledger import Ledger

PROGRAM = Path(__file__).with_name("crash_process.py")
TIMES = ("id", "session_id", "started", "settled")
EDITS = {
    "01-smoother": ("SMOOTHING = 0.5 ", "SMOOTHING = 0.1 ", "keep"),
    "02-blunt": ("SHARPNESS = 1.0", "SHARPNESS = 0.3", "discard"),
    "03-crash": ("step += 1", "raise ValueError('no')", "crash"),
    "04-syntax": ("step += 1", "step +=", "invalid"),
    "05-comment": ("# rows", "# rows of text", "duplicate"),
    "06-nearly": ("SMOOTHING = 0.5 ", "SMOOTHING = 0.1001 ", "duplicate"),
    "07-smoother-still": ("SMOOTHING = 0.5 ", "SMOOTHING = 0.01 ", "keep"),
    "08-half-as-blunt": ("SHARPNESS = 1.0", "SHARPNESS = 0.5", "discard"),
    "10-seed": ("    trial.start()", "    np.random.seed(7)\n    trial.start()", "duplicate"),
    "11-too-sharp": ("SHARPNESS = 1.0", "SHARPNESS = 3.0", "discard"),
    "12-another-crash": ("BATCH = 8  # rows", "BATCH = 8 / 0  # ValueError", "crash"),
}
VERDICTS = {"keep", "discard", "crash", "invalid", "duplicate"}


def write_script(folder: Path, text: str) -> Path:
    """Write the edits for the scripted agent, and a patch that does not apply."""
    folder.mkdir()
    for name, (before, after, _) in EDITS.items():
        assert before in text
        (folder / f"{name}.py").write_text(text.replace(before, after, 1))
    (folder / "09-broken.patch").write_text("--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-not there\n+x\n")
    return folder


class CrashSession:
    """A session that can be killed and resumed; `crashes` names the boundaries at which it was killed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.crashes: list[str] = []

    def run(self, **order: Any) -> str | None:
        """Run it once; return why the session ended, None if it was killed."""
        end = self.run_with_faults(**order)
        assert end["status"] in (0, -signal.SIGKILL) and not end.get("code"), (end, self.crashes)
        if end["status"]:
            self.crashes.append(end["boundary"] or "somewhere")
        return end.get("ended")

    def run_with_faults(self, **order: Any) -> dict[str, Any]:
        """Run it once; return how it ended (see crash_process.py)."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        end: dict[str, Any] = json.loads(self.process.stdout.readline())
        return end


@contextmanager
def crash_session(root: Path, script: Path, env: dict[str, str], trials: str) -> Iterator[CrashSession]:
    """Provide the session in a repository; `trials` is pure or real (see crash_process.py)."""
    command = [sys.executable, str(PROGRAM), str(script), trials]
    paths = os.pathsep.join([str(PROGRAM.parents[2]), env.get("PYTHONPATH", "")])
    env = env | {
        "PYTHONPATH": paths,
        "OPENBLAS_NUM_THREADS": "1",
        "AUTORESEARCH_REPLICATES": "2",
        "AUTORESEARCH_SEED": "5",
    }
    with subprocess.Popen(
        command, cwd=root, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield CrashSession(process)


def session_record(root: Path) -> dict[str, Any]:
    """Return the results of a session, without times and lost trials."""
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as ledger:
        session = ledger.session()
        assert session is not None
        experiments = [ledger.experiment(session.id, row.n) for row in ledger.experiments(session.id)]
        numbers = {row.id: row.n for row in experiments if row is not None}
        trials = [
            (numbers[trial.experiment_id], trial.purpose, trial.seed, trial.blob, trial.outcome, trial.val_bpb)
            for trial in ledger.trials(session.id)
            if trial.outcome != "infra"
        ]
    files = sorted(path for path in (root / "runs" / "t").rglob("*") if path.is_file())
    return {
        "session": (session.state, session.stop_reason),
        "experiments": [
            {name: value for name, value in asdict(row).items() if name not in TIMES} for row in experiments if row
        ],
        "trials": trials,
        "references": git(root, "for-each-ref"),
        "table": (root / "runs/t/results.tsv").read_text(),
        "lessons": [path.read_text() for path in sorted((root / "runs").glob("lessons-*.md"))],
        "files": [str(path.relative_to(root)) for path in files],
    }
