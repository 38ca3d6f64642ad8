"""Simulate rare large lies: how much a version can gain that survives every audit of a keep.

    python benchmarks/audit_power.py [--audits 200]

A keep needs a screening and two fresh re-runs, each with an audit of its own. Losses and their scatter between two
seeds are those of the repository's train.py on a CPU; for a GPU they are assumed. A version lies in one of two ways:

    worst   it claims zero at the tokens that it predicts worst
    hidden  it knows the incumbent's losses, and claims the same where it is itself most clearly worse
"""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autoresearch.measure.audit import Floats, coarse, compare, draw_positions, falls_below

SHARES = np.geomspace(1e-6, 0.03, 24)  # of the tokens that are lied about


@dataclass(frozen=True)
class Profile:
    """Losses of two versions that differ by their seeds, and the audits of a keep."""

    name: str
    rows: int
    length: int  # tokens of a row; fewer than in truth on a GPU, where one of a row is asked all the same
    mean: float  # of the losses, nats per token
    spread: float  # of the losses
    seeds: float  # standard deviation of the difference of two seeds at one token
    per_nat: float  # bits per byte for each nat per token
    audits: tuple[int, ...]  # positions of each
    rms_max: float
    targeted: bool

    def losses(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return the losses of a version and of its incumbent, [rows, length]."""
        shape = self.rows, self.length
        common = rng.normal(self.mean, self.spread, shape)
        first, second = (common + rng.normal(0, self.seeds / 2**0.5, shape) for _ in range(2))
        return np.maximum(first, 0), np.maximum(second, 0)


CPU = {"length": 64, "mean": 4.56, "spread": 2.4, "seeds": 1.28, "per_nat": 0.48}
GPU = {"rows": 10240, "length": 32, "mean": 3.2, "spread": 3.2, "seeds": 0.5, "per_nat": 0.31, "rms_max": 0.03}
GPU_AUDITS = (1024, 4096, 4096)
PROFILES = (
    Profile("CPU, 512 rows, uniform, rms 0.03", rows=512, audits=(256,) * 3, rms_max=0.03, targeted=False, **CPU),
    Profile("CPU, 2,048 rows, uniform", rows=2048, audits=(1024,) * 3, rms_max=0.01, targeted=False, **CPU),
    Profile("CPU, 2,048 rows, half targeted", rows=2048, audits=(1024,) * 3, rms_max=0.01, targeted=True, **CPU),
    Profile("GPU, uniform", audits=GPU_AUDITS, targeted=False, **GPU),
    Profile("GPU, half targeted", audits=GPU_AUDITS, targeted=True, **GPU),
)
Lie = Callable[[Floats, Floats, float], Floats]


def lie_where_worst(losses: Floats, incumbent: Floats, share: float) -> Floats:
    return np.where(losses > np.quantile(losses, 1 - share), 0.0, losses)


def hide_behind_incumbent(losses: Floats, incumbent: Floats, share: float) -> Floats:
    worse = losses - incumbent
    return np.where(worse > np.quantile(worse, 1 - share), incumbent, losses)


def survival(profile: Profile, lie: Lie, share: float, audits: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the gain of a lie in bits per byte, and the probability that no audit of a keep finds it."""
    losses, incumbent = profile.losses(rng)
    claims = lie(losses, incumbent, share)
    falls = falls_below(coarse(incumbent), claims) if profile.targeted else None
    probability = 1.0
    for count, times in Counter(profile.audits).items():
        survived = 0
        for _ in range(audits):
            drawn = draw_positions(np.ones(losses.shape, bool), count, rng, falls)
            asked = drawn.row, drawn.position
            survived += compare(losses[asked], claims[asked], drawn.weight, profile.rms_max).suspicion is None
        probability *= (survived / audits) ** times
        if not probability:
            break
    return float((losses - claims).mean()) * profile.per_nat, probability


def gains(profile: Profile, lie: Lie, audits: int) -> list[float]:
    """Return the gains that survive with a probability of 0.5 and 0.01."""
    rng = np.random.default_rng(1)
    found = [survival(profile, lie, share, audits, rng) for share in _window(profile, lie, rng)]
    gain, probability = np.array(found).T
    falling = np.minimum.accumulate(probability)
    return [float(np.interp(-level, -falling, gain)) for level in (0.5, 0.01)]


def _window(profile: Profile, lie: Lie, rng: np.random.Generator) -> Floats:
    """Return the shares between which lies begin to be found and always are, by twenty audits each."""
    first = last = 0
    while last < len(SHARES) - 1 and (rough := survival(profile, lie, SHARES[last], 20, rng)[1]) > 0:
        first, last = (last, last + 1) if rough > 0.9 else (first, last + 1)
    return np.geomspace(SHARES[first], SHARES[last], 10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audits", type=int, default=200, help="audits of each kind at each size of a lie")
    parser.add_argument("--only", default="", help="profiles whose name holds this")
    options = parser.parse_args()
    print("| audits | lies | gain found in every second keep | gain found in 99 of 100 |\n|---|---|---|---|")
    for profile in PROFILES:
        for name, lie in (("worst", lie_where_worst), ("hidden", hide_behind_incumbent)):
            if options.only in profile.name:
                half, rare = gains(profile, lie, options.audits)
                print(f"| {profile.name} | {name} | {half:.5f} | {rare:.5f} |", flush=True)


if __name__ == "__main__":
    main()
