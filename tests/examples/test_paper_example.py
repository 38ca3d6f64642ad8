"""The example `paper`: labels that no version can read decide, whatever it claims."""

from pathlib import Path

import pytest
from support.examples import Example


@pytest.mark.slow
def test_a_better_loss_is_kept_and_claims_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("paper", tmp_path, monkeypatch)
    assert example.run() == 0
    said = capfd.readouterr().err
    assert "separate | 11 files locked" in said and "| holdout" in said
    rows = example.rows(capfd)
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "the-base": "keep",
        "clipped-gradients": "discard",
        "claims-its-accuracy": "discard",
        "reads-the-labels": "crash",
        "makes-the-labels-again": "crash",
        "bounded-loss": "keep",
    }
    assert rows["bounded-loss"]["val_bpb"] > rows["the-base"]["val_bpb"] + 0.1
    assert "hidden/test.txt" in rows["reads-the-labels"]["reason"]
    assert "make_data" in rows["makes-the-labels-again"]["reason"]
    assert min(example.gains(capfd)) > 0.1
