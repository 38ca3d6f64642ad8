"""The report: what it says first, and that nothing which others wrote can do anything in it."""

import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.experiments import experiment, group
from support.repositories import git
from support.web_client import Tags

from autoresearch.analysis import advice, summary
from autoresearch.analysis.proportion import proportion
from autoresearch.hardware import EVALUATOR
from autoresearch.ledger import Ledger, Session
from autoresearch.metric import Metric
from autoresearch.report import chart, html, markdown, report, tree
from autoresearch.report.axes import Scale
from autoresearch.report.blocks import PATCH_COLUMNS, PATCH_LINES, Code, Paragraph, Table, Verbatim
from autoresearch.web import side

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> ]]> --> </style> </details> [me](javascript:alert(1))"
    " ![x](http://evil.example/a.png) `code` \x1b[31mred\x1b]0;title\x07 \u202eback | cell $$x$$ @everyone"
    " https://evil.example www.evil.example <!-- \x00 & \" '"
)
TOTAL = {"mean": -0.02, "low": -0.03, "high": -0.01}


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "runs" / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def session(ledger: Ledger) -> Session:
    identity = {"gpu": None, "evaluator": EVALUATOR}
    session = ledger.create_session("t", "autoresearch/t", "b" * 40, "sweep", "default", {"budget": "5m"}, identity, 7)
    add(ledger, session, 0, "keep", val_bpb=2.0, hypothesis="the base", scores=(2.01, 1.99))
    return session


def add(
    ledger: Ledger, session: Session, n: int, verdict: str, scores: tuple[float, ...] = (), **columns: object
) -> None:
    values = {"state": "settled", "settled": float(n), "sha": f"{n:040x}", "sigma": 0.01, "agent": "sweep"} | columns
    experiment = ledger.add_experiment(session.id, n, verdict=verdict, **values)
    for k, score in enumerate(scores):
        trial = ledger.start_trial(session.id, experiment.id, "rerun" if k else "screen", 1000 * n + k, "blob")
        ledger.end_trial(trial.id, "ok", score, {"grade": "STRONG", "train_seconds": 60.0, "weaknesses": []})


def keep(ledger: Ledger, session: Session, n: int, **columns: object) -> None:
    """One that was screened and measured once more."""
    add(ledger, session, n, "keep", (1.9, 1.91), **{"val_bpb": 1.9, "delta": -0.1, "parent": n - 1} | columns)


def read_summary(ledger: Ledger, session: Session, folder: Path) -> summary.SessionSummary:
    return summary.read(ledger, session, folder / "runs", time.time())


def both(ledger: Ledger, session: Session, folder: Path) -> tuple[str, str]:
    """The report as HTML and as Markdown."""
    blocks = report.layout(read_summary(ledger, session, folder))
    return html.page("t", blocks), markdown.document(blocks)


def headings(text: str) -> list[str]:
    return [line.lstrip("# ") for line in text.splitlines() if line.startswith("## ")]


# --- what it says


def test_a_session_that_kept_nothing(ledger, session, tmp_path):
    add(ledger, session, 1, "discard", (2.1,), val_bpb=2.1, delta=0.1, hypothesis="wider")
    page, text = both(ledger, session, tmp_path)
    assert "Nothing was kept: the base stands." in page and "Nothing was kept: the base stands." in text
    assert "autoresearch total" not in page and headings(text)[0] == "Progress"
    going = ledger.update_session(session.id, pid=os.getpid())
    assert "Nothing is kept yet." in both(ledger, going, tmp_path)[1]


