"""A train.py that is a script is recognised by its text, and checked as one."""

import pytest

from autoresearch.source.contract import complaint, defects
from autoresearch.source.script import is_script, missing_names

SCRIPT = "from prepare import MAX_SEQ_LEN, evaluate_bpb\nprint(evaluate_bpb(None, None, MAX_SEQ_LEN))\n"
PROGRAM = "def train(trial): pass\ndef load(state, config, device): pass\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SCRIPT, True),
        ("import prepare\n\ndef main():\n    prepare.evaluate_bpb(1, 2, 3)\n", True),
        (PROGRAM, False),
        ("from prepare import evaluate_bpb\n", False),
        ("evaluate_bpb(1, 2, 3)\n", False),
        ("from .prepare import evaluate_bpb\nevaluate_bpb(1, 2, 3)\n", False),
        ("from prepare import (\n", False),
    ],
)
def test_a_script_imports_from_prepare_and_calls_evaluate_bpb(text: str, expected: bool) -> None:
    assert is_script(text) is expected


def test_a_script_needs_no_functions_but_names_that_a_cell_has() -> None:
    assert defects(SCRIPT) == [] and complaint(SCRIPT) is None
    more = SCRIPT.replace("MAX_SEQ_LEN, ", "DATASET_CHOICES, MAX_SEQ_LEN, ")
    assert missing_names(more) == ["DATASET_CHOICES"]
    assert "imports DATASET_CHOICES from prepare, which a trial's own prepare does not have" in defects(more)[0]


def test_a_change_does_not_make_a_script_of_a_program_nor_the_reverse() -> None:
    """A script has time beside its budget, as it keeps its own clock."""
    assert complaint(f"{SCRIPT}# more\n", SCRIPT) is None
    assert complaint(PROGRAM, SCRIPT) == "train.py has to stay a script that calls evaluate_bpb of prepare"
    assert str(complaint(f"{PROGRAM}{SCRIPT}", PROGRAM)).startswith("train.py may not import evaluate_bpb of prepare")
