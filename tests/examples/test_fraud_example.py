"""The example `fraud`: a gain that a guard forbids is not kept, one without is."""

from pathlib import Path

import pytest
from support.examples import Example


@pytest.mark.slow
def test_guards_refuse_two_gains_and_leave_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("fraud", tmp_path, monkeypatch)
    assert example.run() == 0
    assert "separate | 12 files locked" in capfd.readouterr().err
    rows = example.rows(capfd)
    assert rows["small-initial-weights"]["verdict"] == "discard"
    assert rows["group"]["verdict"] != "keep" and "gap" in rows["group"]["reason"]
    assert rows["compare-with-all"]["verdict"] != "keep" and "p99_ms" in rows["compare-with-all"]["reason"]
    assert rows["reads-the-labels"]["verdict"] == rows["forged-scores"]["verdict"] == "crash"
    assert rows["minutes-since-the-last"]["verdict"] == "keep"
    assert rows["minutes-since-the-last"]["val_bpb"] > rows["the-base"]["val_bpb"] + 0.15
    assert min(example.gains(capfd)) > 0.15


@pytest.mark.slow
def test_a_latency_that_is_measured_beside_the_model_can_be_forged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("fraud", tmp_path, monkeypatch)
    assert example.run("fraud-clock") == 0
    assert "outputs made by cheating in `run`" in capfd.readouterr().err
    assert example.verdicts(capfd)["slow-with-a-patched-clock"] == "keep"  # as its README admits