def test_a_total_that_was_not_measured_is_said_to_be_missing_and_one_that_was_is_the_headline(
    ledger, session, tmp_path
):
    add(
        ledger,
        session,
        1,
        "keep",
        (1.9, 1.91, 1.89),
        val_bpb=1.9,
        delta=-0.1,
        predicted=-0.2,
        hypothesis="deeper",
        parent=0,
    )
    page, text = both(ledger, session, tmp_path)
    assert "**The honest total is not measured yet: `autoresearch total`**" in text
    total = {
        "base": 0,
        "final": 1,
        "pairs": 3,
        "val": TOTAL,
        "holdout": TOTAL | {"high": 0.01},
        "running_minimum": -0.1,
        "optimism": -0.08,
    }
    ledger.event(session.id, "total", "older", data={"val": TOTAL})
    ledger.event(session.id, "total", "x", data=total)
    page, text = both(ledger, session, tmp_path)
    assert "**-0.0200 bits per byte, 95 % between -0.0300 and -0.0100**" in text and 'class="large good"' in page
    assert "-0.0200, 95 % between -0.0300 and +0.0100: no difference is shown." in text
    assert "not measured yet" not in page
    add(ledger, session, 2, "keep", (1.8,), val_bpb=1.8, delta=-0.1, hypothesis="deeper still", parent=1)
    assert "Experiment 2 was kept after that and is not in it" in both(ledger, session, tmp_path)[1]


def test_a_keep_comes_with_its_change_and_its_evidence(ledger, session, tmp_path):
    keep(ledger, session, 1, predicted=-0.2, hypothesis="deeper", reason="confirmed")
    folder = tmp_path / "runs" / "t" / "1"
    folder.mkdir(parents=True)
    (folder / "patch.diff").write_text("--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-DEPTH = 2\n+DEPTH = 4\n")
    page, text = both(ledger, session, tmp_path)
    assert "| screen | 1000 | ok | 1.900000 |" in text and "| rerun | 1001 | ok | 1.910000 |" in text
    assert '<span class="added">+DEPTH = 4\n</span>' in page and "```diff\n--- a/train.py" in text
    assert "keep: confirmed\n" in text and "- by: sweep\n- predicted: -0.2000\n" in text and "| STRONG |" in text
    assert 'href="#n1"' in page and 'id="n1"' in page


def test_what_people_later_trials_and_the_machine_said_of_keeps(ledger, session, tmp_path):
    keep(ledger, session, 1, p_gain=0.97, reason="2 fresh re-runs confirm it")
    keep(ledger, session, 2, delta=0.001, p_gain=0.4, reason="less code for the same score")
    base = ledger.experiment(session.id, 0)
    beside = ledger.start_trial(session.id, base.id, "sentinel", session.seed_of(1, 1), "blob")
    ledger.end_trial(beside.id, "ok", 2.03, {"grade": "STRONG"})
    _, text = both(ledger, session, tmp_path)
    assert "No review yet of experiments 1, 2: read the change" in text and "| review |" not in text
    assert "97 % that it is better" in text and "40 %" not in text and "- kept: **2, 1 at the same score**" in text
    assert re.search(r"\| of 0, beside it \| \d+ \| ok \| 2.030000 \|", text)
    part = {"n": 1, "change": "x", "loss": 0.09, "error": 0.01, "p_carries": 1.0, "conflict": None}
    ledger.event(
        session.id,
        "ablation",
        "x",
        data={
            "final": 2,
            "draws": 3,
            "bound": 0.02,
            "parts": [part, part | {"n": 2, "p_carries": 0.5, "p_idle": 0.96}],
        },
    )
    ledger.event(session.id, "review", "x", n=1, data={"accepted": True, "note": "reads well", "by": "Ann"})
    ledger.event(session.id, "review", "x", n=2, data={"accepted": False, "note": "", "by": "Bob"})
    ledger.event(session.id, "drift", "experiment 0 scores +4.0 sigma from before", n=0)
    for reason in ("interrupted", "interrupted", "stopped for 9 s"):
        row = ledger.start_trial(session.id, base.id, "base", 1, "blob")
        ledger.end_trial(row.id, "infra", None, {"reason": reason})
    _, text = both(ledger, session, tmp_path)
    assert "| n | commit | val_bpb | change | sigmas | as | carries | review |" in text
    assert re.search(r"\| a gain \| \+0.0900 ± 0.0100 without it \| accepted \|", text)
    assert re.search(r"\| less code \| \+0.0900 ± 0.0100 without it: it carries nothing \| rejected \|", text)
    assert "accepted by Ann: reads well" in text and "rejected by Bob" in text and "No review yet" not in text
    assert "The machine changed once:" in text and "| experiment 0 scores +4.0 sigma from before |" in text
    assert "3 trials did not count and were repeated: 2 interrupted; 1 stopped for 9 s." in text


