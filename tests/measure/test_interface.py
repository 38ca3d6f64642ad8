"""The contract names everything that train.py finds on its argument, and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest

from autoresearch.brief.brief import CONTRACT
from autoresearch.data.dataset import Dataset
from autoresearch.measure.interface import TRIAL
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contract.md"
NAMES = {re.findall(r"trial\.(\w+)", entry)[0] for entry in TRIAL}


def test_every_public_attribute_is_in_the_contract(bytes_data: Dataset, quick: Settings, bigram: str) -> None:
    """A trial is asked in its cell, where it has all that it will ever have."""
    names = "repr([name for name in dir(trial) if not name.startswith('_')])"
    text = bigram.replace("    trial.save(", f"    raise ValueError({names})\n    trial.save(", 1)
    result = CellReferee(quick, bytes_data).measure(text, 1)
    assert set(re.findall(r"'(\w+)'", result.reason)) == NAMES, result.reason


@pytest.mark.parametrize("name", TRIAL)
def test_brief_and_page_say_the_same(name: str) -> None:
    assert f"  - `{name}`: {TRIAL[name]}\n" in CONTRACT
    assert f"| `{name}` | {TRIAL[name]} |\n" in PAGE.read_text()


def test_what_has_a_unit_names_it() -> None:
    units: dict[str, Any] = {"trial.budget": "seconds", "trial.reserve": "unit of the budget", "trial.rows": "uint16"}
    assert all(unit in TRIAL[name] for name, unit in units.items())
