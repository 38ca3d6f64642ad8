"""Changes after which a curve says less: which lines count, and how long it takes to find them."""

import time

import pytest

from autoresearch.source.curve_changes import may_change_schedule, may_log_another_loss

BASE = "x = 1\nloss = f(x)  # of a batch\nlr = 0.1 * warmup\nreport(loss)\ny = 2\n"


@pytest.mark.parametrize(
    ("after", "loss", "schedule"),
    [
        (BASE.replace("x = 1", "x = 3"), False, False),
        (BASE.replace("of a batch", "of the loss"), False, False),
        (BASE.replace("f(x)", "g(x)"), True, False),
        (BASE.replace("loss = f(x)  # of a batch\n", ""), True, False),
        (BASE + "loss = f(x)\n", True, False),
        ("report(loss)\n" + BASE.replace("report(loss)\n", ""), True, False),
        (BASE.replace("0.1", "0.2"), False, True),
        (BASE.replace("y = 2", "batch = 2"), False, True),
    ],
)
def test_lines_on_the_loss_and_on_the_schedule(after: str, loss: bool, schedule: bool) -> None:
    assert (may_log_another_loss(BASE, after), may_change_schedule(BASE, after)) == (loss, schedule)


def test_many_similar_lines_take_no_time() -> None:
    before, after = ("\n".join(f"layer_{k} = block({k}, {n}.0)" for k in range(3000)) for n in (1, 2))
    began = time.monotonic()
    assert not may_log_another_loss(before, after) and not may_change_schedule(before, after)
    assert time.monotonic() - began < 2
