"""What each arm proposed, gained and cost, from the ledger to the pages; also in sessions without arms."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.programs import call_main
from support.repositories import git
from support.shapes import as_documented

from autoresearch.analysis import summary
from autoresearch.analysis.arm_counts import count_arms
from autoresearch.judge.arm_comparison import ArmResults
from autoresearch.ledger import Ledger, Session, experiment_rows
from autoresearch.report import html, markdown, report

HEADING = "Which researcher is better?"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    git(tmp_path, "init", "-q")
    monkeypatch.chdir(tmp_path)
    with Ledger.open(tmp_path / "runs" / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def session(ledger: Ledger) -> Session:
    return new_session(ledger, "t")


def new_session(ledger: Ledger, tag: str) -> Session:
    session = ledger.create_session(tag, f"autoresearch/{tag}", "b" * 40, "mix", "default", {}, {}, 7)
    ledger.add_experiment(session.id, 0, verdict="keep", state="settled", settled=0.0, val_bpb=2.0)
    return session


def add(ledger: Ledger, session: Session, n: int, verdict: str = "discard", hours: float = 1.0, **columns) -> None:
    """A settled experiment with one screening."""
    lost = {"keep": -0.01, "discard": 0.02}.get(verdict)
    values = {"state": "settled", "settled": float(n), "agent": "claude", "parent": 0, "delta": lost} | columns
    experiment = ledger.add_experiment(session.id, n, verdict=verdict, **values)
    trial = ledger.start_trial(session.id, experiment.id, "screen", n, "blob")
    ledger.end_trial(trial.id, "ok", 2.0, {"total_seconds": 3600 * hours})
    ledger.connection.execute("UPDATE trials SET ended = started + ? WHERE id = ?", (3600 * hours, trial.id))


def count(ledger: Ledger, session: Session) -> dict[str, ArmResults]:
    return {arm.name: arm for arm in count_arms(ledger, session, experiment_rows(ledger, session))}


def two_arms(ledger: Ledger, session: Session, each: int = 20) -> None:
    """Arm `good` keeps every second proposal, `bad` none."""
    for k in range(each):
        add(ledger, session, 2 * k + 1, "keep" if k % 2 else "discard", arm="good")
        add(ledger, session, 2 * k + 2, arm="bad")


def test_everything_that_an_arm_proposed_counts_for_it(ledger: Ledger, session: Session) -> None:
    add(ledger, session, 1, "keep", arm="a", hours=0.5)
    add(ledger, session, 2, "crash", arm="a", hours=0.25)
    add(ledger, session, 3, "duplicate", arm="b")
    add(ledger, session, 4, "keep", arm="b", delta=0.001, reason="less code for the same score")
    add(ledger, session, 5, arm="b", delta=None, p_gain=None)  # superseded
    add(ledger, session, 6, None, arm="b", state="measuring")
    found = count(ledger, session)
    assert found["a"] == ArmResults("a", 2, 1, 1, (0.01,), 0.75, 0.0)
    assert found["b"] == ArmResults("b", 2, 1, 1, (), 2.0, 0.0)


def test_an_answer_that_nobody_could_use_counts_once_for_its_proposal(ledger: Ledger, session: Session) -> None:
    add(ledger, session, 1, arm="a")
    for n in (1, 2, 2):  # the first was repaired; the next number went to another arm
        ledger.event(session.id, "broken", "a: no such line", n, {"arm": "a"})
    add(ledger, session, 2, arm="b")
    found = count(ledger, session)
    assert (found["a"].proposals, found["a"].measured, found["b"].proposals) == (2, 1, 1)


def test_calls_cost_the_arm_that_made_them(ledger: Ledger, session: Session) -> None:
    add(ledger, session, 1, arm="a", cost_usd=9.0)  # as the agent says: the call is better
    add(ledger, session, 2, arm="b", cost_usd=0.5)
    add(ledger, session, 3, arm="c")
    ledger.add_call(session.id, n=1, cost_usd=0.25, arm="a")
    ledger.add_call(session.id, n=3, cost_usd=0.75, arm="a")  # its proposal was broken, and c got the number
    ledger.add_call(session.id, n=3, cost_usd=None, arm="c")
    assert {name: arm.dollars for name, arm in count(ledger, session).items()} == {"a": 1.0, "b": 0.5, "c": None}


def test_the_parts_of_a_pool_share_its_gain(ledger: Ledger, session: Session) -> None:
    add(ledger, session, 1, arm="a")
    add(ledger, session, 2, arm="b")
    add(ledger, session, 3, "keep", agent="pool", params={"pooled": [1, 2]})
    assert {name: arm.gains for name, arm in count(ledger, session).items()} == {"a": (0.005,), "b": (0.005,)}


def test_earlier_sessions_are_told_apart_by_agent_model_and_program(ledger: Ledger, session: Session) -> None:
    add(ledger, session, 1, agent="claude", model="opus", program_hash="a" * 16)
    add(ledger, session, 2, agent="claude", model="haiku", program_hash="a" * 16)
    add(ledger, session, 3, agent="sweep", program_hash="a" * 16)
    ledger.event(session.id, "broken", "sweep: no idea", 4)
    assert {name: arm.proposals for name, arm in count(ledger, session).items()} == {
        "claude opus": 1, "claude haiku": 1, "sweep": 2,
    }  # fmt: skip
    add(ledger, session, 5, agent="sweep", program_hash="b" * 16)
    assert "sweep bbbbbbbb" in count(ledger, session)


def test_log_by_arm_says_who_is_better(ledger, session, monkeypatch, capfd) -> None:
    two_arms(ledger, session)
    assert call_main(monkeypatch, "log", "--by", "arm") == 0
    shown = " ".join(capfd.readouterr().out.split())
    assert "good is better than bad with probability 0.99." in shown and "not whole nights" in shown
    assert call_main(monkeypatch, "log", "--by", "arm", "--json") == 0
    printed = json.loads(capfd.readouterr().out)
    assert [each["arm"] for each in printed] == ["good", "bad"] and printed[0]["gain"] == pytest.approx(0.1)
    ledger.add_call(session.id, n=1, cost_usd=1.0, arm="good")
    call_main(monkeypatch, "log", "--by", "arm", "--json")
    assert as_documented("log --by arm", json.loads(capfd.readouterr().out)[:1])


def test_what_is_not_known_yet_is_said(ledger, session, monkeypatch, capfd) -> None:
    assert call_main(monkeypatch, "log", "--by", "arm") == 0
    assert "nothing was tried yet" in capfd.readouterr().out
    two_arms(ledger, session, 4)
    call_main(monkeypatch, "log", "--by", "arm")
    assert "more nights like this would settle it" in " ".join(capfd.readouterr().out.split())
    assert call_main(monkeypatch, "log", "--by", "arm", "--since", "2h") == 2


def test_an_arm_that_breaks_its_edits_is_named(ledger, session, monkeypatch, capfd) -> None:
    for k in range(20):
        add(ledger, session, 2 * k + 1, "discard", arm="sound")
        add(ledger, session, 2 * k + 2, "discard" if k % 4 == 0 else "invalid", arm="broken")
    call_main(monkeypatch, "log", "--by", "arm")
    shown = " ".join(capfd.readouterr().out.split())
    assert "15 of 20 proposals of broken failed or were refused, against 0 of 20 of sound" in shown
    assert "Nothing was gained yet: no arm is better." in shown


def test_the_report_compares_arms_only_where_there_are_several(ledger, session, tmp_path) -> None:
    def pages() -> tuple[str, str]:
        blocks = report.layout(summary.read(ledger, session, tmp_path / "runs", time.time()))
        return html.page("t", blocks), markdown.document(blocks)

    add(ledger, session, 100, agent="claude")
    add(ledger, session, 101, agent="sweep")
    assert not any(HEADING in page for page in pages())
    two_arms(ledger, session)
    assert all(HEADING in page and "not whole nights" in page for page in pages())


def test_compare_takes_arms_and_sessions(ledger, session, monkeypatch, capfd) -> None:
    two_arms(ledger, session)
    other = new_session(ledger, "u")
    for n in range(1, 30):
        add(ledger, other, n)
    assert call_main(monkeypatch, "compare", "good", "bad", "--tag", "t") == 0
    assert "good is better than bad with probability 0.99." in " ".join(capfd.readouterr().out.split())
    assert call_main(monkeypatch, "compare", "t", "u", "--json") == 0
    printed = capfd.readouterr()
    assert as_documented("compare", {**json.loads(printed.out), "arms": [], "comparison": None}) and not printed.err
    assert [each["proposals"] for each in json.loads(printed.out)["arms"]] == [40, 29]
    assert json.loads(printed.out)["comparison"]["leader"] == "t"


def test_gains_of_two_sessions_are_in_their_metric(ledger, session, monkeypatch, capfd) -> None:
    """The session of the moment may have another one."""
    for tag in ("u", "v"):
        settings = {"metric": "seconds", "kind": "time"}
        other = ledger.create_session(tag, f"autoresearch/{tag}", "b" * 40, "mix", "default", settings, {}, 7)
        add(ledger, other, 0, "keep", val_bpb=2.0)
        add(ledger, other, 1, "keep", val_bpb=1.0, delta=-0.7)
    assert call_main(monkeypatch, "compare", "u", "v", "--tag", "t") == 0
    assert "70 % (" in capfd.readouterr().out


def test_sessions_that_were_measured_differently_are_no_comparison(ledger, session, monkeypatch, capfd) -> None:
    other = ledger.create_session("u", "autoresearch/u", "b" * 40, "mix", "default", {"budget": "5m"}, {}, 7)
    add(ledger, session, 1, "keep")
    add(ledger, other, 1)
    assert call_main(monkeypatch, "compare", "t", "u") == 0
    assert "budget: None against 5m: their gains cannot be compared" in capfd.readouterr().err


def test_an_unknown_arm_is_one_line(ledger, session, monkeypatch, capfd) -> None:
    add(ledger, session, 1, arm="a")
    assert call_main(monkeypatch, "compare", "a", "nobody") == 1
    assert "no session `nobody`, and session t has no such arm: its arms are `a`" in capfd.readouterr().err


def test_a_plan_says_before_the_night_what_it_could_show(ledger, session, monkeypatch, capfd) -> None:
    assert call_main(monkeypatch, "compare", "a", "b", "--plan") == 1
    assert "no whole trial yet" in capfd.readouterr().err
    for n in range(1, 11):
        add(ledger, session, n, "keep" if n == 1 else "discard", hours=0.05)
    assert call_main(monkeypatch, "compare", "a", "b", "--plan", "--hours", "8", "--tag", "t") == 0
    line = capfd.readouterr().out.strip()
    assert "\n" not in line and "8 h afford about 125 experiments, 62 for each" in line
    assert "times as much for each proposal" in line
    assert call_main(monkeypatch, "compare", "a", "b", "--plan", "--hours", "8", "--json") == 0
    shorter = json.loads(capfd.readouterr().out)
    assert as_documented("compare --plan", shorter) and 1.5 < shorter["ratio"] < 7
    call_main(monkeypatch, "compare", "a", "b", "--plan", "--hours", "0.5")
    assert "too few" in capfd.readouterr().out
