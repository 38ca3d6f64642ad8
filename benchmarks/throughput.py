"""Measure experiments per hour: ours against a plain loop, by part, and on several slots.

    python benchmarks/throughput.py [--experiments 8] [--only loops|slots] [--think 5] [--train 15s]

The agent takes `--think` seconds to answer; no proposal has an effect. The plain loop asks it, measures the proposal
with the same referee, writes a line, and asks again. Both run in turn, on the same slot. "Ideal" is a slot that trains
all the time.

The slots get a numpy trial of 4 s that waits most of its time, as the host of a GPU does: this measures the program,
not the number of cores.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import git

from autoresearch import ledger
from autoresearch.agents.base import Proposal
from autoresearch.brief.brief import Brief
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings
from autoresearch.session.context import SessionContext
from autoresearch.session.pipeline import spare_cores
from autoresearch.session.referees import make_referees
from autoresearch.session.run import LoopInputs, assemble
from autoresearch.session.stopping import Limits
from autoresearch.setup.project import open_project
from autoresearch.setup.trial_run import BasePlanner
from autoresearch.workspace.workspace import Workspace

WAITING = '''"""Waits for its budget to pass."""

import time

import numpy as np

SMALL = 0.0


def train(trial):
    trial.start()
    while trial.progress < 0.97:
        time.sleep(0.01)
    counts = np.bincount(trial.rows[:64].ravel(), minlength=trial.vocab_size) + 1.0
    trial.save({"logits": np.log(counts).astype(np.float32)}, {})


def load(state, config, device):
    return lambda tokens: np.broadcast_to(state["logits"], (*tokens.shape, len(state["logits"])))
'''


class Slow:
    """An agent that waits for some seconds and appends a constant without effect."""

    name, model, repairs = "slow", None, 0
    proposes: Literal["remotely"] = "remotely"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def check(self) -> None:
        """Accept any configuration."""

    def propose(self, brief: Brief) -> Proposal:
        return self.change(brief.source, brief.n)

    def change(self, text: str, n: int) -> Proposal:
        """Propose without a brief."""
        time.sleep(self.seconds)
        return Proposal(f"{text}\nNOTHING_{n} = {n}.0\n", f"nothing {n}")


@contextmanager
def repository(text: str) -> Iterator[Path]:
    """Create a git repository with one train.py."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "train.py").write_text(text)
        (root / ".gitignore").write_text("/runs/\n")
        with git.Repo.init(root) as repo, repo.config_writer() as config:
            config.set_value("user", "name", "benchmark").set_value("user", "email", "benchmark@localhost")
            repo.git.add("-A")
            repo.git.commit("-m", "base")
        yield root


@dataclass(frozen=True)
class Stretch:
    """Consecutive trials, their seconds, and the seconds that slots waited for the agent.

    The first trial of each slot is left out: the work before it is done once in a session.
    """

    results: list[Result]
    seconds: float
    waited: float

    @classmethod
    def of(cls, times: list[tuple[float, Result]], slots: int, waited: list[float]) -> "Stretch":
        """Build from the end of each trial and the waits before them."""
        times = sorted(times, key=lambda each: each[0])
        return cls([result for _, result in times[slots:]], times[-1][0] - times[slots - 1][0], sum(waited[slots:]))

    @classmethod
    def together(cls, stretches: list["Stretch"]) -> "Stretch":
        """Join several stretches."""
        results = [result for each in stretches for result in each.results]
        return cls(results, sum(each.seconds for each in stretches), sum(each.waited for each in stretches))

    @property
    def an_hour(self) -> float:
        return 3600 * len(self.results) / self.seconds


class Searching:
    """A session in a repository."""

    def __init__(self, root: Path, store: Ledger, text: str, data: Dataset, slots: list[Settings], agent: Slow) -> None:
        workspace = Workspace(root)
        row = store.create_session("t", "autoresearch/t", workspace.head(), agent.name, "default", {}, {}, 5)
        store.update_session(row.id, state="running", pid=os.getpid(), slots=len(slots))
        context = SessionContext(row.id, row.tag, store, workspace, root / "runs")
        spare = spare_cores([slot.cores for slot in slots])
        inputs = LoopInputs(
            agent=agent,
            base=text,
            program=root / "program.md",
            referees=make_referees(context, slots, data, text, spare),
            identity={},
            replicates=2,
            limits=Limits(max_experiments=1),
            prepares_ahead=True,
            spare=spare,
        )
        self.session = assemble(context, inputs)
        self.session.run()  # the base, and work that is done once

    def go_on(self, experiments: int) -> Stretch:
        """Run more experiments."""
        store, row = self.session.context.ledger, self.session.context.row
        newest = max(trial.id for trial in store.trials(row.id))
        seen = store.events(row.id)[-1].id
        self.session.control.limits.max_experiments = ledger.count_settled(store, row) + experiments
        self.session.run()
        waited = [float((event.data or {})["seconds"]) for event in store.events(row.id, after=seen, kind="waited")]
        trials = store.trials_after(row.id, newest)
        times = [(trial.ended or 0.0, Result(**_known(trial.result))) for trial in trials]
        return Stretch.of(times, len(self.session.referees), waited)


