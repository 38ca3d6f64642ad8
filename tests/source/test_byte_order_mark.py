"""A program that begins with a byte-order mark is read as Python reads its file."""

import pytest

from autoresearch.source import contract, fingerprint, size
from autoresearch.source.lines import BOM
from autoresearch.source.parsing import parse
from autoresearch.source.prose import without_prose

PROGRAM = 'LR = 0.1  # a\n\n\ndef train(trial):\n    "doc"\n\n\ndef load(state, config, device):\n    pass\n'


def test_the_mark_makes_no_difference() -> None:
    assert contract.complaint(BOM + PROGRAM) is None
    assert fingerprint.fingerprint(BOM + PROGRAM) == fingerprint.fingerprint(PROGRAM)
    assert without_prose(BOM + PROGRAM) == without_prose(PROGRAM)
    assert size.size(BOM + PROGRAM) == size.size(PROGRAM)


def test_a_second_mark_is_an_error_as_in_python() -> None:
    with pytest.raises(SyntaxError):
        parse(BOM + BOM + PROGRAM)
