"""How proposals are divided between two researchers, in real sessions of `autoresearch run` on a numpy program.

    python benchmarks/arms_night.py [--nights 2] [--experiments 80] [--gains-every 3]

Each arm is a folder of patches. Every third patch of `finder` lowers the score; those of `idle` have no effect; those
of `broken` do not apply. Prints the share of the first arm among the proposals up to 40 and after them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from autoresearch.ledger import Ledger

STEADY_AFTER = 40  # proposals
SCENARIOS = (("finder", "idle"), ("finder", "finder"), ("finder", "broken"))
SETTINGS = {
    "BUDGET": "20steps",
    "DEVICE": "cpu",
    "EVAL_ROWS": "64",
    "SEQ_LEN": "32",
    "SLOTS": "0",
    "TAG": "t",
    "TOTAL_PAIRS": "0",
    "VOCAB_SIZE": "256",
}
PROGRAM = '''"""A bigram table over bytes; each GAIN that is 1 lowers the score, a SPARE does nothing."""

import numpy as np

{constants}
GAINS = [{gains}]


def train(trial):
    counts = np.zeros((trial.vocab_size, trial.vocab_size), np.float32)
    trial.start()
    batches, step = trial.batches(8), 0
    while trial.progress < 1:
        x, y = next(batches)
        np.add.at(counts, (x.ravel(), y.ravel()), 1.0)
        step += 1
        trial.log(step=step, loss=1.0 / step)
    known = (counts + 0.1) / (counts + 0.1).sum(axis=1, keepdims=True)
    uniform = 0.95 * 0.85 ** sum(GAINS)
    mixed = (1 - uniform) * known + uniform / trial.vocab_size
    trial.save({{"logits": np.log(mixed).astype(np.float32)}}, {{}})


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
'''


def names(kind: str, count: int, gains_every: int) -> list[str]:
    """Return the constants that the patches of an arm set, in turn."""
    gains = [kind == "finder" and k % gains_every == 0 for k in range(count)]
    return [f"{'GAIN' if gain else 'SPARE'}_{{arm}}_{k:03}" for k, gain in enumerate(gains)]


def make_night(root: Path, kinds: tuple[str, str], count: int, gains_every: int) -> list[Path]:
    """Write a repository and a folder of patches for each arm; return the folders."""
    of_arms = [[name.format(arm=k) for name in names(kind, count, gains_every)] for k, kind in enumerate(kinds)]
    every = [name for arm in of_arms for name in arm]
    gains = ", ".join(name for name in every if name.startswith("GAIN"))
    text = PROGRAM.format(constants="\n".join(f"{name} = 0" for name in every), gains=gains)
    repository = root / "repository"
    repository.mkdir()
    (repository / "train.py").write_text(text)
    (repository / "program.md").write_text("Lower val_bpb.\n")
    (repository / ".gitignore").write_text("/runs/\n")
    author = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        subprocess.run(["git", *author, *command], cwd=repository, check=True)
    return [
        write_patches(root / f"arm-{k}-{kind}", kind, arm, text)
        for k, (kind, arm) in enumerate(zip(kinds, of_arms, strict=True))
    ]


def write_patches(folder: Path, kind: str, constants: list[str], text: str) -> Path:
    folder.mkdir()
    lines = text.splitlines()
    for k, name in enumerate(constants):
        line = lines.index(f"{name} = 0") + 1
        old = "no such line" if kind == "broken" else f"{name} = 0"
        patch = f"--- a/train.py\n+++ b/train.py\n@@ -{line} +{line} @@\n-{old}\n+{name} = 1\n"
        (folder / f"{k:03}-set-{name.lower()}.patch").write_text(patch)
    return folder


def write_corpus(folder: Path) -> str:
    """Write texts of made-up sentences; return them as a source."""
    folder.mkdir()
    words = ["the", "a", "small", "large", "model", "learns", "forgets", "data", "loss", "step", "night", "day"]
    for k in range(60):
        lines = [" ".join(words[(k * i + j * j) % len(words)] for j in range(12)) for i in range(20)]
        (folder / f"{k}.txt").write_text(f"story {k}\n" + ".\n".join(lines))
    return f"files:{folder}"


def run_night(root: Path, source: str, kinds: tuple[str, str], seed: int, experiments: int, gains_every: int) -> str:
    """Run one session and describe how its proposals were divided."""
    arms = make_night(root, kinds, experiments, gains_every)
    settings = SETTINGS | {"SOURCE": source, "SEED": str(seed), "CACHE": str(root.parent / "cache")}
    env = os.environ | {f"AUTORESEARCH_{name}": value for name, value in settings.items()}
    agent = ",".join(f"scripted:{folder}" for folder in arms)
    command = [sys.executable, "-m", "autoresearch", "run", "--agent", agent, "--max-experiments", str(experiments)]
    done = subprocess.run(command, cwd=root / "repository", env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    with Ledger.open(root / "repository" / "runs" / "ledger.db", readonly=True) as ledger:
        rows = [row for row in ledger.experiments(1) if row.arm is not None and row.origin is None]
    first = [row.arm == f"scripted:{arms[0].name}" for row in rows]
    parts = {f"up to {STEADY_AFTER}": first[:STEADY_AFTER], "after": first[STEADY_AFTER:]}
    shares = ", ".join(f"{name} {sum(part) / max(len(part), 1):.0%} of {len(part)}" for name, part in parts.items())
    kept = sum(row.verdict == "keep" for row in rows)
    return f"{kinds[0]} beside {kinds[1]}, seed {seed}: {shares}; {kept} kept"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=2)
    parser.add_argument("--experiments", type=int, default=80)
    parser.add_argument("--gains-every", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = write_corpus(Path(folder, "corpus"))
        for kinds in SCENARIOS:
            for seed in range(given.nights):
                root = Path(folder, f"{'-'.join(kinds)}-{seed}")
                root.mkdir()
                print(run_night(root, source, kinds, seed, given.experiments, given.gains_every), flush=True)


if __name__ == "__main__":
    main()
