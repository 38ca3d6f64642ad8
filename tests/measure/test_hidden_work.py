"""The self-attack on the clock tells whether work in `load()` is limited."""

import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.measure import hidden_work
from autoresearch.measure.clock import Budget
from autoresearch.measure.settings import TrialPlan


@pytest.mark.slow
def test_work_in_load_is_ended(bytes_data: Dataset) -> None:
    assert hidden_work.is_ended(bytes_data)


@pytest.mark.slow
def test_the_attack_says_if_it_is_not(bytes_data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    work = "import time\ndef load(state, config, device):\n    while time.process_time() < 3: pass\n    return None\n"
    monkeypatch.setattr(hidden_work, "HIDES", work)
    assert hidden_work.is_ended(bytes_data)
    monkeypatch.setattr(TrialPlan, "load_limit", lambda plan, budget: Budget(600.0, "cpu"))
    assert not hidden_work.is_ended(bytes_data)
