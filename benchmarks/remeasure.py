"""Base against tip of a session on fresh seeds, interleaved: what a night's keeps are worth when measured again.

    python benchmarks/remeasure.py TAG [--seeds 8]
"""

import argparse
import math
from pathlib import Path
from statistics import fmean, stdev

from autoresearch import start
from autoresearch.ledger import Ledger
from autoresearch.measure.trial import measure
from autoresearch.workspace import Workspace

FIRST_SEED = 1_000_000  # far from the small seeds that people type


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag")
    parser.add_argument("--seeds", type=int, default=8)
    options = parser.parse_args()
    place = start.place({}, Path.cwd())
    workspace = Workspace(place.root)
    with Ledger.open(place.ledger, readonly=True) as store:
        session = store.session(options.tag)
        assert session is not None, f"no session {options.tag}"
        kept = store.experiments(session.id, verdict="keep")
    scores: dict[int, list[float]] = {kept[0].n: [], kept[-1].n: []}
    texts = {row.n: workspace.read(row.sha or "") for row in (kept[0], kept[-1])}
    for seed in range(FIRST_SEED, FIRST_SEED + options.seeds):
        for n, text in texts.items():
            result = measure(text, seed, place.settings, place.data)
            assert result.val_bpb is not None, result.reason
            scores[n].append(result.val_bpb)
            print(f"experiment {n}, seed {seed}: {result.val_bpb:.4f}", flush=True)
    print("\n| experiment | in the ledger | measured again | sigma |\n|---|---|---|---|")
    for row in (kept[0], kept[-1]):
        print(f"| {row.n} | {row.val_bpb:.4f} | {fmean(scores[row.n]):.4f} | {stdev(scores[row.n]):.4f} |")
    base, tip = scores[kept[0].n], scores[kept[-1].n]
    error = math.sqrt((stdev(base) ** 2 + stdev(tip) ** 2) / options.seeds)
    print(f"\ngain on fresh seeds: {fmean(tip) - fmean(base):+.4f} +- {error:.4f} (one standard error)")


if __name__ == "__main__":
    main()
