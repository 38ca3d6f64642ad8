"""Run sessions with known effects: forty edits without any, or with six gains and six harmful ones among them.

    python benchmarks/nights.py null|planted [--folder DIR]     # one session with the scripted agent, then its log
    python benchmarks/nights.py effects [--seeds 3]             # the effect of each planted edit on its own

The planted base has bad values for six constants; a gain restores one of them. Each harmful edit gives a bad value to
another constant; edits without effect add a name that nothing uses. The budget is a number of steps, so that effects
are those of the edits, not of the host. Everything runs through the program, on the profile of this machine, from a
repository made for it.
"""

import argparse
import difflib
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean

from autoresearch.measure.referee import CellReferee
from autoresearch.setup import plan
from autoresearch.setup.project import open_project
from autoresearch.source import constants

BUDGET = "250steps"
BAD_VALUES = {
    "QK_SCALE": 4.0, "EMBED_LR": 0.05, "ADAM_BETA1": 0.97, "MATRIX_WEIGHT_DECAY": 5.0, "FINAL_LR": 0.9,
    "VALUE_GATE_MAX": 12.0,
}  # fmt: skip
HARMFUL = {"HEAD_LR": 0.3, "ATTN_SCALE": -1.3, "SOFTCAP": 2.0, "MATRIX_LR": 0.3, "MLP_RATIO": 1, "WARMDOWN": 0.02}
EDITS = 40
ANCHOR = "FINAL_LR = "  # the last constant: unused names are added below it


def planted_base(text: str) -> str:
    """Return the base of a planted session."""
    return constants.with_constants(text, BAD_VALUES)


def insert(text: str, lines: str) -> str:
    """Insert lines below the last constant of a text."""
    before, line, after = re.split(f"({ANCHOR}.*\\n)", text, maxsplit=1)
    return before + line + lines + after


def effective_edits(text: str) -> dict[str, str]:
    """Return the edits of the planted base that have an effect, by name."""
    good = {constant.name: constant.value for constant in constants.constants(text)}
    base = planted_base(text)
    gains = {f"gain {name}": constants.with_constants(base, {name: good[name]}) for name in BAD_VALUES}
    return gains | {f"harm {name}": constants.with_constants(base, {name: value}) for name, value in HARMFUL.items()}


def edits(kind: str, text: str) -> list[tuple[str, str]]:
    """Return name and whole text of each edit of the base."""
    found = list(effective_edits(text).items()) if kind == "planted" else []
    base = planted_base(text) if kind == "planted" else text
    found += [(f"nothing {k}", insert(base, f'UNUSED_{k} = "{k}"\n')) for k in range(EDITS - len(found))]
    random.Random(1).shuffle(found)
    return found


def prepare(kind: str, folder: Path) -> None:
    """Create a repository with the base, and a folder of patches next to it."""
    text = plan.fit_device(Path("train.py").read_text(), "cpu")
    base = planted_base(text) if kind == "planted" else text
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
    """Return a diff without context lines, so that it applies whatever was kept near it."""
    lines = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(*lines, "a/train.py", "b/train.py", n=0))


def run_session(kind: str, folder: Path) -> None:
    """Run a session, print its log and the honest total."""
    prepare(kind, folder)
    program = [sys.executable, "-P", "-m", "autoresearch"]
    root = folder / "repository"
    subprocess.run(
        [*program, "run", "--agent", f"scripted:{folder / 'script'}", "--tag", kind, "--budget", BUDGET],
        cwd=root,
        check=True,
    )
    subprocess.run([*program, "log", "--all"], cwd=root, check=True)


def effects(seeds: int) -> None:
    """Measure each planted edit alone on its base, on the same seeds as the base."""
    project = open_project({"budget": BUDGET}, Path.cwd())
    text = plan.fit_device(Path("train.py").read_text(), project.slot.device)
    texts = {"base": planted_base(text), "all six gains": text, **effective_edits(text)}
    scores: dict[str, list[float]] = {name: [] for name in texts}
    for seed in range(seeds):
        for name, each in texts.items():
            result = CellReferee(project.settings, project.data).measure(each, seed)
            if result.val_bpb is None:
                print(f"{name}: {result.outcome} {result.reason}", flush=True)
            else:
                scores[name].append(result.val_bpb)
    print("| edit | val_bpb | effect |\n|---|---|---|")
    for name, values in scores.items():
        if values:
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
        run_session(options.what, options.folder or Path(tempfile.mkdtemp(prefix="night-")))


if __name__ == "__main__":
    main()