def test_near_misses_are_those_with_odds_of_a_gain_and_not_what_lies_inside_the_noise(ledger, session, tmp_path):
    for n, odds in ((1, 0.9), (2, 0.1)):
        near = {"delta": -0.005, "near_miss": True, "p_gain": odds, "hypothesis": f"nearly {n}"}
        add(ledger, session, n, "discard", (1.995,), val_bpb=1.995, **near)
    _, text = both(ledger, session, tmp_path)
    assert "near misses: **1**" in text
    assert "| nearly 1 |" in text and "nearly 2" not in text
    found = read_summary(ledger, session, tmp_path)
    assert side.facts(found)["near misses"] == "1"


def test_suspects_come_first_and_what_else_there_is_has_its_place(ledger, session, tmp_path):
    add(ledger, session, 1, "suspect", hypothesis="too good", reason="audit", category="numerics")
    add(ledger, session, 2, "crash", hypothesis="boom", reason="oom", category="architecture")
    add(
        ledger,
        session,
        3,
        "discard",
        (1.995,),
        val_bpb=1.995,
        delta=-0.005,
        near_miss=True,
        p_gain=0.9,
        hypothesis="nearly",
        category="schedule",
    )
    for n in range(4, 14):
        add(
            ledger,
            session,
            n,
            "discard",
            val_bpb=2.1,
            delta=0.1,
            category="optimiser",
            program_hash="abc" if n < 9 else "def",
        )
    ledger.post(session.id, "note", "try a longer warmdown")
    _, text = both(ledger, session, tmp_path)
    assert headings(text) == [
        "Suspects", "Progress", "Where the time went", "Near misses worth another look",
        "What was tried, by category", "program.md", "Protection",
    ]  # fmt: skip
    assert "| 3 | -0.0050 | -0.5±1.4 | 90 % | 1 | nearly |" in text
    assert "| optimiser | 10 | 0 | 0 | 0 | +10.0 sigma | 0.0 | dead end |" in text
    assert "\n- Leave optimiser changes alone: 10 were measured, none was probably better." in text
    assert "| 2 | crash | boom | oom |" in text and "Your notes: try a longer warmdown" in text


def test_what_was_never_measured_did_not_fail_and_is_no_dead_end(ledger, session, tmp_path):
    add(ledger, session, 1, "crash", hypothesis="boom", reason="oom", category="bug")
    add(ledger, session, 2, "discard", reason="superseded by experiment 4", category="numerics")
    add(ledger, session, 3, "discard", reason="it was not measured: the session ended", category="numerics")
    add(
        ledger,
        session,
        4,
        "discard",
        (2.1,),
        val_bpb=2.1,
        delta=0.1,
        near_miss=True,
        p_gain=0.03,
        category="data-order",
    )
    add(ledger, session, 5, "crash", origin=2, reason="oom", category="bug")
    page, text = both(ledger, session, tmp_path)
    assert page.count('<path class="lost" d="M') == 5, "one for each crash, a path for a phone, and one in each legend"
    assert "- failed: **2**" in text and "- never measured: **2**" in text
    assert "Never measured: made again on a newer incumbent: 2 as 5; not reached before the session ended: 3." in text
    assert "dead end" not in text and "| numerics |" not in text and "Near misses" not in text
    assert "Nothing was tried yet" not in text, "one score is too little to say so"


def test_a_session_that_ended_with_an_error_says_with_which(ledger, session, tmp_path):
    ledger.connection.execute("UPDATE experiments SET val_bpb = NULL, verdict = NULL")
    ledger.event(session.id, "ended", "the base train.py fails (crash: <b>no</b>)")
    page, text = both(ledger, ledger.update_session(session.id, state="ended", stop_reason="error"), tmp_path)
    assert "**Nothing was measured.**" in text and "the base stands" not in text
    assert "It ended with an error: the base train.py fails (crash: &lt;b&gt;no&lt;/b&gt;)" in page
    assert (
        "It ended with an error"
        not in both(ledger, ledger.update_session(session.id, stop_reason="deadline"), tmp_path)[1]
    )


