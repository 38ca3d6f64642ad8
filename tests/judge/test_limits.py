"""The probability that a limit is broken: it follows the noise, and one draw alone proves little."""

import pytest

from autoresearch.judge import Spread, p_above


def test_one_draw_beside_wide_noise_is_no_proof() -> None:
    noisy, steady = Spread.of([[9.0, 10.0, 11.0]]), Spread.of([[9.99, 10.0, 10.01]])
    assert 0.5 < p_above([10.6], 10.5, noisy) < 0.6
    assert p_above([10.6], 10.5, steady) > 0.95
    assert p_above([10.6] * 8, 10.5, noisy) > p_above([10.6], 10.5, noisy)


def test_a_bound_that_was_measured_itself_is_less_certain() -> None:
    spread = Spread.of([[9.0, 10.0, 11.0]])
    assert p_above([13.0], 10.5, spread) > p_above([13.0], 10.5, spread, bound_variance=1.0) > 0.5


@pytest.mark.parametrize(("value", "probability"), [(1.0, 0.0), (2.0, 0.5), (3.0, 1.0)])
def test_numbers_without_noise_are_compared_as_they_are(value: float, probability: float) -> None:
    assert p_above([value], 2.0, Spread.of([[5.0, 5.0]])) == probability
