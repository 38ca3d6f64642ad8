"""Compare the answers with the right ones: python score.py IN OUT NAME, where NAME is tasks or sealed.

Writes OUT/tasks.jsonl: 1 or 0 for each task.
"""

import json
import sys
from pathlib import Path


def read(path):
    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return {row["task"]: row["answer"] for row in rows}


given, out, name = sys.argv[1:]
answers, right = read(f"{given}/{name}.jsonl"), read(f"hidden/{name}.jsonl")
rows = [{"task": task, "score": int(answers.get(task) == answer)} for task, answer in right.items()]
Path(out, "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