def test_two_slots_make_a_session_no_longer(ledger, session, tmp_path):
    add(ledger, session, 1, "discard", val_bpb=2.1, delta=0.1)
    running = ledger.update_session(session.id, pid=1, slots=2, state="running")
    ledger.connection.execute("UPDATE spans SET began = 0")
    ended = ledger.update_session(running.id, state="ended", ended=7200.0)
    _, text = both(ledger, ended, tmp_path)
    assert "- time: **2 h**" in text and "| idle | 3 h 58 min | 99 % |" in text
    assert "Times are summed over 2 slots; the session took 2 h." in text
    found = read_summary(ledger, ended, tmp_path)
    assert side.facts(found)["time"] == "2 h" and side.facts(found)["experiments an hour"] == "0.5"


def test_what_was_not_protected_is_said(ledger, session, tmp_path):
    weak = ledger.update_session(session.id, grade="WEAK", layers={"seccomp": False})
    page, text = both(ledger, weak, tmp_path)
    assert (
        "**Grade WEAK: not everything was protected" in text
        and "| seccomp | False |" in text
        and "<details open>" in page
    )


def test_money_is_told_by_model(ledger, session, tmp_path):
    add(ledger, session, 1, "keep", val_bpb=1.9, delta=-0.1, model="big")
    add(ledger, session, 2, "discard", val_bpb=2.1, delta=0.1, model="big")
    ledger.add_call(session.id, n=1, model="big", cost_usd=0.25, purpose="propose")
    assert "| big | 2 | 1 | 50 % | 9 % and 91 % | \\$0.25 |" in both(ledger, session, tmp_path)[1]


def test_the_tree_has_the_way_to_the_incumbent_straight_down_and_other_lines_beside_it(ledger, session, tmp_path):
    for n, parent, verdict in (
        (1, 0, "keep"),
        (2, 0, "discard"),
        (3, 2, "discard"),
        (4, 1, "keep"),
        (5, 2, "crash"),
        (6, 4, "discard"),
    ):
        add(ledger, session, n, verdict, parent=parent, val_bpb=None if verdict == "crash" else 1.9)
    found = tree.versions(read_summary(ledger, session, tmp_path).rows, 4)
    assert [(version.row.n, version.lane) for version in found] == [(0, 0), (2, 1), (1, 0), (4, 0)]
    assert tree.verdict_counts(found[1].verdicts) == "1 discard, 1 crash"
    for n, parent in ((7, 3), (8, 7), (9, 3), (10, 9)):  # from 3 two lines go on
        add(ledger, session, n, "discard", parent=parent, val_bpb=1.95)
    found = tree.versions(read_summary(ledger, session, tmp_path).rows, 4)
    assert [(version.row.n, version.lane) for version in found] == [
        (0, 0),
        (2, 1),
        (3, 1),
        (7, 2),
        (9, 1),
        (1, 0),
        (4, 0),
    ]
    assert "| 2 | 0 | 1.9000 | 2 | 1 discard, 1 crash |" in both(ledger, session, tmp_path)[1]


def test_a_circle_of_parents_is_no_endless_tree(ledger, session, tmp_path):
    for n, parent in ((1, 2), (2, 1), (3, 3)):
        add(ledger, session, n, "keep", parent=parent, val_bpb=1.9)
    assert [version.row.n for version in tree.versions(read_summary(ledger, session, tmp_path).rows, 3)] == [0, 1, 2, 3]


def test_labels_of_keeps_lie_apart():
    words = "a longer warmdown, and then some"
    keeps = [experiment(n, "keep", val_bpb=2.0 - n / 1000, hypothesis=words) for n in (0, 30, 31, 50, 99)]
    scale = Scale(-0.5, 100.5, 1.8, 2.1)
    found = {label.row.n: (label.words, label.place) for label in chart.labels(keeps, scale)}
    assert found == {
        0: ("base", "above"),
        30: (f"30: {words}", "slanted"),
        31: ("31", "above"),
        50: (f"50: {words}", "slanted"),
        99: ("99", "below"),  # too near to the lower axis
    }


