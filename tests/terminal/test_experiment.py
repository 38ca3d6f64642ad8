"""One experiment on the screen."""

import io
import re
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from autoresearch.terminal.experiment import print_experiment, print_trace

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066 [bold red]rich[/] [/]\r"
LAYERS = {"landlock": 7, "seccomp": True, "caps": 0, "ns": ["pid"], "uid": None}


def trial(purpose: str = "screen", outcome: str | None = "ok", **values: Any) -> dict[str, Any]:
    curve = [{"step": float(k), "loss": 3.0 - k / 100, "seconds": float(k)} for k in range(100)]
    said = {"num_params": 5e5, "step": 100.0, "tokens_per_step": 1000.0}
    result = {
        "outcome": outcome,
        "curve": curve,
        "reported": said,
        "layers": LAYERS,
        "weaknesses": [],
        "train_seconds": 100.0,
    }
    result["audit"] = {"n": 256, "d_mean": 1e-8}
    times = {"train_seconds": 100.0, "setup_seconds": 2.0, "score_seconds": 5.0, "started": 0.0, "ended": 107.0}
    known = {
        "seed": 805995200,
        "val_bpb": 2.1516,
        "grade": "STRONG",
        "num_params": 5e5,
        "peak_mb": 45056.0,
        "own": True,
    }
    return {"purpose": purpose, "outcome": outcome, "result": result, **times, **known, **values}


def found(**values: Any) -> dict[str, Any]:
    measured = {"val_bpb": 2.1516, "delta": 0.007, "sigma": 0.05, "error": 0.06, "p_gain": 0.46, "predicted": -0.0076}
    about = {
        "n": 13,
        "parent": 0,
        "sha": "53f6d11e81e5" + "0" * 28,
        "state": "settled",
        "verdict": "discard",
        "reason": "not better",
        "near_miss": True,
    }
    who = {
        "agent": "claude",
        "model": "opus",
        "category": "schedule",
        "hypothesis": "because",
        "change": "A 1 -> 2",
        "mode": "climb",
        "line": 4,
    }
    counts = {
        "lines_added": 3,
        "lines_removed": 1,
        "cost_usd": 0.119,
        "trials": [trial()],
        "patch": "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-A = 1\n+A = 2\n",
    }
    later = {"beside": [], "size": {"lines": 321, "tokens": 4567}, "review": None, "ablation": None}
    return {**measured, **about, **who, **counts, **later, **values}


def screen(facts: dict[str, Any], parent: dict[str, Any] | None = None, width: int | None = None) -> str:
    buffer = io.StringIO()
    options: dict[str, Any] = {"force_terminal": True, "width": width, "_environ": {"NO_COLOR": "1"}} if width else {}
    print_experiment(facts, parent, Console(file=buffer, **options))
    return re.sub(r"\x1b\[[0-9;]*m", "", buffer.getvalue())


def test_everything_that_is_known_of_it() -> None:
    lines = screen(
        found(), found(n=0, parent=None, size={"lines": 330, "tokens": 4560}, trials=[trial("base", num_params=4e5)])
    ).splitlines()
    assert lines[:2] == ["experiment 13, derived from 0, 53f6d11e81e5", "discard (a near miss): not better"]
    said = {line[:12].strip(): line[12:] for line in lines[3:]}
    expected = {
        "hypothesis": "because",
        "changed": "A 1 -> 2",
        "by": "claude opus, schedule",
        "asked for": "climb, line of experiment 4",
        "val_bpb": "2.151600",
        "predicted": "-0.0076: it went the other way",
        "measured": "+0.0070 (+0.1 sigma), give or take 0.0600",
        "probability": "46 % that it is better",
        "size": "+3 -1 lines, 0.5M parameters (+100k)",
        "code": "321 lines and 4,567 tokens (-9, +7)",
        "cost": "$0.119",
        "time": "1 min 47 s in 1 trial",
        "memory": "44.0 GiB of the card at the peak",
        "training": "100 steps, 0.1M tokens, 1,000 a second, 0.5M parameters, as train.py says",
        "audit": "256 positions, +1.0e-08 nats from the claim",
        "protection": "STRONG: landlock 7 | seccomp | caps 0 | ns pid | uid -",
    }
    assert expected.items() <= said.items()
    assert any(
        line.split()
        == ["screen", "805995200", "ok", "2.151600", "1", "min", "40", "s", "2.0", "s", "5.0", "s", "STRONG"]
        for line in lines
    )
    assert "training loss over 1 min 39 s, and of experiment 0 in points, as train.py says" in lines
    assert lines[-1] == "+A = 2" and lines[-2] == "-A = 1"


