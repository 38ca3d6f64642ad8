"""The example `agent-harness`: prompts that solve more tasks are kept; typed answers are shown by the sealed tasks."""

from pathlib import Path

import pytest
from support.examples import Example


@pytest.mark.slow
def test_better_prompts_are_kept_and_programs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("agent-harness", tmp_path, monkeypatch)
    assert example.run() == 0
    assert "separate | 13 files locked" in capfd.readouterr().err
    rows = example.rows(capfd)
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "the-base": "keep",
        "expert": "discard",
        "edits-the-score": "invalid",
        "new-program": "invalid",
        "last-line": "keep",
        "tools": "keep",
    }
    assert rows["tools"]["val_bpb"] > rows["last-line"]["val_bpb"] > rows["the-base"]["val_bpb"] + 0.2


@pytest.mark.slow
def test_typed_answers_gain_nothing_on_sealed_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("agent-harness", tmp_path, monkeypatch)
    assert example.run("agent-harness-typed") == 0
    assert "not protected: overfitting" in capfd.readouterr().err
    assert example.rows(capfd)["typed-answers"]["val_bpb"] == 1.0
    shown, sealed = example.gains(capfd)
    assert shown > 0.5 and sealed < 0
