"""Small projects with an evaluator, one for each word for what may be believed, and their referee."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from support.repositories import git

from autoresearch import config
from autoresearch.measure.command_referee import CommandReferee
from autoresearch.measure.command_spec import CommandSpec
from autoresearch.measure.settings import Settings
from autoresearch.setup.command import read_command
from autoresearch.setup.project import budget
from autoresearch.source_tree import EditRules, TreeLimits
from autoresearch.workspace.workspace import Workspace

MODEL = '"""A slow sum."""\n\n\ndef predict(x):\n    return sum(i * x for i in range(2000))\n'
BENCH = """import json
import sys
import time

import model

start = time.perf_counter()
total = sum(model.predict(x) for x in range(300))
print(f"seconds: {time.perf_counter() - start:.6f}")
"""
BY_NAME = BENCH.replace("import json", "import subprocess").replace(
    'print(f"seconds: {time.perf_counter() - start:.6f}")',
    'subprocess.run(["python", "report.py", str(time.perf_counter() - start)], check=True)',
)
REPORT = 'import sys\n\nprint(f"seconds: {float(sys.argv[1]):.6f}")\n'
PREDICT = """import json
import sys

import model

with open(sys.argv[1] + "/pred.json", "w") as file:
    json.dump([model.predict(x) for x in range(5)], file)
print('{"error": 0.75}')
"""
SCORE = """import json
import sys

pred, truth = (json.load(open(path)) for path in sys.argv[1:])
print(json.dumps({"error": sum(abs(a - b) for a, b in zip(pred, truth, strict=True)) / 1e7}))
"""
RATE = """import json
import sys

import model

with open(sys.argv[1] + "/tasks.jsonl", "w") as file:
    for task in range(4):
        file.write(json.dumps({"task": task, "score": float(model.predict(task) > 3e6)}) + "\\n")
"""
TIMED = "metric: {name: seconds, from: {regex: '^seconds: (\\S+)$'}}\n"
YAML = {
    "in-process": "edit: [model.py]\nrun: {command: python bench.py, timeout: 60s}\n" + TIMED,
    "reported": "edit: [bench.py, model.py]\nrun: {command: python bench.py, timeout: 60s}\n" + TIMED,
    "separate": """edit: [model.py, predict.py]
run: {command: "python predict.py {out}", outputs: [pred.json], timeout: 60s}
score: {command: "python score.py {in}/pred.json labels.json", private: [labels.json], timeout: 60s}
metric: {name: error, from: {json: $.error}}
""",
    "clock": "edit: [model.py]\nrun: {command: python bench.py}\nmetric: {name: seconds, from: {clock: run}}\n",
    "rate": """edit: [model.py]
run: {command: "python bench.py {out}", outputs: [tasks.jsonl], timeout: 60s}
metric: {name: solved, from: {rows: tasks.jsonl}, goal: max}
""",
}


@dataclass(frozen=True)
class Measured:
    """A project, and what measures it."""

    root: Path
    spec: CommandSpec
    referee: CommandReferee
    base: str
    limits: TreeLimits


def make_evaluator(root: Path, word: str, files: dict[str, str] | None = None) -> Path:
    """Make a repository whose number may be believed by a word; `files` replace some of its own."""
    texts = {"model.py": MODEL, "bench.py": BENCH, "report.py": REPORT, "predict.py": PREDICT, "score.py": SCORE}
    texts |= {"labels.json": "[0, 1, 2, 3, 4]", config.FILE: YAML[word], "program.md": "", ".gitignore": "/runs/\n"}
    root.mkdir()
    for name, text in (texts | (files or {})).items():
        (root / name).write_text(text)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        git(root, *command)
    return root


@contextmanager
def open_referee(root: Path) -> Iterator[Measured]:
    settings = config.load(root, {})
    workspace, spec = Workspace.of(root, settings), read_command(root, settings)
    head, rules = workspace.head(), EditRules(tuple(settings.edit), settings.create)
    slot = Settings(budget(settings, "cpu"), memory=1 << 30)
    referee = CommandReferee(slot, spec, partial(workspace.export, head))
    try:
        yield Measured(root, spec, referee, workspace.read(head), workspace.limits(head, rules, spec.places))
    finally:
        referee.close()
