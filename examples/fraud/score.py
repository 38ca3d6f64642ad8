"""Score the judged payments: python score.py IN NAME, where NAME is validation or sealed.

Prints the average precision; the gap between the groups A and B in the share of fraud that is found; the latency.
"""

import csv
import json
import math
import sys
from itertools import groupby
from operator import itemgetter
from pathlib import Path

ALARMS = 0.06  # share of the payments that somebody can look at


def average_precision(scores, labels):
    """Return the area under precision over recall; equal scores are one step."""
    found = seen = 0
    total = 0.0
    ranked = sorted(zip(scores, labels, strict=True), reverse=True)
    for _, step in groupby(ranked, key=itemgetter(0)):
        fraud = [label for _, label in step]
        found, seen = found + sum(fraud), seen + len(fraud)
        total += sum(fraud) * found / seen
    return total / found


def gap(scores, labels, groups):
    """Return the difference between the groups in the share of fraud among the alarms."""
    limit = sorted(scores, reverse=True)[int(ALARMS * len(scores))]
    shares = []
    for group in (0, 1):
        fraud = [s > limit for s, label, g in zip(scores, labels, groups, strict=True) if label and g == group]
        shares.append(sum(fraud) / len(fraud))
    return abs(shares[0] - shares[1])


if __name__ == "__main__":
    folder, name = sys.argv[1:]
    result = json.loads(Path(folder, "result.json").read_text())
    scores, labels = result[name], [int(line) for line in Path(f"hidden/{name}.txt").read_text().split()]
    with open(f"data/{name}.csv") as file:
        groups = [int(row["group"]) for row in csv.DictReader(file)]
    if not all(type(score) is float and math.isfinite(score) for score in scores):
        sys.exit("every score has to be a finite number")
    precision = average_precision(scores, labels)
    facts = {"average_precision": precision, "gap": gap(scores, labels, groups), "p99_ms": result["p99_ms"]}
    print(json.dumps(facts))
