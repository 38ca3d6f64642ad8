"""The noise that `init` measured is known to the first session that measures the same way, and to no other."""

import json
import math
from pathlib import Path

import pytest

from autoresearch.analysis.measured_noise import read_noise, write_noise
from autoresearch.analysis.session_noise import earlier_noise
from autoresearch.ledger import Ledger

IDENTITY, SETTINGS = {"cpu": "a"}, {"budget": "60s"}


def test_it_is_read_for_the_same_way_to_measure_only(tmp_path: Path) -> None:
    write_noise(tmp_path / "runs", IDENTITY, SETTINGS, 0.02, 4)
    assert read_noise(tmp_path / "runs", IDENTITY, SETTINGS) == (0.02, 4)
    assert read_noise(tmp_path / "runs", {"cpu": "b"}, SETTINGS) is None
    assert read_noise(tmp_path / "runs", IDENTITY, {"budget": "5m"}) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"sigma": "x", "dof": 3}', '{"sigma": -1, "dof": 3}', '{"dof": 3}'])
def test_a_damaged_file_is_none(text: str, tmp_path: Path) -> None:
    write_noise(tmp_path, IDENTITY, SETTINGS, 0.02, 4)
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    assert read_noise(tmp_path, IDENTITY, SETTINGS) is None


def test_it_is_pooled_with_that_of_earlier_sessions(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        assert earlier_noise(store, IDENTITY, SETTINGS) is None
        write_noise(tmp_path, IDENTITY, SETTINGS, 0.02, 4)
        assert earlier_noise(store, IDENTITY, SETTINGS) == (pytest.approx(0.02), 4)
        row = store.create_session("t", "autoresearch/t", "b" * 40, "sweep", "default", SETTINGS, IDENTITY, seed=1)
        base = store.add_experiment(row.id, 0)
        for k, score in enumerate((1.00, 1.04)):
            trial = store.start_trial(row.id, base.id, "base", k, "blob")
            store.end_trial(trial.id, "ok", score, {})
        spread = 2 * 0.02**2  # of two draws that lie 0.04 apart, with one degree of freedom
        assert earlier_noise(store, IDENTITY, SETTINGS) == (pytest.approx(math.sqrt((4 * 0.02**2 + spread) / 5)), 5)
    assert json.loads(next(tmp_path.glob("noise-*.json")).read_text()) == {"sigma": 0.02, "dof": 4}
