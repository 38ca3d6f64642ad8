"""When the incumbent is measured again before a candidate: when the machine is not what it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sessions import context_of

from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.session.evidence import Evidence

CALM = {"sm_mhz": 1900, "temperature": 60, "other_processes": 0}


class MeasuredSession:
    """A base with three trials, and trials of candidates after it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.session: Session = ledger.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
        self.base = self.experiment(0, verdict="keep", state="settled")

    def experiment(self, n: int, **columns: str) -> Experiment:
        return self.ledger.add_experiment(self.session.id, n, parent=0 if n else None, **columns)

    def trial(
        self,
        experiment: Experiment,
        purpose: str,
        step: int = 1000,
        slot: str = "GPU-0",
        ok: bool = True,
        **conditions: float,
    ) -> None:
        trial = self.ledger.start_trial(self.session.id, experiment.id, purpose, 1, "")
        found = {"reported": {"step": step}, "conditions": conditions, "slot": slot}
        self.ledger.end_trial(trial.id, "ok" if ok else "crash", 2.0 if ok else None, found)

    @property
    def next(self) -> str | None:
        """Return the purpose of the first trial of a new candidate."""
        evidence = Evidence(context_of(self.ledger, self.session), replicates=3)
        fresh = self.ledger.experiment(self.session.id, 99) or self.experiment(99)
        return evidence.next_purpose(fresh)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[MeasuredSession]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield MeasuredSession(ledger)


def measure_base(session: MeasuredSession, steps: tuple[int, int, int]) -> None:
    for step in steps:
        session.trial(session.base, "base", step, **CALM)


def test_a_calm_machine_needs_no_sentinel(session: MeasuredSession) -> None:
    measure_base(session, (1000, 1000, 1000))
    for n in range(1, 41):
        assert session.next == "screen"
        session.trial(session.experiment(n), "screen", **CALM)


@pytest.mark.parametrize(
    ("conditions", "purpose"),
    [
        (CALM, "screen"),
        ({}, "screen"),
        (CALM | {"sm_mhz": 1860, "temperature": 66}, "screen"),
        (CALM | {"sm_mhz": 1800}, "sentinel"),
        (CALM | {"temperature": 75}, "sentinel"),
        (CALM | {"other_processes": 1}, "sentinel"),
        ({"temperature": 61}, "screen"),  # a card that does not tell the others
        ({"temperature": 75}, "sentinel"),
        ({"other_processes": 1}, "sentinel"),
    ],
)
def test_other_conditions_on_the_card(session: MeasuredSession, conditions: dict[str, float], purpose: str) -> None:
    measure_base(session, (1000, 1000, 1000))
    session.trial(session.experiment(1), "screen", **conditions)
    assert session.next == purpose


def test_a_crash_leaves_a_cool_card(session: MeasuredSession) -> None:
    measure_base(session, (1000, 1000, 1000))
    session.trial(session.experiment(1), "screen", ok=False, **CALM | {"temperature": 40})
    assert session.next == "screen"


def test_each_slot_is_compared_with_itself(session: MeasuredSession) -> None:
    measure_base(session, (1000, 1001, 1000))
    candidate, warm = session.experiment(1), CALM | {"temperature": 80}
    session.trial(candidate, "screen", 900, slot="GPU-1", **warm)
    session.trial(candidate, "rerun", 1000, slot="GPU-0", **CALM)
    assert session.next == "screen"
    session.trial(session.base, "sentinel", 900, slot="GPU-1", **warm)
    session.trial(candidate, "rerun", 900, slot="GPU-1", **CALM)
    assert session.next == "sentinel"


@pytest.mark.parametrize(
    ("base", "again", "purpose"),
    [
        ((1000, 1001, 1000), 995, "screen"),  # half a percent
        ((1000, 1001, 1000), 980, "sentinel"),
        ((1000, 1001, 1000), 1020, "sentinel"),
        ((1000, 950, 1010), 980, "screen"),  # as usual on this machine
        ((1000, 950, 1010), 700, "sentinel"),
    ],
)
def test_the_same_code_at_another_speed(
    session: MeasuredSession, base: tuple[int, int, int], again: int, purpose: str
) -> None:
    measure_base(session, base)
    candidate = session.experiment(1)
    session.trial(candidate, "screen", 1000, **CALM)
    session.trial(session.experiment(2), "screen", 500, **CALM)  # other code
    assert session.next == "screen"
    session.trial(candidate, "rerun", again, **CALM)
    assert session.next == purpose
