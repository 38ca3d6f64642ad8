"""Measure a population of honest programs through the whole protocol, and count those that are flagged or crash.

    python benchmarks/honest_programs.py --out trials.jsonl [--trials 5] [--minutes 3.5] [--only 'gpt_*'] [--limits]

The programs are tests/honest_programs/*.py: n-gram tables, copy heads, networks in numpy, transformers, convolutions,
recurrent and compiled models, and models that allocate, import, print or start threads while they answer. Each round
measures each program once, with a new seed. Trials are appended to a file of JSON lines. A later run with the same file
continues where the last one ended. With `--limits` the trials have the time limits of a session whose base is the same
program: it is measured once without limits before that.
"""

import argparse
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Overhead, Result
from autoresearch.measure.settings import TrialPlan
from autoresearch.setup.project import open_project

PROGRAMS = Path(__file__).resolve().parents[1] / "tests" / "honest_programs"
EVAL_ROWS = 128


@dataclass(frozen=True)
class Trial:
    """One measured trial, as a line of the file."""

    program: str
    seed: int
    outcome: str
    reason: str
    val_bpb: float | None
    d_rms: float | None
    setup: float
    train: float
    score: float


def budget(path: Path) -> Budget:
    """Return the budget of a program: a compiler starts processes, which a cell that counts CPU time refuses."""
    return Budget.parse("30steps" if path.stem.startswith("compiled") else "2cpu")


def measure(referee: CellReferee, path: Path, seed: int, plan: TrialPlan = TrialPlan()) -> Result:
    settings = replace(referee.settings, budget=budget(path))
    return replace(referee, settings=settings).measure(path.read_text(), seed, plan)


def record(path: Path, result: Result) -> Trial:
    if result.outcome != "ok":
        print(result.log[-3000:])
    d_rms = result.audit["d_rms"] if result.audit is not None else None
    times = (round(t, 2) for t in (result.setup_seconds, result.train_seconds, result.score_seconds))
    return Trial(path.stem, result.seed, result.outcome, result.reason, result.val_bpb, d_rms, *times)


def read_trials(path: Path) -> list[Trial]:
    return [Trial(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def missing(paths: list[Path], trials: int, done: list[Trial]) -> Iterator[tuple[Path, int]]:
    """Yield programs and seeds that are not measured yet, round by round."""
    known = {(trial.program, trial.seed) for trial in done}
    for seed in range(1, trials + 1):
        yield from ((path, seed) for path in paths if (path.stem, seed) not in known)


def table(done: list[Trial]) -> list[str]:
    """Return a row of Markdown for each program; times are the largest, in seconds."""
    lines = ["| program | trials | outcomes | d_rms | setup | train | score |", "|---|---|---|---|---|---|---|"]
    for name in sorted({trial.program for trial in done}):
        own = [trial for trial in done if trial.program == name]
        outcomes = ", ".join(f"{n} {outcome}" for outcome, n in Counter(trial.outcome for trial in own).items())
        d_rms = max((trial.d_rms for trial in own if trial.d_rms is not None), default=float("nan"))
        times = " | ".join(f"{max(getattr(trial, part) for trial in own):.1f}" for part in ("setup", "train", "score"))
        lines.append(f"| {name} | {len(own)} | {outcomes} | {d_rms:.1e} | {times} |")
    return lines


def summary(done: list[Trial]) -> str:
    programs, outcomes = len({trial.program for trial in done}), Counter(trial.outcome for trial in done)
    flagged, failed = outcomes["suspect"], len(done) - outcomes["suspect"] - outcomes["ok"]
    return f"{programs} programs, {len(done)} trials: {flagged} flagged, {failed} crashed or timed out"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines, appended to")
    parser.add_argument("--trials", type=int, default=5, help="of each program")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no trial after that")
    parser.add_argument("--only", default="*", help="pattern of program names")
    parser.add_argument("--limits", action="store_true", help="of time, as beside a measured base")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    paths = [path for path in sorted(PROGRAMS.glob("*.py")) if fnmatch(path.stem, options.only)]
    project = open_project({"eval_rows": EVAL_ROWS}, Path.cwd())
    referee, done = CellReferee(project.settings, project.data), read_trials(options.out)
    plans = defaultdict[Path, TrialPlan](TrialPlan)
    for path, seed in missing(paths, options.trials, done):
        if time.monotonic() > deadline:
            break
        if options.limits and path not in plans:
            plans[path] = TrialPlan(base=Overhead(**measure(referee, path, 0).spent))
        trial = record(path, measure(referee, path, seed, plans[path]))
        done.append(trial)
        with options.out.open("a") as out:
            out.write(json.dumps(asdict(trial)) + "\n")
        print(f"{trial.program:34} {seed} {trial.outcome} {trial.val_bpb} {trial.d_rms} {trial.reason}", flush=True)
    shown = [trial for trial in done if fnmatch(trial.program, options.only)]
    print("", *table(shown), "", summary(shown), sep=os.linesep)


if __name__ == "__main__":
    main()
