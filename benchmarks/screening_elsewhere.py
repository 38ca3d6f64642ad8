"""Simulate how soon screening on another kind of card ends, by how well its gains agree with the confirming card's.

    python benchmarks/screening_elsewhere.py [--sessions 60] [--candidates 240]

True gains have a standard deviation of 3 sigma in both pools, and are a loss of one sigma on average. What a prescreen
finds better by 0.8 sigma is promoted, and one in twenty of the others is confirmed too.
"""

import argparse
import math
import random
from statistics import median

from autoresearch import judge
from autoresearch.judge import AUDITED_SHARE, Costs, GainPair
from autoresearch.session.screening import MIN_SCREENED

SPREAD, MEAN, BOUND = 3.0, 1.0, -0.8  # in sigma
VARIANCE, CONFIRM_VARIANCE = 4 / 3, 0.8  # of the errors of a screened and of a confirmed gain
CONFIRMING_TRIALS = 2.0
EVERY = 3  # candidates, it is asked whether screening pays


def find_end(correlation: float, slots: int, candidates: int, rng: random.Random) -> int | None:
    """Return the number of the candidate after which screening ends; None if it does not."""
    screened, pairs, promoted = list[float](), list[GainPair](), 0
    for n in range(1, candidates + 1):
        true = rng.gauss(0, SPREAD)
        there = MEAN + correlation * true + math.sqrt(1 - correlation**2) * rng.gauss(0, SPREAD)
        gain = MEAN + true + rng.gauss(0, math.sqrt(VARIANCE))
        screened.append(gain)
        promoted += gain < BOUND
        if gain < BOUND or rng.random() < AUDITED_SHARE:
            confirmed = there + rng.gauss(0, math.sqrt(CONFIRM_VARIANCE))
            pairs.append(GainPair(gain, VARIANCE, confirmed, CONFIRM_VARIANCE))
        if n >= MIN_SCREENED and n % EVERY == 0 and ends(screened, pairs, promoted / n, slots):
            return n
    return None


def ends(screened: list[float], pairs: list[GainPair], promoted: float, slots: int) -> bool:
    spread = judge.true_spread(screened, VARIANCE)
    least = judge.break_even(Costs(slots, 3, promoted, CONFIRMING_TRIALS), spread, VARIANCE)
    return judge.p_too_low(judge.correlation_weights(pairs, spread), least) >= judge.STOP_PROBABILITY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=60)
    parser.add_argument("--candidates", type=int, default=240)
    args = parser.parse_args()
    print("| slots | true correlation | sessions in which screening ends | after so many candidates (median) |")
    print("|---|---|---|---|")
    for slots in (13, 6):
        for correlation in (1.0, 0.8, 0.3, 0.0):
            found = [find_end(correlation, slots, args.candidates, random.Random(s)) for s in range(args.sessions)]
            after = [each for each in found if each is not None]
            share = f"{len(after) / len(found):.0%}"
            print(f"| {slots} + 3 | {correlation} | {share} | {median(after) if after else '-'} |", flush=True)


if __name__ == "__main__":
    main()
