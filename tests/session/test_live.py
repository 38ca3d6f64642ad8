"""The trial that runs now, as it is left for others to look at."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoresearch.measure.result import Progress
from autoresearch.session import live
from autoresearch.session.events import LedgerEvent, TrialProgress
from autoresearch.session.live import CURVE_POINTS, LIVE_FILE, LiveTrial, LiveTrialRecorder


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that the test moves."""
    hands = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(live.time, "time", lambda: hands.now)
    return hands


def recorder(folder: Path) -> LiveTrialRecorder:
    made = LiveTrialRecorder()
    made.folder = folder / "t"
    return made


def train(at: float, **values: float) -> Progress:
    return Progress("train", at, values)


def test_a_trial_is_followed_from_its_setup_to_its_end(tmp_path: Path, clock: SimpleNamespace) -> None:
    made = recorder(tmp_path)
    made.handle(TrialProgress(7, "screen", Progress("setup"), "codex"))
    clock.now += 10
    for k in range(1, 6):
        made.handle(TrialProgress(7, "screen", train(k / 10, loss=3.0 - k / 10, step=10.0 * k, tokens_per_step=100.0)))
        clock.now += 2
    found = LiveTrial.read(tmp_path / "t")
    assert found is not None and (found.n, found.purpose, found.stage, found.fraction) == (7, "screen", "train", 0.5)
    assert (found.since, found.at, found.loss, found.arm) == (1000.0, 1018.0, 2.5, "codex") and found.curve[-1] == (
        0.5,
        2.5,
    )
    assert found.tokens_per_second == pytest.approx(5000 / 8) and found.gpu is None
    made.handle(TrialProgress(7, "screen", Progress("score")))
    assert made.running is not None and (made.running.stage, made.running.fraction, len(made.running.curve)) == (
        "score",
        0.5,
        5,
    )
    made.handle(LedgerEvent("measured", 7, "ok"))
    assert made.running is None and LiveTrial.read(tmp_path / "t") is None and not list((tmp_path / "t").iterdir())


def test_the_next_trial_of_the_same_experiment_begins_anew(tmp_path: Path, clock: SimpleNamespace) -> None:
    made = recorder(tmp_path)
    made.handle(TrialProgress(0, "base", train(0.9, loss=1.0)))
    clock.now += 5
    made.handle(TrialProgress(0, "base", Progress("setup")))
    assert made.running is not None and (made.running.since, made.running.curve, made.running.fraction) == (
        1005.0,
        [],
        0.0,
    )


def test_it_is_written_at_most_once_a_second_and_whole(tmp_path: Path, clock: SimpleNamespace) -> None:
    made, seen = recorder(tmp_path), []
    for k in range(100):
        clock.now = 1000 + k / 20
        made.handle(TrialProgress(1, "screen", train(k / 100, loss=1.0)))
        seen.append((tmp_path / "t" / LIVE_FILE).read_text())
        json.loads(seen[-1])
    assert len(set(seen)) == 5


def test_what_train_py_has_not_said_anew_is_no_point_of_the_curve(tmp_path: Path, clock: SimpleNamespace) -> None:
    made = recorder(tmp_path)
    for k, loss in enumerate([3.0, 3.0, 3.0, 2.0, 2.0, 1.0]):
        made.handle(TrialProgress(1, "screen", train(k / 10, loss=loss, step=loss)))
    assert made.running is not None and made.running.curve == [(0.0, 3.0), (0.3, 2.0), (0.5, 1.0)]


def test_a_long_curve_stays_short_and_what_is_no_number_stays_out(tmp_path: Path, clock: SimpleNamespace) -> None:
    made = recorder(tmp_path)
    for k in range(20_000):
        values: dict[str, Any] = {"loss": math.nan if k % 3 == 0 else 1.0, "step": math.inf, "tokens_per_step": 2.0}
        made.handle(TrialProgress(1, "screen", train(k / 20_000, **values)))
        clock.now += 0.01
    assert made.running is not None and len(made.running.curve) <= CURVE_POINTS + 1
    json.dumps(asdict(made.running), allow_nan=False)


def test_on_several_slots_the_trial_that_is_shown_is_shown_with_its_own_card(
    tmp_path: Path, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        live.hardware,
        "gpu_load",
        lambda uuid: {"used_mb": {"GPU-0": 1.0, "GPU-1": 2.0}[uuid], "total_mb": 9.0, "load": 50.0},
    )
    made = recorder(tmp_path)
    made.gpu = "GPU-0"
    made.handle(TrialProgress(3, "screen", Progress("setup", gpu="GPU-1")))
    clock.now += 10
    made.handle(TrialProgress(4, "screen", Progress("setup", gpu="GPU-0")))
    found = LiveTrial.read(tmp_path / "t")
    assert found is not None and found.gpu is not None and (found.n, found.others, found.gpu["used_mb"]) == (3, 1, 2.0)
    made.handle(LedgerEvent("measured", 3, "ok"))
    clock.now += 10
    made.handle(TrialProgress(4, "screen", train(0.5, loss=1.0)))
    assert (
        made.running is not None
        and made.running.gpu is not None
        and (made.running.n, made.running.others, made.running.gpu["used_mb"]) == (4, 0, 1.0)
    )


def test_a_trial_of_the_honest_total_is_over_when_it_says_so(tmp_path: Path, clock: SimpleNamespace) -> None:
    made = recorder(tmp_path)
    made.handle(TrialProgress(0, "total", train(0.5, loss=1.0)))
    made.handle(TrialProgress(0, "total", Progress("over")))
    assert made.running is None and LiveTrial.read(tmp_path / "t") is None
    made.handle(TrialProgress(4, "total", train(0.5, loss=1.0)))
    assert made.running is not None and (made.running.n, made.running.others) == (4, 0)


def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path: Path, clock: SimpleNamespace) -> None:
    (tmp_path / "t").write_text("a file")
    made = recorder(tmp_path)
    made.handle(TrialProgress(1, "screen", train(0.5, loss=1.0)))
    made.handle(LedgerEvent("measured", 1, "ok"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"n": 1}', "\x00"])
def test_a_file_that_says_nothing_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / LIVE_FILE).write_text(text)
    assert LiveTrial.read(tmp_path) is None


@pytest.mark.parametrize(
    "wrong", [{"curve": [[1]]}, {"curve": 7}, {"curve": [["a", "b"]]}, {"n": []}, {"n": math.inf}, {"fraction": None}]
)
def test_a_file_of_another_shape_is_none(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / LIVE_FILE).write_text(json.dumps(asdict(LiveTrial(1, "screen")) | wrong))
    assert LiveTrial.read(tmp_path) is None
