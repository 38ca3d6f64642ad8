"""A script whose state_dict does not hold all that it learns is found out before a session."""

from dataclasses import replace

import pytest
from support.cells import CORE, ROOT

from autoresearch.data.dataset import Dataset
from autoresearch.measure.cell_process import Harness
from autoresearch.measure.clock import Budget
from autoresearch.measure.saved_state import find_unsaved
from autoresearch.measure.settings import Settings

SCRIPT = (ROOT / "examples/karpathy/train.py").read_text()
CHANGES = {
    "        self.head =": "        self.scale = 1.0\n        self.head =",
    "self.head(norm(x)).float()": "self.head(norm(x)).float() * self.scale",
    "    optimizer.step()\n": "    optimizer.step()\n    model.scale += 0.01\n",
}

pytestmark = [pytest.mark.slow, pytest.mark.torch]


@pytest.fixture
def harness(bytes_data: Dataset) -> Harness:
    return Harness(Settings(Budget.parse("5cpu"), eval_rows=64, eval_batch=16, cores=(CORE,)), bytes_data)


def test_a_model_whose_state_is_saved_answers_alike(harness: Harness) -> None:
    assert find_unsaved(SCRIPT, harness, 0.5) is None


def test_a_number_beside_the_state_is_found(harness: Harness) -> None:
    text = SCRIPT
    for old, new in CHANGES.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    assert str(find_unsaved(text, harness, 0.5)).startswith("what was saved answers otherwise than the model did")


def test_a_script_that_fails_says_where(harness: Harness) -> None:
    text = SCRIPT.replace("val_bpb = evaluate_bpb(", "val_bpb = evaluate_bpb(1 / 0, ")
    reason = find_unsaved(text, replace(harness, settings=replace(harness.settings, eval_batch=8)), 0.5)
    assert reason == "it cannot be measured: state cell: ZeroDivisionError"
