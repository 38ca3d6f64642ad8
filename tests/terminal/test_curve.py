"""Curves in characters."""

from itertools import pairwise

import pytest
from support.experiments import trial

from autoresearch.terminal.curve import BARS, chart, sparkline


def drawn(own, other=(), width=20, height=5) -> list[str]:
    return [line.plain[8:] for line in chart(own, other, width, height)]


def falling(start: float, end: float, points: int = 50) -> list[tuple[float, float]]:
    return [(float(k), start + (end - start) * k / (points - 1)) for k in range(points)]


def dots(line: str) -> int:
    return sum(bin(ord(char) - 0x2800).count("1") for char in line if char not in " ·")


def test_a_straight_line_falls_from_the_upper_left_to_the_lower_right() -> None:
    lines = drawn(falling(2.0, 1.0))
    assert len(lines) == 5 and lines[0].startswith("⠉") and lines[-1].rstrip()[-1] == "⢄"
    lefts = [len(line) - len(line.lstrip()) for line in lines]
    assert lefts == sorted(lefts) and sum(map(dots, lines)) >= 40


def test_there_are_no_gaps_in_a_steep_curve() -> None:
    own = [(0.0, 5.0), (9.0, 5.0), (10.0, 1.0), (20.0, 1.0)]
    assert all(line.strip() for line in drawn(own))


def test_the_scale_leaves_the_steep_beginning_out() -> None:
    own = [(0.0, 1000.0), *((float(k), 4.0 - k / 100) for k in range(10, 101))]
    lines = chart(own, [], 20, 4)
    assert lines[0].plain.startswith("  3.900") and lines[-1].plain.startswith("  3.000")
    assert not any(line.plain[:8].strip() for line in lines[1:-1])


def test_the_other_curve_lies_behind_and_reads_without_colour() -> None:
    lines = drawn(falling(2.0, 1.5), falling(2.0, 1.0))
    assert "·" in lines[-1] and "·" not in drawn(falling(2.0, 1.5))[-1]
    assert drawn(falling(2.0, 1.0), falling(2.0, 1.0)) == drawn(falling(2.0, 1.0))


def test_a_shorter_curve_ends_where_it_ends() -> None:
    half = falling(2.0, 1.5, 25)
    assert max(map(len, drawn(half, falling(2.0, 1.0)))) > max(
        len(line.rstrip("· ")) for line in drawn(half, falling(2.0, 1.0))
    )


@pytest.mark.parametrize("points", [[], [(0.0, 1.0)]])
def test_too_little_to_draw(points) -> None:
    assert chart(points, falling(2, 1), 20, 5) == [] and sparkline([y for _, y in points], 10) == ""


@pytest.mark.parametrize(
    "points",
    [
        [(0.0, 1.0)] * 9,
        [(float(k), 2.5) for k in range(5)],
        [(0.0, 1.0), (1e-9, 2.0)],
        [(0.0, 0.0), (1.0, 5e-324), (2.0, 0.0)],
        [(0.0, -1e300), (1.0, 1e300)],
    ],
)
def test_degenerate_curves(points) -> None:
    assert len(drawn(points)) == 5


def test_a_line_of_bars_is_as_long_as_there_is_room() -> None:
    falls = [10.0 - k for k in range(10)]
    assert (
        sparkline(falls, 40)[0] == BARS[-1] and sparkline(falls, 40)[-1] == BARS[0] and len(sparkline(falls, 40)) == 10
    )
    assert len(sparkline(falls * 100, 16)) == 16 and sparkline([1.0, 1.0], 5) == BARS[0] * 2
    assert all(a >= b for a, b in pairwise(sparkline(falls, 5)))


def test_points_without_a_loss_or_a_time_are_left_out() -> None:
    curve = [{"loss": 1.0, "seconds": 2.0}, {"loss": None, "seconds": 3.0}, {"step": 1.0}]
    assert trial(result={"curve": curve}).losses == [(2.0, 1.0)]
