"""Compare `sweep` with Optuna's TPE over all constants and with random search, at the same number of trials.

    python benchmarks/researchers.py [--trials 24] [--seeds 3] [--draws 4] [--budget 15cpu] [--base tuned] [--forked]

`sweep` runs in a real session (base replicates and re-runs are among its trials). The others draw a factor between 1/2
and 2 for every constant, and their result is the lowest number they saw, as in common use. At the end each result is
measured again on fresh seeds, in turns with the base. The runs of the methods are interleaved. With `--forked` trials
run in forked processes instead of cells, which takes half the time.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

import optuna
from cpu_base import BASES
from sweep_trials import measure as measure_in_fork
from sweep_trials import move, prepare_forks

from autoresearch.agents import registry
from autoresearch.agents.sweep.sweep_agent import knobs
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Overhead, Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.measure.trial_facts import describe_trial
from autoresearch.session.context import SessionContext
from autoresearch.session.run import LoopInputs, assemble
from autoresearch.session.stopping import Limits
from autoresearch.setup.project import Project, open_project
from autoresearch.source.constants import with_constants
from autoresearch.workspace.workspace import Workspace

FIRST_FRESH_SEED = 1_000_000  # of the last measurement


Kind = type[CellReferee] | type["ForkedReferee"]


@dataclass
class ForkedReferee:
    """Measure versions without a cell, a claim or an audit: nobody attacks here."""

    settings: Settings
    data: Dataset

    def describe(self, base: Overhead | None) -> list[str]:
        return describe_trial(self.settings, self.data, base)

    def measure(self, source: str, seed: int, plan: TrialPlan = TrialPlan()) -> Result:
        began = time.monotonic()
        found = measure_in_fork(source, seed, self.data, self.settings.budget.amount, self.settings.eval_rows)
        score, seconds = found["bpb"], time.monotonic() - began
        outcome = "crash" if score is None else "ok"
        return Result(outcome, score, found.get("why", ""), seed, train_seconds=seconds, total_seconds=seconds)

    def close(self) -> None:
        """Do nothing: every process has ended."""


@dataclass
class Trials(Limits):
    """A session that ends after so many trials."""

    remaining: int = 0

    def stop_reason(self, decided: int, trial_seconds: Sequence[float], reserve_s: float = 0.0) -> str | None:
        return "trials" if self.remaining <= 0 else None

    def is_too_late(self, trial_seconds: Sequence[float], reserve_s: float = 0.0) -> bool:
        return self.remaining <= 0


def sweep(project: Project, kind: Kind, text: str, count: int, seed: int) -> str:
    """Run a session of `sweep` and return the incumbent's text."""
    limits = Trials(remaining=count)

    class Counting(kind):  # type: ignore[misc, valid-type]
        def measure(self, source: str, seed: int, plan: TrialPlan = TrialPlan()) -> Result:
            limits.remaining -= 1
            return super().measure(source, seed, plan)

    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.db") as store:
        root = Path(folder)
        (root / "train.py").write_text(text)
        for command in (["init", "-q"], ["add", "train.py"], ["commit", "-q", "-m", "base"]):
            subprocess.run(["git", "-c", "user.name=b", "-c", "user.email=b@localhost", *command], cwd=root, check=True)
        workspace = Workspace(root)
        row = store.create_session("t", "autoresearch/t", workspace.head(), "sweep", "default", {}, {}, seed)
        store.update_session(row.id, pid=os.getpid(), grade="STRONG")
        inputs = LoopInputs(
            agent=registry.create("sweep"),
            base=text,
            program=root / "program.md",
            referees=[Counting(replace(project.settings, caches=root / "runs" / "t" / "caches"), project.data)],
            identity={},
            limits=limits,
        )
        session = assemble(SessionContext(row.id, row.tag, store, workspace, root / "runs"), inputs)
        session.run()
        best = session.evidence.incumbent()
        found = store.experiment(row.id, best.n)
        assert found is not None and found.text is not None
        return found.text


def study(sampler: optuna.samplers.BaseSampler, project: Project, kind: Kind, text: str, count: int, seed: int) -> str:
    """Return the text with the lowest number that a sampler saw over all constants at once."""
    asked = optuna.create_study(sampler=sampler)
    best: tuple[float, str] = (float("inf"), text)
    for k in range(count):
        trial = asked.ask()
        values = {knob.constant.name: move(knob, trial.suggest_float(knob.key, -1, 1)) for knob in knobs(text)}
        version = with_constants(text, values)
        score = kind(project.settings, project.data).measure(version, 100 * seed + k).val_bpb
        asked.tell(trial, 10.0 if score is None else score)  # a crash is as bad as it gets
        if score is not None and score < best[0]:
            best = score, version
    return best[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--budget", default=None)
    parser.add_argument("--base", choices=list(BASES), default="untuned")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--forked", action="store_true")
    options = parser.parse_args()
    kind: Kind = CellReferee
    if options.forked:
        prepare_forks()
        kind = ForkedReferee
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    project = open_project({"budget": options.budget}, Path.cwd())
    text = BASES[options.base]()
    found: dict[str, list[str]] = {"base": [text] * options.seeds, "sweep": [], "TPE": [], "random": []}
    for seed in range(options.first, options.first + options.seeds):
        found["sweep"].append(sweep(project, kind, text, options.trials, seed))
        tpe, chance = optuna.samplers.TPESampler(seed=seed), optuna.samplers.RandomSampler(seed=seed)
        found["TPE"].append(study(tpe, project, kind, text, options.trials, seed))
        found["random"].append(study(chance, project, kind, text, options.trials, seed + 1000))
        print(f"seed {seed}: searched", flush=True)
    scores = measure_again(found, project, kind, options.draws)
    base = fmean(score for each in scores["base"] for score in each)
    print("| method | seed | measured again | less base |\n|---|---|---|---|")
    for name, each in scores.items():
        for seed, draws in enumerate(each):
            mean = fmean(draws)
            print(f"| {name} | {seed} | {mean:.4f} | {mean - base:+.4f} +- {stdev(draws) / len(draws) ** 0.5:.4f} |")
    for name, each in scores.items():
        print(f"{name}: mean {fmean(map(fmean, each)) - base:+.4f}")


def measure_again(
    found: dict[str, list[str]], project: Project, kind: Kind, draws: int
) -> dict[str, list[list[float]]]:
    """Return fresh scores of every result, measured in turns."""
    scores: dict[str, list[list[float]]] = {name: [[] for _ in texts] for name, texts in found.items()}
    for draw in range(draws):
        for seed in range(len(found["base"])):
            for name, texts in found.items():
                result = kind(project.settings, project.data).measure(texts[seed], FIRST_FRESH_SEED + 10 * draw + seed)
                assert result.val_bpb is not None, result.reason
                scores[name][seed].append(result.val_bpb)
    return scores


if __name__ == "__main__":
    main()
