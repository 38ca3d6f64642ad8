"""The last line of `run`: what to do next, by how the session has ended."""

from dataclasses import replace
from typing import Any

import pytest
from support.status_rows import STATUS

from autoresearch.ledger.session_status import TotalOnRecord
from autoresearch.report.next_step import describe_next_step, describe_untaken

TOTAL = TotalOnRecord(4, -0.02, -0.03, -0.01)
ENDED = replace(STATUS, state="ended", stop_reason="deadline", experiments=9, base_bpb=2.0, best=0)
KEPT = {"best": 4, "kept": 2}
REPORT = "`autoresearch report` shows what was kept"
WRITE = "`autoresearch best --write` puts experiment 4 into train.py"
EXPORT = "`autoresearch export --branch t-kept` for review"
MEASURE = "`autoresearch total` measures what it gained"


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({**KEPT, "total": TOTAL}, f"{REPORT}; {WRITE}; {EXPORT}"),
        (KEPT, f"{REPORT}; {MEASURE}; {WRITE}; {EXPORT}"),
        ({**KEPT, "best": 5, "total": TOTAL}, f"{REPORT}; {MEASURE}; {WRITE.replace('4', '5')}; {EXPORT}"),
        ({**KEPT, "stop_reason": "interrupted"}, f"`autoresearch run` continues t; {MEASURE}; {WRITE}"),
        ({**KEPT, "stop_reason": "stopped", "total": TOTAL}, f"`autoresearch run` continues t; {WRITE}"),
        ({"stop_reason": "interrupted", "best": None}, "`autoresearch run` continues t"),
        ({}, "nothing was kept: `autoresearch run --tag t --hours 1` goes on"),
        (
            {"stop_reason": "max experiments"},
            "nothing was kept: `autoresearch run --tag t --max-experiments 18` goes on",
        ),
        (
            {"stop_reason": "agent exhausted", "agent": "scripted:x"},
            "nothing was kept: `autoresearch run --tag t --agent sweep --hours 1` goes on with another agent",
        ),
        (
            {"stop_reason": "agent exhausted: every move of the constants has been tried"},
            "nothing was kept: `autoresearch run --tag t --agent claude --hours 1` goes on with another agent",
        ),
        (
            {"verdicts": {"suspect": 1}},
            "read the suspects first, `autoresearch log` lists them;"
            " nothing was kept: `autoresearch run --tag t --hours 1` goes on",
        ),
    ],
)
def test_the_line_fits_the_end(facts: dict[str, Any], line: str) -> None:
    assert describe_next_step(replace(ENDED, **facts), is_taken=False) == f"next: {line}"


def test_what_was_taken_over_or_is_not_the_newest_session() -> None:
    kept = replace(ENDED, **KEPT, total=TOTAL)
    assert describe_next_step(kept, is_taken=True) == f"next: {REPORT}; {EXPORT}"
    interrupted = replace(ENDED, stop_reason="interrupted")
    line = describe_next_step(interrupted, is_taken=False, is_newest=False)
    assert line == "next: `autoresearch run --tag t` continues t"


def test_an_earlier_best_is_worth_more_than_another_hour_without_a_keep() -> None:
    words = "nov26's best is not in your train.py: `autoresearch best --tag nov26 --write`"
    assert describe_untaken("nov26") == words
    assert "is not in your files: " in describe_untaken("nov26", "separate")
    assert describe_next_step(ENDED, False, untaken="nov26") == f"next: nothing was kept, and {words}"
    assert words not in describe_next_step(replace(ENDED, **KEPT), False, untaken="nov26")
