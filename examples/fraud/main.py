"""Learn from labelled payments, then judge later ones as they come in: python main.py SEED OUT"""

import csv
import json
import sys
import time
from pathlib import Path

import numpy as np
from features import Features
from model import Model


def read(name):
    with open(f"data/{name}.csv") as file:
        return [{key: int(value) for key, value in row.items()} for row in csv.DictReader(file)]


seed, out = int(sys.argv[1]), Path(sys.argv[2])
train, features = read("train"), Features()
labels = np.array([payment.pop("fraud") for payment in train], dtype=float)
model = Model(np.array([features.describe(payment) for payment in train], dtype=float), labels, seed)
result, seconds = {}, []
for name in ("validation", "sealed"):
    result[name] = []
    for payment in read(name):
        began = time.perf_counter()
        result[name].append(model.score(features.describe(payment)))
        seconds.append(time.perf_counter() - began)
result["p99_ms"] = 1000 * float(np.quantile(seconds, 0.99))
(out / "result.json").write_text(json.dumps(result))
print(f"p99 of a payment: {result['p99_ms']:.3f} ms")
