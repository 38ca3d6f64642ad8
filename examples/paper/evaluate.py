"""Print the accuracy of the predictions in results.json."""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--results", required=True)
parser.add_argument("--labels", required=True)
parser.add_argument("--split", default="test")
args = parser.parse_args()

labels = [int(line) for line in Path(args.labels).read_text().split()]
predictions = json.loads(Path(args.results).read_text())[args.split]
correct = sum(a == b for a, b in zip(predictions, labels, strict=True))
print(json.dumps({"accuracy": correct / len(labels)}))
