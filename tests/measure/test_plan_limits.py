"""Time limits of a trial before and after the base has been measured."""

import pytest

from autoresearch.measure.result import Overhead
from autoresearch.measure.settings import TrialPlan


@pytest.mark.parametrize(
    ("base_setup", "device", "limit"),
    [
        (None, "cpu", 180),
        (None, "cuda", 600),
        (30, "cpu", 180),
        (30, "cuda", 180),
        (100, "cpu", 300),
        (100, "cuda", 300),
    ],
)
def test_the_base_of_a_card_may_take_long_to_compile_and_its_changes_three_times_as_long(
    base_setup: float | None, device: str, limit: float
) -> None:
    base = None if base_setup is None else Overhead(setup=base_setup)
    assert TrialPlan(base=base).setup_limit(device) == limit