def _known(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in vars(Result()) if name in result}


def plain(text: str, data: Dataset, settings: Settings, agent: Slow, experiments: int) -> Stretch:
    """Run a minimal loop."""
    times = []
    for n in range(experiments):
        proposal = agent.change(text, n)
        result = CellReferee(settings, data).measure(proposal.text, n)
        with tempfile.TemporaryFile("w") as table:
            table.write(f"{n}\t{result.val_bpb}\n")
        times.append((time.time(), result))
    return Stretch.of(times, 1, [agent.seconds] * experiments)


def loops(text: str, name: str, data: Dataset, settings: Settings, agent: Slow, experiments: int) -> None:
    """Run ours and the plain loop in turn, half of the experiments each time."""
    found: dict[str, list[Stretch]] = {"ours": [], "plain": []}
    with repository(text) as root, Ledger.open(root / "runs" / "ledger.db") as store:
        searching = Searching(root, store, text, data, [settings], agent)
        for _ in range(2):
            found["ours"].append(searching.go_on(experiments // 2))
            found["plain"].append(plain(text, data, settings, agent, experiments // 2))
    for loop, stretches in found.items():
        both = Stretch.together(stretches)
        parts = ("setup_seconds", "train_seconds", "score_seconds")
        each = [fmean(getattr(result, part) for result in both.results) for part in parts]
        rest = fmean(result.total_seconds for result in both.results) - sum(each)
        between = both.seconds / len(both.results) - sum(each) - rest
        cells = " | ".join(f"{value:.2f}" for value in (*each, rest, between))
        ideal = both.an_hour * settings.budget.amount / 3600
        waits = both.waited / both.seconds
        print(
            f"| {name} | {loop} | {len(both.results)} | {both.an_hour:.0f} | {ideal:.0%} | {waits:.1%} | {cells} |",
            flush=True,
        )


def slots(data: Dataset, settings: Settings, agent: Slow, experiments: int) -> None:
    """Run one session each on 1, 2 and 4 slots."""
    one = 0.0
    settings = replace(settings, budget=Budget.parse("4s"), cores=None, eval_rows=64, eval_batch=64)
    for count in (1, 2, 4):
        with repository(WAITING) as root, Ledger.open(root / "runs" / "ledger.db") as store:
            searching = Searching(root, store, WAITING, data, [settings] * count, agent)
            stretch = searching.go_on(experiments * count)
        one = one or stretch.an_hour
        waits = stretch.waited / stretch.seconds / count
        linear = f"{stretch.an_hour / one / count:.0%}"
        cells = f"{count} | {len(stretch.results)} | {stretch.an_hour:.0f} | {linear} | {waits:.1%}"
        print(f"| {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=8)
    parser.add_argument("--think", type=float, default=5.0)
    parser.add_argument("--train", default="15s")
    parser.add_argument("--only", choices=["loops", "slots"])
    options = parser.parse_args()
    project = open_project({"device": "cpu", "budget": options.train})
    if options.only != "slots":
        header = "| train.py | loop | trials | an hour | of the ideal | waits for the agent | setup, s "
        print(f"{header}| train | score | rest of the trial | between two |")
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        own = BasePlanner(project).fit_by_memory((project.root / "train.py").read_text())
        for name, text in (("numpy, waiting", WAITING), ("the repository's", own)):
            loops(text, name, project.data, project.settings, Slow(options.think), options.experiments)
    if options.only != "loops":
        print("\n| slots | trials | an hour | of linear | waits for the agent |\n|---|---|---|---|---|")
        slots(project.data, project.settings, Slow(0.5), options.experiments)


if __name__ == "__main__":
    main()
