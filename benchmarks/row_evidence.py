"""Say what scores of single rows tell about the difference of two versions beyond their means.

    python benchmarks/row_evidence.py RUNS

RUNS is the folder of a session under `runs/`: its trial-K.npz hold the loss of each scored row. Three questions:

- How much of the variance between trials of one version would other rows remove? (rows against seeds)
- Do two versions share the luck of a seed? (pairs with one seed)
- Can the pattern over rows tell luck from effect? A ridge regression learns from trials of all other versions to
  predict a trial's deviation from its version's mean, from its rows minus their mean. It is then applied to the means
  of versions, where what it calls luck is a true effect.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np

RIDGES = (0.1, 1.0, 10.0)  # in mean squares of the patterns


def read(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows' bits per byte [trials, rows], the version of each trial, and its seed."""
    rows, versions, seeds = [], [], []
    for path in sorted(folder.glob("*/trial-*.npz")):
        found = np.load(path)
        rows.append(found["nats"] / np.log(2) / found["bytes"].mean())
        versions.append(int(re.findall(r"\d+", path.parent.name)[0]))
        seeds.append(json.loads(path.with_suffix(".json").read_text())["seed"])
    return np.array(rows), np.array(versions), np.array(seeds)


def deviations(rows: np.ndarray, versions: np.ndarray) -> np.ndarray:
    """Return each trial minus its version's mean, with the variance of a single trial; nan where there is one."""
    found = np.full_like(rows, np.nan)
    for version in np.unique(versions):
        mine = versions == version
        if (count := mine.sum()) > 1:
            found[mine] = (rows[mine] - rows[mine].mean(axis=0)) * np.sqrt(count / (count - 1))
    return found


def rows_against_seeds(rows: np.ndarray, versions: np.ndarray) -> None:
    pairs = [(i, j) for i in range(len(rows)) for j in range(i) if versions[i] == versions[j]]
    differences = np.array([rows[i] - rows[j] for i, j in pairs])
    between = np.mean(differences.mean(axis=1) ** 2)
    sampling = np.mean(differences.var(axis=1, ddof=1)) / rows.shape[1]
    print(f"{len(pairs)} pairs of trials of one version: difference {between**0.5:.4f} (root mean square)")
    print(f"the choice of rows explains {sampling / between:.1%} of the variance (standard error {sampling**0.5:.4f})")


def shared_luck(luck: np.ndarray, versions: np.ndarray, seeds: np.ndarray) -> None:
    known = [i for i in range(len(luck)) if not np.isnan(luck[i])]
    pairs = [(i, j) for i in known for j in known if j < i and seeds[i] == seeds[j] and versions[i] != versions[j]]
    one, other = (luck[list(side)] for side in zip(*pairs, strict=True))
    print(
        f"{len(pairs)} pairs of versions with one seed: correlation of their luck {np.corrcoef(one, other)[0, 1]:.2f}"
    )


def patterns(rows: np.ndarray, versions: np.ndarray, deviation: np.ndarray) -> None:
    """Predict luck from patterns, for held-out versions; then apply it to the effects of versions."""
    known = ~np.isnan(deviation[:, 0])
    luck, pattern, owner = deviation[known].mean(axis=1), centre(deviation[known]), versions[known]
    means = np.array([rows[versions == version].mean(axis=0) for version in np.unique(owner)])
    effects, effect_patterns = np.diff(means.mean(axis=1)), centre(np.diff(means, axis=0))
    print("\n| ridge | variance of luck that is left | of a true effect called luck, median |\n|---|---|---|")
    for ridge in RIDGES:
        guess = np.zeros_like(luck)
        for version in np.unique(owner):
            out = owner == version
            guess[out] = pattern[out] @ fit(pattern[~out], luck[~out], ridge)
        called = np.abs(effect_patterns @ fit(pattern, luck, ridge)) / np.abs(effects)
        left = np.sum((luck - guess) ** 2) / np.sum(luck**2)
        print(f"| {ridge:g} | {left:.0%} | {np.median(called):.0%} |")


def centre(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def fit(pattern: np.ndarray, luck: np.ndarray, ridge: float) -> np.ndarray:
    """Return the weights of the rows by ridge regression."""
    kernel = pattern @ pattern.T
    kernel += ridge * np.trace(kernel) / len(kernel) * np.eye(len(kernel))
    return np.asarray(pattern.T @ np.linalg.solve(kernel, luck))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    rows, versions, seeds = read(parser.parse_args().runs)
    deviation = deviations(rows, versions)
    rows_against_seeds(rows, versions)
    shared_luck(deviation.mean(axis=1), versions, seeds)
    patterns(rows, versions, deviation)


if __name__ == "__main__":
    main()
