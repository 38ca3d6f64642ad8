"""Real nights whose truth is known: forty edits without effect, or with six gains and six harmful ones among them.

    python benchmarks/nights.py null|planted [--folder DIR]     # one session with the scripted agent, then its log
    python benchmarks/nights.py effects [--seeds 3]             # what the planted edits are worth, each on its own

The planted base has six constants spoilt; each gain puts one of them right. Edits without effect add a name that nothing uses.
Everything runs through the program, on the profile of this machine, from a repository made for it.
"""

import argparse
import difflib
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean

from autoresearch import plan, source, start
from autoresearch.measure.trial import measure

SPOILT = {"BATCH_TOKENS": 2048, "MLP_RATIO": 10, "HEAD_DIM": 8, "ADAM_BETA1": 0.96, "DEPTH": 3, "SOFTCAP": 4.0}
HARMFUL = {
    "MATRIX_LR": 0.4, "EMBED_LR": 0.01, "HEAD_LR": 0.3, "QK_SCALE": 8.0, "VALUE_GATE_MAX": 30.0, "ATTN_SCALE": -1.3,
}  # fmt: skip
EDITS = 40
ANCHOR = "FINAL_LR = "  # the last constant: names without use stand below it


def spoilt(text: str) -> str:
    """The base of a planted night."""
    return source.with_constants(text, SPOILT)


def without_effect(text: str, k: int) -> str:
    """The text with one more name that nothing uses."""
    lines = text.splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith(ANCHOR))
    return "".join([*lines[: at + 1], f'UNUSED_{k} = "{k}"\n', *lines[at + 1 :]])


def edits(kind: str, text: str) -> list[tuple[str, str]]:
    """Name and whole text of each edit, before any was kept."""
    good = plan_values(text)
    base = spoilt(text) if kind == "planted" else text
    found = []
    if kind == "planted":
        found += [(f"gain {name}", source.with_constants(base, {name: good[name]})) for name in SPOILT]
        found += [(f"harm {name}", source.with_constants(base, {name: value})) for name, value in HARMFUL.items()]
    found += [(f"nothing {k}", without_effect(base, k)) for k in range(EDITS - len(found))]
    random.Random(1).shuffle(found)
    return found


def plan_values(text: str) -> dict[str, float]:
    """The constants of the text."""
    return {constant.name: constant.value for constant in source.constants(text)}


def prepared(kind: str, folder: Path) -> None:
    """A repository with the base, and a folder of patches beside it."""
    text = plan.fitted(Path("train.py").read_text(), "cpu")
    base = spoilt(text) if kind == "planted" else text
    root, script = folder / "repository", folder / "script"
    for path in (root, script):
        path.mkdir(parents=True)
    (root / "train.py").write_text(base)
    shutil.copy("program.md", root)
    (root / ".gitignore").write_text("/runs/\n")
    identity = ["-c", "user.name=nights", "-c", "user.email=nights@localhost"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", f"base of the {kind} night"]):
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    for k, (name, edited) in enumerate(edits(kind, text), 1):
        (script / f"{k:02}-{name.replace(' ', '-').lower()}.patch").write_text(patch(base, edited))


def patch(before: str, after: str) -> str:
    """Without any line around the change, so that it applies whatever was kept near it."""
    lines = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(*lines, "a/train.py", "b/train.py", n=0))


def night(kind: str, folder: Path) -> None:
    """Run it, print its log and the honest total."""
    prepared(kind, folder)
    program = [sys.executable, "-P", "-m", "autoresearch"]
    root = folder / "repository"
    subprocess.run([*program, "run", "--agent", f"scripted:{folder / 'script'}", "--tag", kind], cwd=root, check=True)
    subprocess.run([*program, "log", "--all"], cwd=root, check=True)


def effects(seeds: int) -> None:
    """Each planted edit alone on the spoilt base, on the same seeds as the base."""
    place = start.place({}, Path.cwd())
    text = plan.fitted(Path("train.py").read_text(), place.slot.device)
    base, good = spoilt(text), plan_values(text)
    gains = {name: source.with_constants(base, {name: good[name]}) for name in SPOILT}
    harms = {name: source.with_constants(base, {name: value}) for name, value in HARMFUL.items()}
    texts = {"base": base, "all six": text, **gains, **harms}
    scores: dict[str, list[float]] = {name: [] for name in texts}
    for seed in range(seeds):
        for name, each in texts.items():
            result = measure(each, seed, place.settings, place.data)
            assert result.val_bpb is not None, f"{name}: {result.reason}"
            scores[name].append(result.val_bpb)
    print("| edit | val_bpb | effect |\n|---|---|---|")
    for name, values in scores.items():
        print(f"| {name} | {fmean(values):.4f} | {fmean(values) - fmean(scores['base']):+.4f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["null", "planted", "effects"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    if options.what == "effects":
        effects(options.seeds)
    else:
        night(options.what, options.folder or Path(tempfile.mkdtemp(prefix="night-")))


if __name__ == "__main__":
    main()