@pytest.mark.parametrize("name", ["val_bpb", "seconds"])
def test_untried_categories_are_suggested_where_a_model_is_trained(name):
    tried = [experiment(n, "discard", delta=0.5, category="numerics") for n in range(1, 12)]
    rows = [replace(row, metric=Metric(name, kind="noisy")) for row in tried]
    lines = [each.line for each in advice.suggestions(rows, [], [], 0.1)]
    assert any("Nothing was tried yet in: architecture" in line for line in lines) is (name == "val_bpb")


def test_the_patch_for_program_md_applies(ledger, session, finished):
    rows = [experiment(n, "crash", delta=None) for n in range(1, 12)]
    lines = advice.suggestions(rows, [], [group("category", "schedule", experiments=11, failed=11)], 0.1)
    assert [each.line for each in lines] == ["Make sure that a change runs: 11 of 11 gave no score."]
    assert lines[0].evidence == "without a score: 11 of 11, between 74 % and 100 % (95 %)"
    text = (finished / "program.md").read_text()
    (finished / "advice.patch").write_text(advice.patch(text, lines, "t"))
    git(finished, "apply", "advice.patch")
    after = (finished / "program.md").read_text()
    assert after.startswith(text) and after.endswith(f"- {lines[-1].line}\n") and "## What session t showed" in after
    git(finished, "checkout", "program.md")
    assert advice.patch(text, [], "t") == ""


@pytest.mark.parametrize(
    ("found", "tried", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0.0, 0.278), (5, 10, 0.237, 0.763), (1, 100, 0.002, 0.054)],
)
def test_a_share_has_its_interval(found, tried, low, high):
    assert proportion(found, tried) == pytest.approx((low, high), abs=5e-4)  # Wilson's, as in the tables


# --- what it does not do


def hostile_report(ledger, session, folder):
    add(
        ledger,
        session,
        1,
        "keep",
        (1.9,),
        val_bpb=1.9,
        delta=-0.1,
        hypothesis=HOSTILE,
        reason=HOSTILE,
        category=HOSTILE,
        agent=HOSTILE,
        model=HOSTILE,
        parent=0,
    )
    add(
        ledger,
        session,
        2,
        "suspect",
        hypothesis=HOSTILE,
        reason=HOSTILE * 10_000,
        category=HOSTILE,
        program_hash=HOSTILE,
    )
    add(ledger, session, 3, "discard", val_bpb=1.95, delta=-0.01, near_miss=True, hypothesis=HOSTILE)
    add(ledger, session, 4, "crash", hypothesis=HOSTILE, reason=HOSTILE)
    ledger.post(session.id, "note", HOSTILE)
    part = {"n": 1, "change": HOSTILE, "loss": None, "error": None, "p_carries": None, "conflict": HOSTILE}
    ledger.event(session.id, "ablation", "x", data={"final": 1, "draws": 3, "parts": [part]})
    ledger.event(session.id, "review", HOSTILE, n=1, data={"accepted": True, "note": HOSTILE, "by": HOSTILE})
    ledger.event(session.id, "drift", HOSTILE, n=1)
    lost = ledger.start_trial(session.id, ledger.experiment(session.id, 1).id, "rerun", 1, "blob")
    ledger.end_trial(lost.id, "infra", None, {"reason": HOSTILE})
    for n in (1, 2):
        (folder / "runs" / "t" / str(n)).mkdir(parents=True)
        (folder / "runs" / "t" / str(n) / "patch.diff").write_text(
            f"+{HOSTILE}\n```\n</pre><script>alert(1)</script>\n" + "+x\n" * 500_000
        )
    return both(ledger, session, folder)


def test_hostile_text_is_only_text_on_the_page(ledger, session, tmp_path):
    page, _ = hostile_report(ledger, session, tmp_path)
    tags = Tags(page)
    assert {tag for tag, _ in tags.found}.isdisjoint(
        {"script", "img", "iframe", "object", "link", "base", "form", "foreignobject"}
    )
    for tag, attributes in tags.found:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")], tag
        assert attributes.get("href", "#").startswith("#")
    assert "<script>alert(1)</script>" in tags.words  # to be read
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page)
    assert len(page) < 400_000


def test_the_page_allows_its_own_style_sheet_and_nothing_else(ledger, session, tmp_path):
    page, _ = both(ledger, session, tmp_path)
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None and re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; base-uri 'none'; form-action 'none'", policy[1]
    )
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert page.count("http:") + page.count("https:") == 0


