"""Ablation, pruning, reverts and reviews of kept changes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.repositories import git, make_repository
from support.shapes import as_documented

GAIN = ("SMOOTHING = 0.5 ", "SMOOTHING = 0.02 ")
UNUSED = "\n\ndef unused(values):\n    return [value + 1 for value in values]\n"
IDLE = "    step = 0\n"  # names without use come before it


@pytest.fixture(scope="module")
def greedy(settings_of: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a session that keeps one real gain, and changes with almost no effect."""
    from support.repositories import BIGRAM

    folder = tmp_path_factory.mktemp("greedy")
    root, script = make_repository(folder / "repository", BIGRAM), folder / "script"
    script.mkdir()
    at = BIGRAM.split("\n").index(IDLE.rstrip())
    (script / "01-smoother.py").write_text(BIGRAM.replace(*GAIN))
    for k in range(2, 9):
        (script / f"{k:02}-idle.patch").write_text(
            f"--- a/train.py\n+++ b/train.py\n@@ -{at},0 +{at + 1} @@\n+    unused_{k} = {k}\n"
        )
    done = program(
        root,
        settings_of,
        "run",
        "--agent",
        f"scripted:{script}",
        "--judge",
        "greedy",
        AUTORESEARCH_SEED="5",
        AUTORESEARCH_TOTAL_PAIRS="0",
    )
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def repository(greedy: Path, tmp_path: Path) -> Path:
    return shutil.copytree(greedy, tmp_path / "repository")


def program(root: Path, env: dict[str, str], *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoresearch", *words]
    return subprocess.run(command, cwd=root, env=env | more, capture_output=True, text=True, timeout=280)


def answer(root: Path, env: dict[str, str], *words: str, code: int = 0) -> Any:
    done = program(root, env, *words, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def text(root: Path) -> str:
    return git(root, "show", "refs/autoresearch/t/best:train.py")


def kept_numbers(root: Path, env: dict[str, str]) -> list[int]:
    return [row["n"] for row in answer(root, env, "log") if row["n"]]


@pytest.fixture
def simplified(settings_of: dict[str, str], tmp_path: Path) -> Path:
    """Run a session that keeps one gain, and a change that only takes code away."""
    from support.repositories import BIGRAM

    base = BIGRAM + UNUSED
    root, script = make_repository(tmp_path / "repository", base), tmp_path / "script"
    script.mkdir()
    (script / "01-smoother.py").write_text(base.replace(*GAIN))
    (script / "02-less-code.py").write_text(BIGRAM.replace(*GAIN))
    more = {"AUTORESEARCH_SEED": "5", "AUTORESEARCH_TOTAL_PAIRS": "0"}
    done = program(root, settings_of, "run", "--agent", f"scripted:{script}", **more)
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.slow
def test_what_carries_nothing_is_found_and_pruned(simplified: Path, settings_of: dict[str, str]) -> None:
    assert kept_numbers(simplified, settings_of) == [1, 2]
    found = answer(simplified, settings_of, "ablate", "--prune", "--draws", "4")
    assert as_documented("ablate", found)
    gain, less = found["parts"]
    assert gain["carries"] and gain["loss"] > 10 * gain["error"]
    assert not less["carries"] and less["p_idle"] > 0.95 and less["more_pairs"] == 0
    final, pruned = answer(simplified, settings_of, "show", "2"), answer(simplified, settings_of, "show", "3")
    assert (
        [trial["own"] for trial in final["trials"] if trial["purpose"] == "ablate"].count(True) == found["draws"] == 4
    )
    assert final["ablation"]["carries"] is False and found["pruned"] == 3
    assert (pruned["mode"], pruned["agent"], pruned["parent"]) == ("prune", "ablate", 2)
    assert UNUSED in pruned["text"] and "SMOOTHING = 0.02" in pruned["text"]
    assert answer(simplified, settings_of, "doctor", "--ledger") == []
    assert answer(simplified, settings_of, "status")["stop_reason"] == "agent exhausted"


@pytest.mark.slow
def test_luck_that_was_kept_is_not_called_idle_on_few_seeds(repository: Path, settings_of: dict[str, str]) -> None:
    """The greedy rule kept changes without effect for a fraction of a sigma: a fifth of that takes many seeds."""
    before = kept_numbers(repository, settings_of)
    assert before[0] == 1 and len(before) > 1, "the session kept nothing idle: choose another seed"
    found = answer(repository, settings_of, "ablate", "--prune", "--draws", "3")
    parts = {part["n"]: part for part in found["parts"]}
    assert list(parts) == before and parts[1]["carries"] and parts[1]["loss"] > 10 * parts[1]["error"]
    assert "later changes stand on the same lines" in parts[before[1]]["conflict"]
    assert found["pruned"] is None and parts[before[-1]]["more_pairs"] > 3


@pytest.mark.slow
def test_a_change_under_later_ones_cannot_be_taken_out(repository: Path, settings_of: dict[str, str]) -> None:
    idle = kept_numbers(repository, settings_of)[1:]
    assert len(idle) > 1, "the session kept only one idle change: choose another seed"
    done = program(repository, settings_of, "revert", str(idle[0]))
    assert done.returncode == 1 and "cannot be taken out" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_gain_is_not_reverted_and_what_does_nothing_is(repository: Path, settings_of: dict[str, str]) -> None:
    found = answer(repository, settings_of, "revert", "1", code=1)
    assert (
        as_documented("revert", found)
        and found["verdict"] == "discard"
        and found["delta"] > 0
        and "SMOOTHING = 0.02" in text(repository)
    )
    last = kept_numbers(repository, settings_of)[-1]
    found = answer(repository, settings_of, "revert", str(last))
    assert found["verdict"] == "keep" and "less" in found["reason"]
    assert git(repository, "rev-parse", "autoresearch/t").strip() == found["sha"]
    done = program(repository, settings_of, "revert", "99")
    assert done.returncode == 1 and "is not kept in the final version" in done.stderr


@pytest.mark.slow
def test_a_review_is_on_record_and_export_warns_of_the_rest(repository: Path, settings_of: dict[str, str]) -> None:
    said = answer(repository, settings_of, "review", "1", "--accept", "--note", "reads well")
    assert as_documented("review", said) and (said["accepted"], said["note"]) == (True, "reads well") and said["by"]
    assert answer(repository, settings_of, "review", "1", "--reject")["note"] == "reads well"
    assert answer(repository, settings_of, "review", "1", "--accept", "--note", "")["note"] == ""
    done = program(repository, settings_of, "export", "--branch", "tidy")
    numbers = ", ".join(map(str, kept_numbers(repository, settings_of)[1:]))
    assert done.returncode == 0 and f"kept without a review: experiments {numbers};" in done.stderr
    assert program(repository, settings_of, "review", "1").returncode == 2
    assert "was not kept" in program(repository, settings_of, "review", "99", "--reject").stderr
