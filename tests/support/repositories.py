"""Small repositories, a corpus and a numpy train.py for tests."""

import subprocess
from pathlib import Path

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "wise",
    "owls",
    "watch",
    "from",
    "old",
    "trees",
]

BIGRAM = '''"""A bigram table over bytes: counts, smoothed."""

import numpy as np

SMOOTHING = 0.5  # added to every count
BATCH = 8  # rows
SHARPNESS = 1.0  # exponent of the counts


def train(trial):
    counts = np.zeros((trial.vocab_size, trial.vocab_size), np.float32)
    trial.start()
    batches = trial.batches(BATCH)
    step = 0
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(counts, (x.ravel(), y.ravel()), 1.0)
        step += 1
        trial.log(step=step, loss=1.0 / step)
    logits = SHARPNESS * np.log(counts + SMOOTHING)
    trial.save({"logits": logits.astype(np.float32)}, {})


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
'''


def write_corpus(folder: Path) -> None:
    """Write sixty texts of made-up sentences."""
    for k in range(60):
        lines = [" ".join(WORDS[(k * i + j * j) % len(WORDS)] for j in range(12)) for i in range(20)]
        (folder / f"{k}.txt").write_text(f"story {k}\n" + ".\n".join(lines))


def make_repository(root: Path, train: str) -> Path:
    """Make a git repository with the text as its committed train.py."""
    root.mkdir()
    (root / "train.py").write_text(train)
    (root / "program.md").write_text("Lower val_bpb.\n")
    (root / ".gitignore").write_text("/runs/\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        git(root, *command)
    return root


def git(root: Path, *command: str) -> str:
    """Run git as a user, with an identity for tests."""
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@localhost"]
    return subprocess.run(["git", *identity, *command], cwd=root, check=True, capture_output=True, text=True).stdout
