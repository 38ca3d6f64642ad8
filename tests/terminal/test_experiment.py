"""One experiment on the screen."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from support import experiments

from autoresearch.analysis.ablate import Part
from autoresearch.analysis.experiment_details import ExperimentDetails
from autoresearch.ledger import Experiment, Review, Trial
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.report import experiment
from autoresearch.source.size import Size
from autoresearch.terminal.console import print_blocks

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066 [bold red]rich[/] [/]\r"
LAYERS = {"landlock": 7, "seccomp": True, "caps": 0, "ns": ["pid"], "uid": None}
PATCH = "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-A = 1\n+A = 2\n"


def trial(purpose: str = "screen", outcome: str | None = "ok", said: Any = None, **columns: Any) -> Trial:
    """A trial with a whole result, in which `said` stands too."""
    curve = [{"step": float(k), "loss": 3.0 - k / 100, "seconds": float(k)} for k in range(100)]
    result = {
        "outcome": outcome,
        "curve": curve,
        "reported": {"num_params": 5e5, "step": 100.0, "tokens_per_step": 1000.0},
        "layers": LAYERS,
        "weaknesses": [],
        "train_seconds": 100.0,
        "audit": {"n": 256, "d_mean": 1e-8},
    }
    return experiments.trial(purpose, outcome, **{"result": {**result, **(said or {})}, **columns})


def found(
    baseline: ExperimentDetails | None = None,
    trials: Any = None,
    beside: Any = (),
    patch: str = PATCH,
    size: Size | None = Size(321, 4567),
    review: Review | None = None,
    part: Part | None = None,
    **columns: Any,
) -> ExperimentDetails:
    known = {
        "id": 1, "session_id": 1, "n": 13, "origin": None, "parent": 0, "line": 4, "mode": "climb", "blob": "b",
        "sha": "53f6d11e81e5" + "0" * 28, "fingerprint": None, "shape": None, "numbers": [], "state": "settled",
        "verdict": "discard", "reason": "not better", "near_miss": True, "agent": "claude", "model": "opus",
        "arm": None, "category": "schedule", "hypothesis": "because", "change": "A 1 -> 2", "predicted": -0.0076,
        "params": {},
        "program_hash": None, "val_bpb": 2.1516, "delta": 0.007, "sigma": 0.05, "p_gain": 0.46, "lines_added": 3,
        "lines_removed": 1, "cost_usd": 0.119, "started": 0.0, "settled": 1.0, "text": None,
    }  # fmt: skip
    row, files = Experiment(**{**known, **columns}), Artefacts(Path("no/such/folder"))
    details = ExperimentDetails(
        row, files, [trial()] if trials is None else trials, beside, 0.06, review, part, baseline
    )
    vars(details).update(patch=patch, size=size)  # as if they had been read
    return details


def screen(details: ExperimentDetails, width: int | None = None) -> str:
    buffer = io.StringIO()
    options: dict[str, Any] = {"force_terminal": True, "width": width, "_environ": {"NO_COLOR": "1"}} if width else {}
    print_blocks(experiment.layout(details), Console(file=buffer, **options))
    return re.sub(r"\x1b\[[0-9;]*m", "", buffer.getvalue())


def test_many_fillers_are_one_row() -> None:
    early = trial("filler", "infra", val_bpb=None)
    few, many = [early] * 6, [early] * 30 + [trial("filler", val_bpb=2.0), trial("filler", val_bpb=2.2)]
    assert screen(found(trials=[trial(), *few])).count("\nfiller") == 6
    shown = screen(found(trials=[trial(), *many]), width=160)
    assert "\nfiller " not in shown and "32 fillers" in shown and "2 with a score, of which this is the mean" in shown
    assert "2.100000" in shown


def test_the_margin_to_the_bell_and_the_opening_that_was_taken_are_shown() -> None:
    trials = [trial(said={"margin": margin}) for margin in (0.05, 0.012)]
    text = screen(found(trials=trials, mode="refine", params={"opening": "refine 4\x1b[2J"}))
    assert "at least 1.2 % of the budget was left when it had saved" in text
    assert "refine, line of experiment 4 (its agent said: refine 4" in text and "\x1b[2J" not in text


def test_everything_that_is_known_of_it() -> None:
    base = found(n=0, size=Size(330, 4560), trials=[trial("base", num_params=4e5)])
    lines = screen(found(base)).splitlines()
    assert lines[:2] == ["experiment 13, derived from 0, 53f6d11e81e5", "discard (a near miss): not better"]
    said = {line[:12].strip(): line[12:] for line in lines[3:]}
    expected = {
        "hypothesis": "because",
        "changed": "A 1 -> 2",
        "by": "claude opus, schedule",
        "mode": "climb, line of experiment 4",
        "val_bpb": "2.151600",
        "predicted": "-0.0076",
        "measured": "+0.0070 (+0.1 sigma), give or take 0.0600 against the mean of experiment 0; sigma was 0.0500 then",
        "probability": "46 % that it is better",
        "size": "+3 -1 lines, 0.5M parameters (+100k)",
        "code": "321 lines and 4,567 tokens (-9, +7)",
        "cost": "$0.119",
        "time": "1 min 47 s in 1 trial",
        "memory": "44.0 GiB of the card at the peak",
        "training": "100 steps, 0.1M tokens, 1,000 a second, as train.py says",
        "audit": "256 positions, +1.0e-08 nats from the claim",
        "protection": "STRONG: landlock 7 | seccomp | caps 0 | ns pid | uid -",
    }
    assert expected.items() <= said.items()
    assert any(
        line.split()
        == ["screen", "805995200", "ok", "2.151600", "1", "min", "40", "s", "2.0", "s", "5.0", "s", "STRONG"]
        for line in lines
    )
    assert "training loss, as train.py reports it" in lines
    assert "screen, seed 805995200, over 1 min 39 s; experiment 0 in points" in lines
    assert lines[-1] == "+A = 2" and lines[-2] == "-A = 1"


def test_nothing_is_certain_and_only_a_clear_difference_refutes_a_prediction() -> None:
    base = found(n=0, trials=[trial("base")])
    assert "over 99 % that it is better" in screen(found(base, p_gain=0.999994))
    assert "under 1 % that it is better" in screen(found(base, p_gain=0.0))
    assert "-0.0076: the sign was wrong" in screen(found(base, delta=0.13))
    assert re.search(r"^predicted +no change$", screen(found(base, predicted=0.00001)), re.M)


def test_a_change_on_top_of_a_near_miss_is_shown_as_it_was_measured() -> None:
    base = found(n=9, text="A = 1\nB = 1\n", trials=[trial("base")])
    chained = found(base, parent=12, text="A = 1\nB = 2\n", patch="", change="A 2 -> 1, B 1 -> 2")
    del vars(chained)["patch"]
    text = screen(chained)
    assert (
        text.startswith("experiment 13, derived from 12, compared with 9, ")
        and "against the mean of experiment 9" in text
    )
    assert re.search(r"^changed +B 1 -> 2, against experiment 9$", text, re.M) and "+1 -1 lines" in text
    assert text.splitlines()[-2:] == ["-B = 1", "+B = 2"] and "the change to experiment 9" in text


def test_the_base_and_what_has_no_result_yet() -> None:
    base = screen(
        found(
            n=0,
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
    again = [
        trial(purpose, num_params=9e9, blob="b" if purpose == "total" else "other")
        for purpose in ("total", "total", "ablate")
    ]
    text = screen(found(trials=[trial(), *again], beside=[(7, trial("sentinel", val_bpb=2.25))]))
    assert "1 min 47 s in 1 trial, and 5 min 21 s in 3 trials to measure it again" in text and "9e+03M" not in text
    names = [line.split("805995200")[0].strip() for line in text.splitlines() if "805995200" in line]
    *names, legend = names  # of the curve
    assert names == ["screen", "of 7, beside it", "total", "total", "without it"] and legend == "screen, seed"


def test_what_people_and_an_ablation_said_of_it() -> None:
    part, review = Part(13, "x", 0.01, 0.02, 0.6), Review(accepted=False, note=EVIL, by=EVIL, at=1.0)
    text = screen(found(verdict="keep", review=review, part=part, size=None))
    assert "review      rejected by " in text and "+0.0100 ± 0.0200 without it: not decided" in text
    assert "\x1b" not in text and "code  " not in text
    stuck = Part(13, "x", conflict="later changes stand on it")
    assert "not measured: later changes stand on it" in screen(found(part=stuck))


def test_a_failure_says_why_and_a_claim_that_it_is_one() -> None:
    failed = trial(outcome="oom", val_bpb=None, said={"reason": "MemoryError: too much"})
    assert "MemoryError: too much" in screen(found(verdict="crash", trials=[failed]))
    claimed = {"claimed": True}
    assert "ok (a losing claim, not audited)" in screen(found(trials=[trial(said=claimed)]))
    claimed["disturbed"] = True
    assert "ok (a losing claim, not audited, disturbed)" in screen(found(trials=[trial(said=claimed)]))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_but_the_change_is_wider_than_the_terminal(width: int) -> None:
    text = screen(found(found(n=0), hypothesis="word " * 100, reason="why " * 50), width).split("--- a/train.py")[0]
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "hypothesis  word" in text and "\n            word" in text


def test_words_of_an_agent_do_nothing_in_a_terminal() -> None:
    evil = trial(outcome="crash", said={"reason": EVIL, "weaknesses": [EVIL]})
    text = screen(
        found(hypothesis=EVIL, reason=EVIL, change=EVIL, category=EVIL, agent=EVIL, patch=f"+{EVIL}\n", trials=[evil]),
        width=80,
    )
    buffer = io.StringIO()
    entry = {"kind": EVIL, "text": EVIL * 10_000, "more": EVIL}
    print_blocks(experiment.trace([entry]), Console(file=buffer))
    for shown in (text, buffer.getvalue()):
        assert "evil" in shown and "[bold red]rich[/] [/]" in shown
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert len(buffer.getvalue()) < 5000
    assert len(screen(found(hypothesis="x" * 10**6, reason="y " * 10**6), width=80)) < 10_000
