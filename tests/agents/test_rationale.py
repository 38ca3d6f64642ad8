"""Numbers in a model's record of its change."""

import pytest

from autoresearch.agents import rationale


@pytest.mark.parametrize(
    ("value", "number"),
    [(10**400, None), (float("nan"), None), (True, None), ("about -0.01", -0.01), (-0.02, -0.02), (None, None)],
)
def test_a_number_is_finite_or_none(value: object, number: float | None) -> None:
    assert rationale._number(value) == number