def test_hostile_text_is_only_text_in_markdown(ledger, session, tmp_path):
    _, text = hostile_report(ledger, session, tmp_path)
    fences = re.findall(r"^(`{3,})diff$", text, re.MULTILINE)
    assert set(fences) == {"````"} and text.count("\n````\n") >= 2  # longer than what the patch holds
    prose = re.sub(r"^````diff\n.*?^````$", "", text, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`[^`\n]+`", "", prose)  # commands and hashes
    assert "<" not in prose and "@" not in prose and "\x1b" not in text
    assert not re.search(r"(?<!\\)\[|(?<!\\)\]|(?<!\\)\$|://", prose)
    rows = [line for line in prose.splitlines() if line.startswith("| 2 ")]
    assert rows and all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("1. first", "1\\. first"),
        ("# title", "\\# title"),
        ("- item", "\\- item"),
        ("> quote", "\\> quote"),
        ("--- a", "\\--- a"),
        ("-0.5 is less", "-0.5 is less"),
        ("MATRIX_LR 0.1 -> 0.2", "MATRIX_LR 0.1 -> 0.2"),
        ("_a_ **b**", "\\_a\\_ \\*\\*b\\*\\*"),
    ],
)
def test_ordinary_words_stay_readable(words: str, written: str) -> None:
    assert markdown.document([Paragraph([words])]) == f"{written}\n"


def test_a_command_cannot_leave_its_quotes() -> None:
    cells = Table(["a"], [[Verbatim("x` | <b>")]])
    assert markdown.document([cells]).splitlines()[2] == "| `x' \\| <b>` |"
    assert "<code>x` | &lt;b&gt;</code>" in html.page("t", [cells])


def test_a_huge_change_is_cut_and_counted() -> None:
    page = html.page("t", [Code("+" + "x" * 100_000 + "\n" + "+y\n" * 10_000, "diff")])
    assert f"... {10_001 - PATCH_LINES} more lines" in page and "x" * (PATCH_COLUMNS + 1) not in page


# --- size


@pytest.mark.slow
def test_ten_thousand_experiments(ledger, session, tmp_path):
    rows = (
        (session.id, n, "keep" if n % 500 == 0 else "discard", 2.0 + n % 97 / 1000, float(n), HOSTILE)
        for n in range(1, 10_000)
    )
    ledger.connection.execute("BEGIN")
    ledger.connection.executemany(
        "INSERT INTO experiments"
        " (session_id, n, parent, state, verdict, val_bpb, delta, sigma, started, settled, hypothesis)"
        " VALUES (?, ?, 0, 'settled', ?, ?, 0.1, 0.01, 1.0, ?, ?)",
        rows,
    )
    ledger.connection.execute("COMMIT")
    began = time.process_time()
    page, text = both(ledger, session, tmp_path)
    assert time.process_time() - began < 5.0
    assert len(page) < 1_000_000 and len(text) < 200_000 and page.count("<circle") < 100


# --- the command


def test_the_command_writes_both_files_and_says_where(finished, monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from autoresearch.cli import app

    monkeypatch.chdir(finished)
    runner = CliRunner()
    done = runner.invoke(app, ["report"])
    assert done.exit_code == 0
    assert done.output.split() == [str(finished / "runs/t/report.html"), str(finished / "runs/t/report.md")]
    assert "SMOOTHING = 0.02" in (finished / "runs/t/report.html").read_text()
    assert runner.invoke(app, ["report", "--out", str(tmp_path / "new" / "folder")]).exit_code == 0
    assert (tmp_path / "new/folder/report.md").read_text().startswith("# autoresearch: t\n")
    done = runner.invoke(app, ["report", "--png", str(tmp_path / "pictures" / "chart.png")])
    assert done.output.split()[2] == str(tmp_path / "pictures" / "chart.png")
    assert (tmp_path / "pictures" / "chart.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "-m pip install matplotlib`" in str(runner.invoke(app, ["report", "--png", "x.png"]).exception)
    (tmp_path / "file").write_text("")
    assert "cannot be written" in str(runner.invoke(app, ["report", "--out", str(tmp_path / "file")]).exception)
