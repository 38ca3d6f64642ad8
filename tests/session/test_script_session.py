"""A session in a repository whose train.py is a script in the shape of karpathy/autoresearch's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.cells import ROOT
from support.repositories import git
from support.triplets import one_line_patch, write_script

from autoresearch.setup.karpathy import recognise

EXAMPLE = ROOT / "examples" / "karpathy"
BETTER = one_line_patch("train.py", "LEARNING_RATE = 0.0005", "LEARNING_RATE = 0.005")
LOGITS = "        logits = self.head(norm(x)).float()"
PEEK = " + 6.0 * F.one_hot(F.pad(idx[:, 1:], (0, 1)), self.head.out_features)"  # at the token that is asked for
FORGED = one_line_patch("train.py", LOGITS, LOGITS + PEEK)
OF_BUILT_IN = [f"AUTORESEARCH_{name}" for name in ("SOURCE", "VOCAB_SIZE", "SEQ_LEN", "BUDGET", "EVAL_ROWS")]

pytestmark = [pytest.mark.slow, pytest.mark.torch]


def make_clone(folder: Path, **settings: object) -> Path:
    """Make a repository of the example, with as little training as shows what is tested."""
    folder.mkdir()
    shutil.copy(EXAMPLE / "train.py", folder)
    text = (EXAMPLE / "prepare.py").read_text()
    (folder / "prepare.py").write_text(text.replace("TIME_BUDGET = 5 ", "TIME_BUDGET = 1 ").replace("2**16", "2**12"))
    (folder / "program.md").write_text("Lower val_bpb.\n")
    (folder / ".gitignore").write_text("/runs/\n")
    (folder / "autoresearch.yaml").write_text(yaml.safe_dump({"replicates": 2, **settings}))
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        git(folder, *command)
    return folder


def call(repository: Path, env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=repository, env=env, capture_output=True, text=True, timeout=580
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def status_of(repository: Path, env: dict[str, str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(call(repository, env, "-m", "autoresearch", "status", "--json"))
    return found


def test_a_better_version_is_kept_and_a_forging_one_is_suspect(tmp_path: Path, settings_of: dict[str, str]) -> None:
    repository, env = make_clone(tmp_path / "clone"), settings_of | {"AUTORESEARCH_BUDGET": "60steps"}
    script = write_script(tmp_path / "script", {"01-better": BETTER, "02-forged": FORGED})
    printed = call(repository, env, "-m", "autoresearch", "run", "--agent", f"scripted:{script}")
    assert "audited, but the clock | cell " in printed
    status = status_of(repository, env)
    assert (status["belief"], status["best"]) == ("audited, but the clock", 1)
    assert status["verdicts"] == {"keep": 1, "suspect": 1}
    assert "LEARNING_RATE = 0.005\n" in git(repository, "show", "autoresearch/t:train.py")
    assert "Belief: audited, but the clock" in git(repository, "show", "autoresearch/t")


def test_the_forging_version_wins_where_train_py_reports_its_own_number(
    tmp_path: Path, settings_of: dict[str, str]
) -> None:
    fork = recognise({name: (EXAMPLE / name).read_text() for name in ("train.py", "prepare.py")})
    assert fork is not None and fork.why_plain is None
    settings = fork.plain_settings()
    settings["run"] = {**settings["run"], "timeout": "90s"}  # type: ignore[dict-item]
    repository = make_clone(tmp_path / "clone", **settings)
    script = write_script(tmp_path / "script", {"01-forged": FORGED})
    env = {name: value for name, value in settings_of.items() if name not in OF_BUILT_IN} | {"HOME": str(tmp_path)}
    call(repository, env, "prepare.py")
    printed = call(repository, env, "-m", "autoresearch", "run", "--agent", f"scripted:{script}")
    assert "reported | " in printed and "print their own number" in printed
    status = status_of(repository, env)
    assert (status["best"], status["verdicts"]) == (1, {"keep": 1})
