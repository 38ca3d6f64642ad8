"""Many lives of one session, and what must be the same however often it died."""

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

MORTAL = Path(__file__).with_name("mortal.py")
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
    """The edits as a folder for the scripted agent, and a patch that does not apply."""
    folder.mkdir()
    for name, (before, after, _) in EDITS.items():
        assert before in text
        (folder / f"{name}.py").write_text(text.replace(before, after, 1))
    (folder / "09-broken.patch").write_text("--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-not there\n+x\n")
    return folder


class Lives:
    """A session that can be killed and goes on."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.deaths: list[str] = []

    def live(self, **order: Any) -> str | None:
        """One life; why the session ended, None if it died."""
        end = self.struck(**order)
        assert end["status"] in (0, -signal.SIGKILL) and not end.get("code"), (end, self.deaths)
        if end["status"]:
            self.deaths.append(end["boundary"] or "somewhere")
        return end.get("ended")

    def struck(self, **order: Any) -> dict[str, Any]:
        """One life; how it ended (see mortal.py)."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        end: dict[str, Any] = json.loads(self.process.stdout.readline())
        return end


@contextmanager
def lives(root: Path, script: Path, env: dict[str, str], trials: str) -> Iterator[Lives]:
    """The lives of the session in a repository; `trials` is pure or real (see mortal.py)."""
    command = [sys.executable, str(MORTAL), str(script), trials]
    paths = os.pathsep.join([str(MORTAL.parents[2]), env.get("PYTHONPATH", "")])
    env = env | {
        "PYTHONPATH": paths,
        "OPENBLAS_NUM_THREADS": "1",
        "AUTORESEARCH_REPLICATES": "2",
        "AUTORESEARCH_SEED": "5",
    }
    with subprocess.Popen(
        command, cwd=root, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Lives(process)


def story(root: Path) -> dict[str, Any]:
    """What a session left, less the times and what was lost in flight."""
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as store:
        session = store.session()
        assert session is not None
        experiments = [store.experiment(session.id, row.n) for row in store.experiments(session.id)]
        numbers = {row.id: row.n for row in experiments if row is not None}
        trials = [
            (numbers[trial.experiment_id], trial.purpose, trial.seed, trial.blob, trial.outcome, trial.val_bpb)
            for trial in store.trials(session.id)
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
