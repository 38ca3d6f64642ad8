"""How much one trial scatters: the base on N seeds, alone and beside a busy neighbour, and the smallest gain kept.

    python benchmarks/noise.py [--seeds 8] [--budget 15cpu]

Quiet and busy trials alternate, so that a slow drift of the machine falls on both.
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
    parser.add_argument("--budget", default=None)
    options = parser.parse_args()
    place = start.place({"budget": options.budget}, Path.cwd())
    text = plan.fitted(Path("train.py").read_text(), place.slot.device)
    scores: dict[str, list[float]] = {"quiet": [], "busy": []}
    print("| seed | neighbour | val_bpb | steps | seconds |\n|---|---|---|---|---|")
    for seed in range(options.seeds):
        for name in scores:
            began = time.monotonic()
            with neighbour(name == "busy"):
                result = measure(text, seed, place.settings, place.data)
            assert result.val_bpb is not None, result.reason
            scores[name].append(result.val_bpb)
            took = time.monotonic() - began
            print(f"| {seed} | {name} | {result.val_bpb:.4f} | {result.reported['step']:.0f} | {took:.1f} |", flush=True)
    print("\n| neighbour | mean | sigma | smallest gain kept |\n|---|---|---|---|")
    for name, values in scores.items():
        gain = smallest_gain(values)
        print(f"| {name} | {fmean(values):.4f} | {stdev(values):.4f} | {gain:.4f} |")


if __name__ == "__main__":
    main()
