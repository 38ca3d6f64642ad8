"""Compare our train.py with the original on a card: 60 s in turns on two seeds, 300 s each, and a night in small.

    python benchmarks/against_original.py [--out FOLDER] [--within 590] [--only night] [--rehearse]
    python benchmarks/against_original.py table --out FOLDER

Needs what `first_card.py pack --original FOLDER` made, and the same packages as first_card.py. All takes 36 minutes at
most; with `--within` each call begins only what ends in time, and the next call goes on. The original runs with our
rows, clock and evaluation (original.py says what of it is replaced).
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import gpu_night
import on_card
import original
import phases
from phases import Bench, Phase, Plan, Record

from autoresearch.errors import Blocker
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings, TrialPlan

SEEDS = (1, 2)
SHORT_S, LONG_S, NIGHT_S = 60, 300, 560
REHEARSED_SHARE = 0.05  # of a budget
OUTSIDE_S = {SHORT_S: 110, LONG_S: 120}  # compiling, loading and scoring, of a trial


def measure_ours(bench: Bench, budget_s: int, seed: int) -> None:
    data, settings = on_card.open_data(bench.options.pack), _settings(bench, "ours", budget_s)
    base = on_card.fit_base(bench.options.train.read_text(), settings, data)
    _measure(bench, base, seed, settings)


def measure_original(bench: Bench, budget_s: int, seed: int) -> None:
    folder = bench.options.pack / "original"
    if not (folder / "train.py").exists():
        raise Blocker(f"no original in {folder}: pack it at home (`first_card.py pack --original FOLDER`)")
    settings = _settings(bench, "original", budget_s)
    _measure(bench, original.version(folder, settings.device, original.SIZE[settings.device]), seed, settings)


def run_night(bench: Bench) -> None:
    data, settings = on_card.open_data(bench.options.pack), _settings(bench, "night", SHORT_S)
    budget = Budget.parse(gpu_night.BUDGET[settings.device])
    night = gpu_night.Night(replace(settings, budget=budget), data, NIGHT_S, bench.note)
    night.run(on_card.fit_base(bench.options.train.read_text(), settings, data))


def _settings(bench: Bench, name: str, budget_s: int) -> Settings:
    amount = budget_s * (REHEARSED_SHARE if bench.options.rehearse else 1)
    return on_card.make_settings(bench.options.device, f"{amount:g}s", bench.options.work / f"caches-{name}")


def _measure(bench: Bench, text: str, seed: int, settings: Settings) -> None:
    keeps = settings.caches is not None and not settings.caches.exists()
    data = on_card.open_data(bench.options.pack)
    result = CellReferee(settings, data).measure(text, seed, TrialPlan(keep_caches=keeps))
    on_card.note_result(bench, result, settings)


def compare(records: dict[str, Record]) -> list[str]:
    """Return the differences of ours and the original, by budget and seed."""
    lines, ahead = list[str](), list[float]()
    for budget_s, seed in TRIALS:
        scores = [records[_name(who, budget_s, seed)].values.get("val_bpb") for who in ("ours", "original")]
        if None in scores:
            continue
        ours, theirs = scores
        lines.append(f"{budget_s} s, seed {seed}: ours {ours:.4f}, original {theirs:.4f}: {ours - theirs:+.4f}")
        ahead += [ours - theirs] if budget_s == SHORT_S else []
    if len(ahead) > 1:
        lines.append(f"mean of {len(ahead)} pairs at {SHORT_S} s: {fmean(ahead):+.4f}")
    return [f"- {line}" for line in lines]


def _name(who: str, budget_s: int, seed: int) -> str:
    return f"{who}-{budget_s}s-{seed}"


def _trial(who: str, measure: Callable[[Bench, int, int], None], budget_s: int, seed: int) -> Phase:
    name, limit = _name(who, budget_s, seed), budget_s + OUTSIDE_S[budget_s]
    return Phase(name, limit, f"{who}, {budget_s} s, seed {seed}", lambda bench: measure(bench, budget_s, seed))


TRIALS = (*((SHORT_S, seed) for seed in SEEDS), (LONG_S, SEEDS[0]))
PLAN = Plan(
    Path(__file__).resolve(),
    (
        *(
            _trial(who, measure, budget_s, seed)
            for budget_s, seed in TRIALS
            for who, measure in (("ours", measure_ours), ("original", measure_original))
        ),
        Phase("night", NIGHT_S + 25, "a spoilt base, scripted edits, the judge", run_night),
    ),
    compare,
)  # 2105 s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    phases.add_arguments(parser, "runs/against-original")
    on_card.add_arguments(parser)
    return on_card.run_plan(PLAN, parser.parse_args())


if __name__ == "__main__":
    sys.exit(on_card.guard(main))
