"""Facts of a trial, of whatever train.py reported, also as old ledgers hold it."""

import math

import pytest

from autoresearch.brief import newest_trials
from autoresearch.brief.newest_trials import MeasuredVersion
from autoresearch.data.dataset import Dataset
from autoresearch.ledger.rows import Trial
from autoresearch.measure import facts
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings
from autoresearch.terminal.trial_view import summary

ABSURD = (None, 0.0, -1.0, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan, 10**400, "12", [], True)
SLOW = pytest.mark.slow
NAMES = ("step", "tokens_per_step", "num_params", "epochs", "flops_per_token")


@pytest.mark.parametrize("value", ABSURD, ids=str)
def test_absurd_numbers_of_old_ledgers_are_described_without_them(value: object) -> None:
    curve = [{"loss": value, "seconds": value}] * 30
    times = {name: value for name in ("train_seconds", "setup_seconds", "score_seconds", "peak_vram_mb")}
    for reported in ({name: value for name in NAMES}, {}, None):
        result = {"reported": reported, "curve": curve, **times}
        for line in [*facts.describe_training(result, 1e3, 8e4), facts.repetition_warning(result) or ""]:
            assert "inf" not in line and "nan" not in line and len(line) < 400
        for budget in (Budget(15, "cpu"), Budget(20, "steps")):
            for line in newest_trials.tables([MeasuredVersion(1, "crash", [result])], budget, "cpu"):
                assert "inf" not in line and "nan" not in line and len(line) < 400
    trial = Trial(**dict.fromkeys(Trial.__annotations__) | {"result": {"curve": curve}})  # type: ignore[arg-type]
    assert all(math.isfinite(x) and math.isfinite(y) for x, y in trial.losses)


@pytest.mark.parametrize(
    "value", ["float('inf')", "10**30", *(pytest.param(v, marks=SLOW) for v in ("float('nan')", "1e400", "-1e300"))]
)
def test_absurd_numbers_are_not_stored(bytes_data: Dataset, quick: Settings, bigram: str, value: str) -> None:
    names = ", ".join([f"{name}={value}" for name in NAMES[1:]])
    text = bigram.replace("    trial.save(", f"    trial.log({names}, **{{'x' * 99_9: {value}}})\n    trial.save(", 1)
    result = CellReferee(quick, bytes_data).measure(text, 1)
    assert result.outcome == "ok", result.reason + result.log
    assert result.reported.keys() == {"step", "loss", "epochs"}  # epochs as the harness counts them
    assert all("inf" not in line for line in facts.describe_training(result.as_json(), None, None))
    assert summary(result, None)["outcome"] == "ok"


def test_an_absurd_loss_is_as_good_as_none(bytes_data: Dataset, quick: Settings, bigram: str) -> None:
    result = CellReferee(quick, bytes_data).measure(bigram.replace("loss=1.0 / step", "loss=1e300"), 1)
    assert (result.outcome, result.reason) == ("nan", "its loss is 1e+300")
