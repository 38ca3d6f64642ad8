"""Repositories that are measured by numbers of several kinds, and what their pages say."""

from pathlib import Path

from support.repositories import git

HARNESS = """import json
import random
import sys

import policy

seed, out = int(sys.argv[1]), sys.argv[2]
with open(out + "/tasks.jsonl", "w") as file:
    for task in range(60):
        luck = random.Random(f"{seed} {task}").random()
        file.write(json.dumps({"task": f"task-{task}", "score": int(policy.solves(task, luck))}) + "\\n")
print("accuracy:", sum(policy.solves(task, random.Random(f"{seed} {task}").random()) for task in range(60)) / 60)
print("steps:", policy.STEPS)
"""
POLICY = '''"""A policy that solves some of the tasks."""

SKILL = 20
STEPS = 12
LUCK = 0.5


def solves(task, luck):
    return task < SKILL or (task < 45 and luck < LUCK)
'''
SETTINGS = """\
edit: [policy.py]
run:
  command: python harness.py {{seed}} {{out}}
  outputs: [tasks.jsonl]
  timeout: 60s
metric: {metric}
total_pairs: 0
"""
ACCURACY = r"{name: accuracy, goal: max, unit: points, possible: [0, 1], from: {regex: '^accuracy: (\S+)'}}"
STEPS = r"{name: steps, kind: auto, from: {regex: '^steps: (\S+)'}}"
SOLVED = "{name: solved, goal: max, from: {rows: tasks.jsonl}}"
SECONDS = "{name: runtime, from: {clock: run}}"


def make_metric(root: Path, metric: str, **files: str) -> Path:
    """Make a repository whose policy.py may change, with one of the metrics."""
    texts = {"harness.py": HARNESS, "policy.py": POLICY, "program.md": "Solve more tasks.\n", ".gitignore": "/runs/\n"}
    texts |= {f"{name}.py": text for name, text in files.items()}
    root.mkdir(parents=True)
    for name, text in (texts | {"autoresearch.yaml": SETTINGS.format(metric=metric)}).items():
        (root / name).write_text(text)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        git(root, *command)
    return root
