"""Preference pairs: a kept and a lost change of one version."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.programs import autoresearch
from support.recorded_night import TAG, restore
from support.shapes import as_documented

from autoresearch.analysis import preferences
from autoresearch.ledger import Ledger

KEY = "a-key-of-this-house-0123"


@pytest.fixture
def repository(finished: Path, tmp_path: Path) -> Path:
    """Copy a session whose keep and discard changed the same version."""
    copy = shutil.copytree(finished, tmp_path / "copy")
    with Ledger.open(copy / "runs" / "ledger.db") as store:
        change(store, 2, parent=0)
    return copy


def change(store: Ledger, n: int, **columns: Any) -> None:
    row = store.experiment(1, n)
    assert row is not None
    store.update_experiment(row.id, **columns)


def pairs(root: Path) -> list[dict[str, Any]]:
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as store:
        session = store.session()
        assert session is not None
        return [json.loads(line) for line in preferences.lines(store, session)]


def test_a_pair_has_the_parent_both_changes_and_what_was_measured(
    repository: Path, settings_of: dict[str, str]
) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        change(store, 1, hypothesis=f"smoother, says {KEY}")
        store.query("UPDATE trials SET result = json_set(result, '$.reported.loss', 123.456789)")
    done = autoresearch(repository, "export", "--sft", "a.jsonl", env=settings_of | {"SOME_API_KEY": KEY})
    assert (done.returncode, done.stdout) == (0, "a.jsonl\na.pairs.jsonl\n"), done.stderr
    text = (repository / "a.pairs.jsonl").read_text()
    (pair,) = [json.loads(line) for line in text.splitlines()]
    assert as_documented("export --sft, FILE.pairs", pair)
    assert (pair["parent"], pair["kept"]["n"], pair["lost"]["n"], pair["kept"]["agent"]) == (0, 1, 2, "scripted")
    assert pair["odds"] > 10 and pair["difference"] < 0 and pair["grade"] in ("STRONG", "WEAK")
    assert "SMOOTHING = 0.5 " in pair["prompt"][0]["content"]
    assert "+SMOOTHING = 0.02 " in pair["chosen"][0]["content"]
    assert "+SHARPNESS = 0.3" in pair["rejected"][0]["content"]
    assert KEY not in text and "says [secret]" in pair["chosen"][0]["content"]
    assert "reported" not in text and "123.45" not in text


@pytest.mark.parametrize(
    ("n", "columns"),
    [
        (2, {"parent": 1}),
        (2, {"near_miss": True, "p_gain": 0.4}),
        (2, {"val_bpb": None}),
        (2, {"verdict": "crash"}),
        (1, {"verdict": "suspect"}),
        (2, {"state": "decided"}),
    ],
)
def test_what_is_no_pair(repository: Path, n: int, columns: dict[str, Any]) -> None:
    assert len(pairs(repository)) == 1
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        change(store, n, **columns)
    assert pairs(repository) == []


def test_a_difference_within_the_noise_is_no_pair(repository: Path) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        kept = [store.experiment(1, n) for n in (1, 2)]
        scores = [trial.val_bpb for trial in store.trials(1, kept[0].id) if trial.val_bpb]  # type: ignore[union-attr]
        assert kept[1] is not None
        store.query("UPDATE trials SET val_bpb = :score WHERE experiment_id = :id", score=scores[-1], id=kept[1].id)
    assert pairs(repository) == []


def test_one_weak_trial_makes_a_pair_weak(repository: Path) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        store.query("UPDATE sessions SET grade = 'STRONG'")
        store.query("UPDATE trials SET grade = 'STRONG'")
        grades = [pairs(repository)[0]["grade"]]
        lost = store.experiment(1, 2)
        assert lost is not None
        store.query("UPDATE trials SET grade = 'WEAK' WHERE experiment_id = :id", id=lost.id)
        grades.append(pairs(repository)[0]["grade"])
    assert grades == ["STRONG", "WEAK"]


def test_the_pairs_of_a_real_session(tmp_path: Path) -> None:
    """Of eleven kept and lost changes of one version, those within two sigmas or so of a trial are no pairs."""
    with Ledger.open(restore(tmp_path / "runs" / "ledger.db"), readonly=True) as store:
        found = [json.loads(line) for line in preferences.lines(store, store.find_session(TAG))]
    assert [(pair["kept"]["n"], pair["lost"]["n"]) for pair in found] == [(11, 6), (11, 7), (11, 9), (20, 19)]
    assert all(pair["difference"] < -0.1 for pair in found)
