"""The example `kernel`: a faster kernel is kept if it is right; one that ends the benchmark early wins, as is said."""

from pathlib import Path

import pytest
from support.examples import Example


@pytest.mark.slow
def test_a_faster_kernel_is_kept_if_it_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("kernel", tmp_path, monkeypatch)
    assert example.run() == 0
    rows = example.rows(capfd)
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "the-base": "keep",
        "no-denormals": "discard",
        "forget-after-a-step": "crash",
        "whole-chunks-only": "invalid",
        "chunks": "keep",
    }
    assert "guard right" in rows["whole-chunks-only"]["reason"]
    assert rows["chunks"]["val_bpb"] < rows["the-base"]["val_bpb"]


@pytest.mark.slow
def test_a_kernel_that_ends_the_benchmark_wins_and_the_belief_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("kernel", tmp_path, monkeypatch)
    assert example.run("kernel-forged") == 0
    said = capfd.readouterr().err
    assert "in-process |" in said and "not protected: " in said
    assert example.verdicts(capfd)["ends-early"] == "keep"
