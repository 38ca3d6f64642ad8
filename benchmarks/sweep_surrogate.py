"""A surrogate of real short trials: a Gaussian process over all constants, fitted to a bank of sweep_trials.py.

    python benchmarks/sweep_surrogate.py BANK.jsonl ...

It prints how well it predicts trials that it has not seen. Coordinates are those of `sweep` (log2; what is near 1 by
its distance from 1). The kernel is a sum of one smooth function for each constant and one of all constants together.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev

import numpy as np
import torch
from cpu_base import BASES

from autoresearch.agents.sweep.sweep_agent import knobs
from autoresearch.source.constants import constants

FLOOR = 1.5  # bits per byte: scores are modelled as log(score - FLOOR), so that bad ones do not rule the fit
REACH = 3.0  # log2 units: constants further away from a base count as this far
STEPS = 300  # of the fit


@dataclass
class Bank:
    """Trials as arrays: x [n, constants], y [n], log of the machine's speed [n]; and what failed."""

    names: list[str]
    kinds: dict[str, str]
    centre: np.ndarray
    x: np.ndarray
    y: np.ndarray
    speed: np.ndarray
    replicates: dict[str, list[float]]


def read(paths: Sequence[Path]) -> Bank:
    """Read banks of one or more bases; raises KeyError if their constants differ."""
    rows = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    texts = {name: make() for name, make in BASES.items()}
    kinds = {knob.constant.name: knob.kind for knob in knobs(texts["untuned"])}
    values = {name: {c.name: c.value for c in constants(text)} for name, text in texts.items()}
    scored = [row for row in rows if row["bpb"] is not None]
    x = np.array([point(kinds, {**values[row["base"]], **row["values"]}) for row in scored])
    replicates: dict[str, list[float]] = {}
    for row in scored:
        if not row["values"]:
            replicates.setdefault(row["base"], []).append(row["bpb"])
    speed = np.log([row["reference_ms"] for row in scored])
    y = np.array([row["bpb"] for row in scored])
    centre = np.array(point(kinds, values["untuned"]))
    return Bank(list(kinds), kinds, centre, x, y, speed - speed.mean(), replicates)


def point(kinds: Mapping[str, str], values: Mapping[str, float]) -> list[float]:
    """Return coordinates of constants; those that are missing or 0 are far below."""
    return [_position(kind, values.get(name, 0)) for name, kind in kinds.items()]


def _position(kind: str, value: float) -> float:
    if kind == "complement":
        return math.log2(max(1 - value, 2**-20))
    return math.log2(abs(value)) if value else -20.0


