"""How much one trial scatters: the base on N seeds, alone and beside a busy neighbour, and the smallest gain kept.

    python benchmarks/noise.py [--seeds 8] [--budgets 15cpu]

All kinds of trials take turns, so that a slow drift of the machine falls on each of them; several budgets (15cpu,15s)
tell which clock scatters less.
"""

import argparse
import math
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, stdev

from autoresearch import judge, plan, start
from autoresearch.measure.trial import measure


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    """One process that keeps another core busy, or nothing."""
    process = multiprocessing.Process(target=spin, daemon=True)
    if busy:
        process.start()
    yield
    if busy:
        process.kill()
        process.join()


def spin() -> None:
    while True:
        sum(x * x for x in range(100_000))


def smallest_gain(base: list[float]) -> float:
    """The gain, bits per byte, that is kept when every draw of it shows just that, beside this base."""
    incumbent = [judge.Draw(score, k) for k, score in enumerate(base)]
    noise = judge.noise([incumbent])
    for tenths in range(1, 100):
        gain = noise.sigma * tenths / 10
        candidate = [judge.Draw(fmean(base) - gain, len(base) + k) for k in range(5)]
        if any(judge.decide("default", candidate[:k], incumbent, noise).action == "keep" for k in range(1, 6)):
            return gain
    return math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--budgets", default="15cpu", help="of a trial, separated by commas")
    options = parser.parse_args()
    places = [start.place({"budget": budget}, Path.cwd()) for budget in options.budgets.split(",")]
    text = plan.fitted(Path("train.py").read_text(), places[0].slot.device)
    kinds = {(str(place.settings.budget), name): place for place in places for name in ("quiet", "busy")}
    scores: dict[tuple[str, str], list[float]] = {kind: [] for kind in kinds}
    print("| seed | budget | neighbour | val_bpb | steps | seconds |\n|---|---|---|---|---|---|")
    for seed in range(options.seeds):
        for kind, place in kinds.items():
            began = time.monotonic()
            with neighbour(kind[1] == "busy"):
                result = measure(text, seed, place.settings, place.data)
            assert result.val_bpb is not None, result.reason
            scores[kind].append(result.val_bpb)
            cells = f"{result.val_bpb:.4f} | {result.reported['step']:.0f} | {time.monotonic() - began:.1f}"
            print(f"| {seed} | {' | '.join(kind)} | {cells} |", flush=True)
    print("\n| budget | neighbour | mean | sigma | smallest gain kept |\n|---|---|---|---|---|")
    for kind, values in scores.items():
        gain = smallest_gain(values)
        print(f"| {' | '.join(kind)} | {fmean(values):.4f} | {stdev(values):.4f} | {gain:.4f} |")


if __name__ == "__main__":
    main()
