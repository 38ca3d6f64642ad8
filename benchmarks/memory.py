"""Measure memory, time and disk space over a long session without real trials.

    python benchmarks/memory.py [--experiments 10000]

The session is a real one (ledger, git, artefacts, judge, briefs); its trials are a function of text and seed, and its
agent changes one constant at a time. Each row is the state when so many experiments are settled.
"""

import argparse
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import psutil

from autoresearch.agents.base import Proposal
from autoresearch.brief.brief import Brief
from autoresearch.ledger import Ledger
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Overhead, Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session.context import SessionContext
from autoresearch.session.events import LedgerEvent, Listener, SessionEvent
from autoresearch.session.loop import SessionLoop
from autoresearch.session.run import LoopInputs, assemble
from autoresearch.session.stopping import Limits
from autoresearch.workspace.workspace import Workspace

TRAIN = """def train(trial):
    trial.start()
    trial.save({}, {"warmdown": WARMDOWN})


def load(state, config, device):
    return None


WARMDOWN = 0.5
"""
NOISE = 0.003  # bits per byte
ROWS = np.stack([np.linspace(100.0, 120.0, 512), np.full(512, 60.0)], 1)


class Walker:
    """An agent that sets WARMDOWN to new values."""

    name, model, repairs = "walker", None, 0

    def check(self) -> None:
        """Accept any configuration."""

    def propose(self, brief: Brief) -> Proposal:
        value = 1 / (brief.n + 3)
        text = re.sub(r"^WARMDOWN = [\d.e-]+", f"WARMDOWN = {value:.12f}", brief.source, count=1, flags=re.MULTILINE)
        return Proposal(
            text, f"a warm-down of {value:.6f}", "schedule", trace=[{"kind": "rationale", "text": "why not"}]
        )


@dataclass(frozen=True)
class InstantReferee:
    """A referee without a cell: 2 bits per byte and noise; one trial in fifty fails."""

    settings: Settings

    def describe(self, base: Overhead | None) -> list[str]:
        return []

    def measure(self, source: str, seed: int, plan: TrialPlan) -> Result:
        return instant(source, seed, plan.loses_above)

    def close(self) -> None:
        """Do nothing."""


def instant(text: str, seed: int, loses_above: float | None) -> Result:
    draw = Random(f"{seed}{text}")
    result = Result(seed=seed, grade="STRONG", log="a line of a log\n" * 100, rows=ROWS, total_seconds=1.0)
    result.curve = [{"step": step, "loss": 2.0, "seconds": step / 10} for step in range(300)]
    if draw.random() < 0.02:
        result.reason = "RuntimeError: no"
        return result
    result.outcome, result.val_bpb = "ok", round(draw.gauss(2.0, NOISE), 6)
    result.claimed = loses_above is not None and result.val_bpb > loses_above
    result.audit = None if result.claimed else {"n": 1024.0}
    return result


def clocks() -> tuple[float, float]:
    """Return the CPU seconds of this process and its children, and the wall-clock seconds."""
    times = os.times()
    return sum(times[:4]), time.monotonic()


class Table:
    """Print a row at each mark."""

    def __init__(self, root: Path, marks: set[int]) -> None:
        self.root, self.marks = root, marks
        self.began, self.before = clocks(), 0

    def handle(self, event: SessionEvent) -> None:
        """Print a row if the experiment of a verdict is a mark."""
        if not isinstance(event, LedgerEvent) or event.kind != "verdict" or event.n not in self.marks:
            return
        n = event.n
        self.marks.discard(n)
        rss = psutil.Process().memory_info().rss / 2**20
        each, wall = (1000 * (now - then) / (n - self.before) for now, then in zip(clocks(), self.began, strict=True))
        size = int(subprocess.check_output(["du", "-sm", self.root / "runs"]).split()[0])
        ledger = (self.root / "runs" / "ledger.db").stat().st_size / 2**20
        print(f"| {n} | {rss:.0f} | {each:.0f} | {wall:.0f} | {ledger:.1f} | {size} |", flush=True)
        self.began, self.before = clocks(), n


def repository(root: Path) -> Path:
    """Create a git repository with the project's train.py."""
    (root / "train.py").write_text(TRAIN)
    (root / ".gitignore").write_text("/runs/\n")
    who = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        subprocess.run(["git", *who, *command], cwd=root, check=True)
    return root


def session(root: Path, store: Ledger, most: int, listener: Listener) -> SessionLoop:
    """Create a session whose trials are measured by `InstantReferee`."""
    workspace = Workspace(root)
    row = store.create_session("t", "autoresearch/t", workspace.head(), "walker", "default", {"budget": "5m"}, {}, 5)
    store.update_session(row.id, pid=os.getpid(), grade="STRONG")
    inputs = LoopInputs(
        agent=Walker(),
        base=TRAIN,
        program=root / "program.md",
        referees=[InstantReferee(Settings(Budget.parse("5m")))],
        identity={},
        limits=Limits(max_experiments=most),
    )
    return assemble(SessionContext(row.id, row.tag, store, workspace, root / "runs", [listener]), inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=10_000)
    most = parser.parse_args().experiments
    marks = {n for n in (10, 100, 300, 1000, 3000, 5000, 10_000) if n < most} | {most}
    print("Milliseconds are for one experiment, on average since the row before.\n")
    print("| experiments | RSS, MB | CPU, ms | wall, ms | ledger, MB | runs/, MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, Ledger.open(repository(Path(folder)) / "runs" / "ledger.db") as store:
        session(Path(folder), store, most, Table(Path(folder), marks).handle).run()


if __name__ == "__main__":
    main()
