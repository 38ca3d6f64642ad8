"""Experiments as lines: what is said, what is left out where there is no room, and nothing that a terminal obeys."""

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from support.experiments import experiment as row

from autoresearch.ledger import ExperimentRow
from autoresearch.report.experiment_table import log
from autoresearch.report.format import short_count
from autoresearch.terminal.columns import Column, cut, fit
from autoresearch.terminal.console import print_blocks

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066 [bold red]rich[/] [/] :smile: \ttab\r\nline"


def screen(rows: list[ExperimentRow], width: int | None = None, colours: bool = False, empty: str = "") -> str:
    buffer = io.StringIO()
    terminal = (
        {"force_terminal": True, "width": width, "_environ": {} if colours else {"NO_COLOR": "1"}} if width else {}
    )
    print_blocks(log(rows, rows, empty), Console(file=buffer, **terminal))
    return buffer.getvalue()


def words(text: str) -> str:
    """Return the text of a line without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


ROWS = [
    row(0, "keep"),
    row(1, "keep", delta=-0.0245, cost_usd=0.119, lines_added=3, lines_removed=1, params_added=1_234_000.0),
    row(2, near_miss=True, delta=-0.004),
    row(3, "crash", val_bpb=None, delta=None, sigma=None, reason="oom: out of memory"),
]


def dropped(n: int, reason: str) -> ExperimentRow:
    return row(n, val_bpb=None, delta=None, sigma=None, reason=reason)


def test_what_was_superseded_is_named_in_one_line_and_not_listed() -> None:
    rows = [
        row(0, "keep"),
        dropped(2, "superseded by experiment 1, with which it conflicts"),
        dropped(5, "superseded by experiment 4"),
        row(6, origin=5),
        dropped(7, "it was not measured: the session ended"),
    ]
    head, *lines, last = screen(rows).splitlines()
    assert head.split()[0] == "n" and [line.split()[0] for line in lines] == ["0", "6"]
    assert last == (
        "Never measured: made again on a newer incumbent: 5 as 6; in conflict with a newer incumbent: 2;"
        " not reached before the session ended: 7."
    )


def test_an_unknown_agent_is_not_called_base() -> None:
    _, base, other = screen([row(0, "keep"), row(1, agent=None)]).splitlines()
    assert "base" in base.split() and "base" not in other.split()


def test_a_line_says_what_was_measured_how_sure_that_is_and_what_it_cost() -> None:
    head, base, keep, near, crash = screen(ROWS).splitlines()
    assert head.split() == [
        "n",
        "commit",
        "val_bpb",
        "change",
        "sigmas",
        "verdict",
        "agent",
        "cost",
        "lines",
        "params",
        "what",
    ]
    assert base.split() == ["0", "0000000", "2.0000", "keep", "base", "idea", "0"]
    assert keep.split() == [
        "1",
        "0000001",
        "2.0010",
        "-0.0245",
        "-2.5±0.8",
        "keep",
        "sweep",
        "$0.12",
        "+3",
        "-1",
        "+1.23M",
        "idea",
        "1",
    ]
    assert "-0.4±0.8 near miss" in near and crash.split()[2:] == [
        "-",
        "crash",
        "sweep",
        "idea",
        "3",
        "|",
        "oom:",
        "out",
        "of",
        "memory",
    ]


def test_a_keep_that_is_no_gain_and_what_people_said_of_keeps() -> None:
    lines = screen(
        [row(1, "keep", reason="less code for the same score"), row(2, "keep", review="rejected"), row(3)]
    ).splitlines()
    assert "review" in lines[0] and "simpler" in lines[1] and "keep    rejected" in lines[2] and "re" not in lines[3]
    assert "review" not in screen(ROWS)


def test_a_reason_that_the_hypothesis_has_told_is_not_told_again() -> None:
    assert (
        screen([row(1, "invalid", hypothesis="broken proposal: it is empty", reason="it is empty")]).count(
            "it is empty"
        )
        == 1
    )


def test_columns_without_content_are_not_shown() -> None:
    assert "params" not in screen([row(0, "keep")]) and "cost" not in screen([row(0, "keep")])


@pytest.mark.parametrize(
    ("width", "missing"), [(100, set()), (60, {"params", "cost"}), (40, {"params", "cost", "lines", "agent", "change"})]
)
def test_a_narrow_terminal_leaves_out_what_tells_least_and_nothing_is_wrapped(width: int, missing: set[str]) -> None:
    lines = words(screen([*ROWS, row(4, hypothesis="long " * 60)], width)).splitlines()
    assert all(cell_len(line.rstrip()) <= width for line in lines)
    assert {"params", "cost", "lines", "agent", "change"} - set(lines[0].split()) == missing
    assert {"n", "commit", "sigmas", "verdict"} <= set(lines[0].split())
    assert lines[-1].rstrip().endswith("...")


def test_colours_only_repeat_what_the_words_say() -> None:
    plain, coloured = screen(ROWS, 200), screen(ROWS, 200, colours=True)
    assert "\x1b[32m" in coloured and "\x1b[3" not in plain
    assert words(coloured) == words(plain)


def test_words_of_an_agent_do_nothing_in_a_terminal() -> None:
    hostile = [row(1, hypothesis=EVIL, agent=EVIL), row(2, "crash", reason=EVIL, hypothesis="x" * 10**6)]
    for width in (None, 40, 200):
        shown = words(screen(hostile, width))
        assert ("evil" in shown and "[bold red]rich[/] [/] :smile:" in shown) or width == 40
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert len(screen(hostile, 80)) < 2000


def test_suspects_and_weak_grades_are_named_first() -> None:
    rows = [row(0, "keep", grade="WEAK"), row(1, "suspect")]
    buffer = io.StringIO()
    print_blocks(log(rows), Console(file=buffer))
    first, second, _, *shown = buffer.getvalue().splitlines()
    assert first.startswith("suspect: 1: their scores") and second.startswith("grade WEAK") and len(shown) == 1


def test_where_nothing_was_kept_it_says_so() -> None:
    assert screen([]) == "nothing was kept yet: --all lists all experiments\n"
    assert screen([], empty="no experiment is crash") == "no experiment is crash\n"


def test_wide_characters_are_counted_as_a_terminal_counts_them() -> None:
    column = Column("agent", ["日本語", "ab"], left=True)
    assert column.width == 6 and [cell_len(column.pad(cell)) for cell in column.cells] == [6, 6]
    assert cut("日本語日本語", 9) == "日本語..." and cut("abc", 3) == "abc" and cut("abcd", 2) == "ab"


def test_columns_of_rank_0_stay_however_narrow_it_is() -> None:
    columns = [Column("a", ["x" * 30]), Column("b", ["y" * 30], rank=1)]
    assert fit(columns, 10) == columns[:1] and fit(columns, None) == columns


def test_numbers_of_parameters_read_well() -> None:
    assert [short_count(count) for count in (-32, 688_128, 1.2e9, -1.5e6)] == ["-32", "+688k", "+1.2G", "-1.5M"]
