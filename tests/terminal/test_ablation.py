"""Which kept changes carry the total, on the screen."""

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from autoresearch.analysis.ablate import Ablation, Part
from autoresearch.metric import VAL_BPB
from autoresearch.report.blocks import Paragraph
from autoresearch.report.results import ablation
from autoresearch.terminal.console import print_blocks

FOUND = Ablation(
    9,
    3,
    [
        Part(2, "long " * 60, 0.5, 0.01, 1.0),
        Part(5, "\x1b[31mred", -0.001, 0.01, 0.4, 0.96),
        Part(9, "x", conflict="later changes stand on it"),
    ],
)


def shown(**options: object) -> list[str]:
    buffer = io.StringIO()
    print_blocks(ablation(FOUND, VAL_BPB), Console(file=buffer, _environ={"NO_COLOR": "1"}, **options))
    return re.sub(r"\x1b\[[0-9;]*m", "", buffer.getvalue()).splitlines()


def test_a_line_for_each_change_and_what_follows() -> None:
    head, first, second, third, last = shown()
    assert head.split() == ["n", "lost", "without", "it", "sure", "carries", "what"]
    assert first.split()[:7] == ["2", "+0.5000", "±", "0.0100", "over", "99", "%"] and first.count("long") == 60
    assert (
        second.split()[6:] == ["no", "red"]
        and third.split()[1:3] == ["not", "measured"]
        and third.endswith("later changes stand on it | x")
    )
    assert last == "experiment 9 on 3 seeds: 5 carries nothing measurable: `autoresearch ablate --prune` removes it"


def test_what_is_not_clear_is_neither_kept_nor_pruned_by_name() -> None:
    parts = [Part(4, "x", 0.0035, 0.0069, 0.69, 0.6, more_pairs=9), Part(6, "y", 0.1, 0.0069, 1.0, 0.0)]
    found = Ablation(6, 3, parts)
    assert (found.idle, [part.n for part in found.unclear], [part.carries for part in parts]) == ([], [4], [True, True])
    *_, last = ablation(found, VAL_BPB)
    assert isinstance(last, Paragraph) and "--prune" not in last.parts[0]
    assert "what 4 carries is not decided; 9 more pairs would: `autoresearch ablate --draws N`" in last.parts[0]


@pytest.mark.parametrize(("width", "rows"), [(40, 7), (80, 4), (120, 4)])
def test_in_a_terminal_no_row_is_wrapped(width: int, rows: int) -> None:
    """Without room beside the numbers, the change is on a line below them."""
    lines = shown(force_terminal=True, width=width)
    assert max(cell_len(line) for line in lines) <= width
    assert lines[rows].startswith("experiment 9 on 3 seeds: 5 carries")
