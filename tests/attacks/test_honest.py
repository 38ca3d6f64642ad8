"""Honest models of many kinds pass the audit: none is ever suspect."""

from pathlib import Path

import pytest
from support.hostile import CORES

from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings

HERE = Path(__file__).parent
EXACT = 1e-6  # nats: on a CPU, claim and audit compute the same thing


def marks(path: Path) -> list[pytest.MarkDecorator]:
    text = path.read_text()
    if "import torch" not in text:
        return []
    quick = [] if "tied" in path.stem else [pytest.mark.slow]  # one of them is enough where time is short
    return [*quick, pytest.mark.timeout(600), pytest.mark.torch]


VARIANTS = [pytest.param(path, id=path.stem, marks=marks(path)) for path in sorted(HERE.glob("honest*.py"))]


@pytest.mark.parametrize("path", VARIANTS)
def test_an_honest_model_is_never_suspect(path: Path, bytes_data: Dataset) -> None:
    settings = Settings(Budget.parse("10steps"), eval_rows=64, eval_batch=16, cores=CORES)
    result = CellReferee(settings, bytes_data).measure(path.read_text(), 1)
    assert result.outcome == "ok", result.reason + result.log
    assert result.val_bpb is not None and 0.5 < result.val_bpb < 9
    assert result.audit is not None and result.audit["d_rms"] < max(EXACT, 1e-3 * ("bf16" in path.stem))
