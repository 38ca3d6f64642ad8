"""Two versions on the same rows."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from support.programs import autoresearch

from autoresearch.analysis.paired import compare_rows, mean_scores
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.measure.result import Result


def test_a_difference_is_known_better_than_the_scores() -> None:
    """Scores scatter by 0.02 over rows, differences by a fiftieth of that, as the error says."""
    rng, found = np.random.default_rng(0), []
    for _ in range(300):
        size = rng.integers(150, 250, 512).astype(float)
        hard = rng.normal(1.5, 0.45, 512)
        theirs = np.stack([hard * size, size], 1)
        ours = np.stack([(hard - 0.002 + rng.normal(0, 0.01, 512)) * size, size], 1)
        rows = compare_rows(ours, theirs)
        assert rows is not None and rows.count == 512
        found.append((rows.delta + 0.002 / math.log(2), rows.error, rows.better))
    errors, told, better = (np.array(column) for column in zip(*found, strict=True))
    assert abs(errors.mean()) < 1e-4
    assert 0.85 < errors.std() / told.mean() < 1.15 and told.mean() < 0.001
    assert 0.5 < better.mean() / 512 < 0.65


def test_other_rows_are_not_compare_rows() -> None:
    ours = np.array([[1.0, 4.0], [2.0, 5.0]])
    assert compare_rows(ours, ours[::-1]) is None and compare_rows(ours, ours[:1]) is None
    assert compare_rows(ours, None) is None and compare_rows(None, ours) is None


def test_trials_that_failed_say_nothing_of_their_rows(tmp_path: Path) -> None:
    files = Artefacts(tmp_path / "runs/t/1")
    (tmp_path / "runs").mkdir()
    assert mean_scores(files) is None
    for k, (outcome, nats) in enumerate([("ok", 10.0), ("suspect", 0.0), ("ok", 20.0), ("crash", None)]):
        rows = None if nats is None else np.array([[nats, 8.0]])
        files.write_trial(k, Result(outcome=outcome).as_json(), "", rows)
    assert np.array_equal(mean_scores(files), [[15.0, 8.0]])


def test_a_damaged_file_says_nothing_and_the_other_trials_count(tmp_path: Path) -> None:
    files = Artefacts(tmp_path / "runs/t/1")
    (tmp_path / "runs").mkdir()
    for k in range(8):
        files.write_trial(k, Result(outcome="ok").as_json(), "", np.array([[10.0 + k, 8.0]]))
    whole = files.trial(0, ".npz").read_bytes()
    for k, content in enumerate([b"", whole[:1], whole[: len(whole) // 2], whole[:-1], bytes(len(whole))]):
        files.trial(k, ".npz").write_bytes(content)
    files.trial(5, ".json").write_text("")
    np.savez(files.trial(6, ".npz"), nats=np.ones(1))
    files.trial(8, ".npz").symlink_to("gone")  # as one that is deleted while the folder is listed
    assert np.array_equal(mean_scores(files), [[17.0, 8.0]])
    assert files.read_losses() is None


@pytest.mark.slow
def test_show_tells_how_a_version_does_on_the_rows_of_its_parent(finished: Path, settings_of: dict[str, str]) -> None:
    shown = json.loads(autoresearch(finished, "show", "1", "--json", env=settings_of).stdout)
    scores = {0: [], 1: []}
    for n, values in scores.items():
        values += [json.loads(path.read_text())["val_bpb"] for path in (finished / f"runs/t/{n}").glob("trial-*.json")]
    delta = np.mean(scores[1]) - np.mean(scores[0])
    assert shown["rows"]["delta"] == pytest.approx(delta, abs=1e-5) and shown["rows"]["count"] == 64
    assert 0 < shown["rows"]["error"] < 0.1
    better, change = shown["rows"]["better"], shown["rows"]["delta"]
    line = f"rows        {better} of 64 are better than in experiment 0: {change:+.4f}, give or take "
    assert line in autoresearch(finished, "show", "1", env=settings_of).stdout
