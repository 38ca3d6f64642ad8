"""The lines at the bottom of the screen, and the lines that stay above them."""

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from support.status_rows import NOW, STATUS

from autoresearch.ledger.session_status import TargetOnRecord
from autoresearch.session.live import LiveTrial
from autoresearch.terminal.board import board
from autoresearch.terminal.live_view import Screen

CURVE = [(k / 100, 4.0 - k / 100) for k in range(50)]
GPU = {"used_mb": 45056.0, "total_mb": 81920.0, "load": 98.0}
TRIAL = LiveTrial(14, "screen", "train", 0.5, NOW - 150, NOW, 3.612, 15_656.0, CURVE, GPU)
SCORES = replace(
    STATUS, base_bpb=2.2, best_bpb=2.1, best=7, best_sha="a" * 40, sigma=0.0266, experiments=13, kept=1
)  # fmt: skip


def shown(
    running: LiveTrial | None,
    width: int = 100,
    doing: str = "",
    status: dict[str, Any] | None = None,
    most: float | None = None,
) -> list[str]:
    return [line.plain for line in board(running, replace(SCORES, **(status or {})), doing, NOW, width, most)]


def test_the_trial_what_came_so_far_and_what_is_left() -> None:
    first, second, third, last = shown(TRIAL, status={"deadline": NOW + 3600, "cost_usd": 1.2}, most=10.0)
    assert re.fullmatch(r"  14  screen train  [▁-█]{40} loss 3\.612", first) and first[20] == "█"
    assert second == "      " + "━" * 16 + "─" * 16 + "   50 %  2 min 30 s  15,656 tokens/s"
    assert third == "best 2.1000 ± 0.0266 (-0.1000)  13 tried, 1 kept"
    assert last == "until 23:00 (in 1 h)  $1.20 of $10.00"
    assert shown(TRIAL, status={"deadline": NOW - 180})[-1] == "time was up at 21:57 (3 min ago)"
    assert "GPU 44.0 of 80 GiB, 98 % busy" in shown(TRIAL, 120)[1]
    assert "tokens/s  and 2 more" in shown(replace(TRIAL, others=2))[1]


def test_a_target_is_beside_the_other_limits() -> None:
    goal = TargetOnRecord(2.0, None, None, None)
    assert shown(None, status={"target": goal, "deadline": NOW + 3600})[-1] == "until 23:00 (in 1 h)  target 2.0000"
    assert shown(None, status={"target": replace(goal, n=4)})[-1] == "target 2.0000 reached"


def test_a_filler_says_why_it_runs() -> None:
    assert shown(replace(TRIAL, purpose="filler"))[0].startswith("  14  filler while the agent works: train")


def test_the_arm_of_a_running_trial_is_named() -> None:
    assert shown(replace(TRIAL, arm="claude-b"))[0].startswith("  14  screen train (claude-b)")


def test_before_there_is_anything_to_say() -> None:
    nothing = {"best": None, "best_bpb": None, "base_bpb": None, "experiments": 0, "kept": 0}
    assert shown(None, status=nothing) == ["0 tried, 0 kept"]
    assert shown(LiveTrial(0, "base", since=NOW), status=nothing)[0] == "   0  base setup"
    assert (
        board(TRIAL, None, "", NOW, 80)[0].plain.startswith("  14  screen train")
        and len(board(TRIAL, None, "", NOW, 80)) == 2
    )


def test_between_trials_it_says_what_the_agent_does() -> None:
    assert shown(None, doing="      claude works on a proposal, 42 s")[0] == "      claude works on a proposal, 42 s"


def test_suspects_pauses_and_unknown_costs_stand_out() -> None:
    lines = shown(None, status={"verdicts": {"suspect": 2}, "state": "paused", "cost_usd": None}, most=5.0)
    assert lines[0].endswith("2 SUSPECT") and lines[1] == "PAUSED  cost unknown of $5.00"
    lines = shown(None, 200, status={"cost_usd": None, "unpriced": ["mine"]})
    assert "cost unknown  `prices: {mine: {input: ..., output: ...}}` in autoresearch.yaml gives" in lines[-1]


@pytest.mark.parametrize("width", [12, 20, 40, 60, 80, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    lines = shown(TRIAL, width, status={"deadline": NOW + 3600, "cost_usd": 1.2}, most=10.0)
    assert len(lines) == 4 and all(cell_len(line) < width for line in lines)


def screen(**options: Any) -> tuple[Screen, io.StringIO]:
    buffer = io.StringIO()
    return Screen(Console(file=buffer, **options)), buffer


def test_plain_lines_where_there_is_no_terminal() -> None:
    made, buffer = screen()
    made.open()
    made.running, made.status = TRIAL, STATUS
    made.event("measured", 14, "ok 2.1", {}, NOW)
    made.event("trial", 14, "screen", {}, NOW)
    made.close()
    assert buffer.getvalue() == "  14  measured  ok 2.1\n"


def test_the_board_goes_and_the_lines_stay() -> None:
    made, buffer = screen(force_terminal=True, width=80, height=24, _environ={"TERM": "xterm-256color"})
    made.running, made.status = TRIAL, STATUS
    made.open()
    made.say("a line that stays")
    made.close()
    text = buffer.getvalue()
    assert "14  screen train" in text and "\x1b[?1049h" not in text and "\x1b[2J" not in text
    assert text.index("a line that stays") < text.rindex("\x1b[2K")


def test_a_long_line_goes_on_below_its_first_word() -> None:
    made, buffer = screen(force_terminal=True, width=40, no_color=True, _environ={"TERM": "xterm"})
    made.event("proposed", 3, "a lower rate for the embedding, which learns too fast", {}, NOW)
    assert buffer.getvalue().splitlines() == [
        "   3  proposed  a lower rate for the",
        "                embedding, which learns",
        "                too fast",
    ]


def test_words_of_others_do_nothing_in_a_terminal() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil [bold red]rich[/] [/]\r\x08"
    made, buffer = screen()
    made.event("verdict", 1, evil, {"verdict": evil}, NOW)
    made.status = replace(STATUS, agent=evil)
    made.last = ("verdict", 1, NOW)
    Console(file=buffer).print(made.board())
    Console(file=buffer).print(*board(LiveTrial(1, evil, evil), STATUS, evil, NOW, 80))
    made.say("x" * 10**6)
    assert len(buffer.getvalue()) < 3000
    assert buffer.getvalue().count("evil") >= 4 and "[bold red]rich[/] [/]" in buffer.getvalue()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", buffer.getvalue())
