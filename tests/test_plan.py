"""The constants that a base starts with."""

from pathlib import Path

from autoresearch import plan, source

TRAIN = (Path(__file__).parents[1] / "train.py").read_text()


def values(text: str) -> dict[str, int | float]:
    return {constant.name: constant.value for constant in source.constants(text)}


def test_the_plan_of_a_device_becomes_literals() -> None:
    fitted = plan.fitted(TRAIN, "cpu")
    assert values(fitted) == values(TRAIN) | plan.CPU
    assert 'DEVICE = "cpu"' in fitted
    assert plan.fitted(fitted, "cpu") == fitted


def test_a_file_for_this_device_or_for_none_is_left_alone() -> None:
    assert plan.fitted(TRAIN, "cuda") == TRAIN
    assert plan.fitted("DEPTH = 3\n", "cpu") == "DEPTH = 3\n"


def test_a_constant_that_was_removed_stays_removed() -> None:
    text = TRAIN.replace("MUON_MOMENTUM_END = 0.92", "MUON_MOMENTUM_LATE = 0.92")
    assert "MUON_MOMENTUM_END" not in values(plan.fitted(text, "cpu"))