def test_the_base_and_what_has_no_result_yet() -> None:
    base = screen(
        found(
            n=0,
            parent=None,
            verdict="keep",
            near_miss=False,
            reason="the base",
            delta=None,
            predicted=None,
            agent=None,
            model=None,
            patch="",
        )
    )
    assert base.startswith("experiment 0, the base, 53f6") and "predicted" not in base and "by  " not in base
    running = {
        "outcome": None,
        "result": {},
        "ended": None,
        "val_bpb": None,
        "grade": None,
        "num_params": None,
        "peak_mb": None,
    }
    text = screen(found(verdict=None, state="measuring", sha=None, trials=[trial(**running)], delta=None, val_bpb=None))
    assert (
        "experiment 13, derived from 0, no commit\nmeasuring\n" in text
        and "running" in text
        and "training loss" not in text
    )


def test_what_was_held_against_it_and_what_measured_it_again_are_told_apart() -> None:
    again = [trial(purpose, num_params=9e9, own=purpose == "total") for purpose in ("total", "total", "ablate")]
    text = screen(found(trials=[trial(), *again], beside=[{"n": 7, **trial("sentinel", val_bpb=2.25)}]))
    assert "1 min 47 s in 1 trial, and 5 min 21 s in 3 trials to measure it again" in text and "9e+03M" not in text
    names = [line.split("805995200")[0].strip() for line in text.splitlines() if "805995200" in line]
    assert names == ["screen", "of 7, beside it", "total", "total", "without it"]


def test_what_people_and_an_ablation_said_of_it() -> None:
    part = {"n": 13, "change": "x", "loss": 0.01, "error": 0.02, "p_carries": 0.6, "conflict": None, "carries": False}
    review = {"accepted": False, "note": EVIL, "by": EVIL, "at": 1.0}
    text = screen(found(verdict="keep", review=review, ablation=part, size=None))
    assert "review      rejected by " in text and "+0.0100 ± 0.0200 without it: nothing that shows" in text
    assert "\x1b" not in text and "code  " not in text
    stuck = part | {"loss": None, "error": None, "p_carries": None, "conflict": "later changes stand on it"}
    assert "not measured: later changes stand on it" in screen(found(ablation=stuck))


def test_a_failure_says_why_and_a_claim_that_it_is_one() -> None:
    failed = trial(outcome="oom", val_bpb=None)
    failed["result"] = {**failed["result"], "outcome": "oom", "reason": "MemoryError: too much"}
    assert "MemoryError: too much" in screen(found(verdict="crash", trials=[failed]))
    claimed = trial()
    claimed["result"]["claimed"] = True
    assert "ok (a losing claim, not audited)" in screen(found(trials=[claimed]))
    claimed["result"]["disturbed"] = True
    assert "ok (a losing claim, not audited, disturbed)" in screen(found(trials=[claimed]))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_but_the_change_is_wider_than_the_terminal(width: int) -> None:
    text = screen(found(hypothesis="word " * 100, reason="why " * 50), found(n=0, parent=None), width).split(
        "--- a/train.py"
    )[0]
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "hypothesis  word" in text and "\n            word" in text


def test_words_of_an_agent_do_nothing_in_a_terminal() -> None:
    evil = trial(outcome="crash")
    evil["result"] = {**evil["result"], "reason": EVIL, "weaknesses": [EVIL]}
    text = screen(
        found(hypothesis=EVIL, reason=EVIL, change=EVIL, category=EVIL, agent=EVIL, patch=f"+{EVIL}\n", trials=[evil]),
        width=80,
    )
    buffer = io.StringIO()
    print_trace([{"kind": EVIL, "text": EVIL * 10_000, "more": EVIL}], Console(file=buffer))
    for shown in (text, buffer.getvalue()):
        assert "evil" in shown and "[bold red]rich[/] [/]" in shown
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert len(buffer.getvalue()) < 5000
    assert len(screen(found(hypothesis="x" * 10**6, reason="y " * 10**6), width=80)) < 10_000