class Surrogate:
    """Posterior mean of the process; `sigma` is the noise of one trial in bits per byte, at the base's level."""

    def __init__(self, bank: Bank, keep: np.ndarray | None = None) -> None:
        self.bank = bank
        keep = np.ones(len(bank.y), bool) if keep is None else keep
        x, y = self._near(bank.x[keep]), np.log(np.maximum(bank.y[keep] - FLOOR, 0.02))
        self.x, self.level = torch.from_numpy(x), float(np.median(y))
        self.y = torch.from_numpy(y - self.level)
        self.speed = torch.from_numpy(bank.speed[keep])
        size = x.shape[1]
        self.log_length = torch.full((size,), math.log(2.0), dtype=torch.float64, requires_grad=True)
        self.log_scale = torch.full((size,), math.log(0.1), dtype=torch.float64, requires_grad=True)
        joint = [math.log(4.0)] * size, math.log(0.3)
        self.log_joint = torch.tensor(joint[0], dtype=torch.float64, requires_grad=True)
        self.log_joint_scale = torch.tensor(joint[1], dtype=torch.float64, requires_grad=True)
        self.log_noise = torch.tensor(math.log(0.08), dtype=torch.float64, requires_grad=True)
        self._fit()

    def _near(self, x: np.ndarray) -> np.ndarray:
        return np.clip(x - self.bank.centre, -2 * REACH, 2 * REACH)

    def _kernel(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        apart = (a[:, None, :] - b[None, :, :]) ** 2
        single = torch.exp(-0.5 * apart / torch.exp(2 * self.log_length)) * torch.exp(2 * self.log_scale)
        joint = torch.exp(-0.5 * (apart / torch.exp(2 * self.log_joint)).sum(-1)) * torch.exp(2 * self.log_joint_scale)
        return single.sum(-1) + joint

    def _system(self) -> torch.Tensor:
        noise = torch.exp(2 * self.log_noise) * torch.eye(len(self.y), dtype=torch.float64)
        drift = 0.25 * self.speed[:, None] * self.speed[None, :]  # a linear effect of the machine's speed
        return self._kernel(self.x, self.x) + noise + drift + 0.25

    def _fit(self) -> None:
        free = [self.log_length, self.log_scale, self.log_joint, self.log_joint_scale, self.log_noise]
        optimizer = torch.optim.Adam(free, lr=0.03)
        for _ in range(STEPS):
            optimizer.zero_grad()
            root = torch.linalg.cholesky(self._system())
            solved = torch.cholesky_solve(self.y[:, None], root)[:, 0]
            prior = 0.02 * ((self.log_length - 0.7) ** 2).sum() + 0.02 * ((self.log_joint - 1.4) ** 2).sum()
            sparse = 0.1 * (self.log_scale - math.log(0.03)).clamp_min(0).sum()  # most constants matter little
            loss = 0.5 * self.y @ solved + root.diagonal().log().sum() + prior + sparse
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            self.weights = torch.cholesky_solve(self.y[:, None], torch.linalg.cholesky(self._system()))[:, 0]

    @torch.no_grad()
    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return expected bits per byte of points x [n, constants], on the machine at its mean speed."""
        near = torch.from_numpy(np.clip(x - self.bank.centre, -2 * REACH, 2 * REACH))
        mean = self._kernel(near, self.x) @ self.weights + 0.25 * self.weights.sum()
        return FLOOR + np.exp(mean.numpy() + self.level)

    def of_values(self, values: Mapping[str, float]) -> float:
        """Return expected bits per byte of a version by its constants; infinite if it cannot be built."""
        if values["MODEL_DIM"] % values["HEAD_DIM"] or values["HEAD_DIM"] % 2:
            return math.inf
        return float(self.predict(np.array([point(self.bank.kinds, values)]))[0])

    def influence(self) -> dict[str, float]:
        """Return the standard deviation of the effect of each constant alone, in log units."""
        return dict(zip(self.bank.names, self.log_scale.detach().exp().tolist(), strict=True))


def main() -> None:
    torch.set_num_threads(1)
    bank = read([Path(name) for name in sys.argv[1:]])
    for name, scores in bank.replicates.items():
        spread = stdev(scores) if len(scores) > 1 else math.nan
        print(f"{name}: {len(scores)} trials of the base, mean {np.mean(scores):.4f}, sigma {spread:.4f}")
    folds = np.arange(len(bank.y)) % 5
    errors = np.empty(len(bank.y))
    for fold in range(5):
        predicted = Surrogate(bank, folds != fold).predict(bank.x[folds == fold])
        errors[folds == fold] = predicted - bank.y[folds == fold]
    usual = bank.y < np.quantile(bank.y, 0.8)
    print(f"{len(bank.y)} trials; of the best 80 %, unseen: error {np.sqrt(np.mean(errors[usual] ** 2)):.4f} rms,")
    print(f"spread of scores {bank.y[usual].std():.4f}, correlation {np.corrcoef(errors + bank.y, bank.y)[0, 1]:.2f}")
    surrogate = Surrogate(bank)
    print(f"noise {math.exp(float(surrogate.log_noise)):.3f} of score - {FLOOR}")
    for name, size in sorted(surrogate.influence().items(), key=lambda item: -item[1])[:16]:
        print(f"  {name:22} {size:.3f}")


if __name__ == "__main__":
    main()
