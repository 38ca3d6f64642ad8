"""A repository whose versions are several files, measured by a command: a curve to fit, with noise by the seed."""

import json
from pathlib import Path

from support.repositories import git

MODEL = '''"""A line through the points."""

SLOPE = 1.0


def predict(x, offset):
    return SLOPE * x + offset
'''
SETTINGS = "# of the model\nmodel:\n  offset: 0.5\n  rate: 1.0e-3\n"
BENCH = """import json
import random
import sys

from src import model

seed, out = int(sys.argv[1]), sys.argv[2]
offset = float(open("settings.yaml").read().split("offset:")[1].split()[0])
points = [(x / 10, 2.0 * x / 10 + 0.25) for x in range(20)]
error = sum((model.predict(x, offset) - y) ** 2 for x, y in points) / len(points)
error += random.Random(seed).gauss(0, 0.001)
print(f"error: {error:.6f}")
with open(out + "/result.json", "w") as file:
    json.dump({"error": {"mean": error}}, file)
"""
YAML = """\
edit: [src/model.py, settings.yaml]
run:
  command: python bench.py {seed} {out}
  outputs: [result.json]
  timeout: 60s
metric:
  name: error
  from: {json: $.error.mean}
total_pairs: 0
"""
BETTER = '''--- a/src/model.py
+++ b/src/model.py
@@ -1,5 +1,5 @@
 """A line through the points."""
 
-SLOPE = 1.0
+SLOPE = 2.0
 
 
--- a/settings.yaml
+++ b/settings.yaml
@@ -1,4 +1,4 @@
 # of the model
 model:
-  offset: 0.5
+  offset: 0.25
   rate: 1.0e-3
'''


def make_triplet(root: Path, settings: str = YAML) -> Path:
    """Make a repository with two files that may change, a locked program that measures, and settings."""
    files = {"src/__init__.py": "", "src/model.py": MODEL, "settings.yaml": SETTINGS, "bench.py": BENCH}
    files |= {"autoresearch.yaml": settings, "program.md": "Lower the error.\n", ".gitignore": "/runs/\n"}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        git(root, *command)
    return root


def write_script(folder: Path, patches: dict[str, str]) -> Path:
    folder.mkdir()
    for name, patch in patches.items():
        (folder / f"{name}.patch").write_text(patch)
    return folder


def one_line_patch(path: str, old: str, new: str) -> str:
    """Return a patch of one line, whose place `git apply` finds."""
    return f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{old}\n+{new}\n"


PREDICT = """import json
import sys

from src import model

seed, out = sys.argv[1:]
offset = float(open("settings.yaml").read().split("offset:")[1].split()[0])
with open(out + "/pred.json", "w") as file:
    json.dump({"seed": int(seed), "values": [model.predict(x / 10, offset) for x in range(20)]}, file)
print('{"error": 0.0}')
"""
SCORE = """import json
import random
import sys

pred = json.load(open(sys.argv[1] + "/pred.json"))
truth = json.load(open(sys.argv[2]))
error = sum((a - b) ** 2 for a, b in zip(pred["values"], truth, strict=True)) / len(truth)
error += random.Random(pred["seed"] + len(sys.argv[2])).gauss(0, 0.001)
print(json.dumps({"error": error}))
"""
SEPARATE = """\
edit: [src/model.py, settings.yaml, predict.py]
run:
  command: python predict.py {seed} {out}
  outputs: [pred.json]
  timeout: 60s
score:
  command: python score.py {in} labels.json
  private: [labels.json]
holdout:
  command: python score.py {in} data/sealed.json
  private: [data/sealed.json]
metric:
  name: error
  from: {json: $.error}
total_pairs: 2
"""


def make_separate(root: Path) -> Path:
    """Make a repository whose number is computed by locked files from outputs and private answers.

    The answers of `score` are in git, those of the holdout are not.
    """
    root.mkdir()
    answers = [2.0 * x / 10 + 0.25 for x in range(20)]
    sealed = [2.0 * x / 10 + 0.27 for x in range(20)]
    for name, text in {"predict.py": PREDICT, "score.py": SCORE, "labels.json": json.dumps(answers)}.items():
        (root / name).write_text(text)
    make_triplet(root, SEPARATE)
    (root / "data").mkdir()
    (root / "data/sealed.json").write_text(json.dumps(sealed))
    return root
