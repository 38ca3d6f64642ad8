"""When the incumbent is measured again before a candidate: on a schedule, and when the machine is not what it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sessions import context_of

from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.session.evidence import SENTINEL_EVERY_TRIALS, Evidence

CALM = {"sm_mhz": 1900, "temperature": 60, "other_processes": 0}


class Night:
    """A base that was measured three times, and what followed: trials of candidates that were given up."""

    def __init__(self, store: Ledger) -> None:
        self.store = store
        self.session: Session = store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
        self.base = self.experiment(0, verdict="keep", state="settled")

    def experiment(self, n: int, **columns: str) -> Experiment:
        return self.store.add_experiment(self.session.id, n, parent=0 if n else None, **columns)

    def trial(
        self,
        experiment: Experiment,
        purpose: str,
        step: int = 1000,
        slot: str = "GPU-0",
        ok: bool = True,
        **conditions: float,
    ) -> None:
        trial = self.store.start_trial(self.session.id, experiment.id, purpose, 1, "")
        found = {"reported": {"step": step}, "conditions": conditions, "slot": slot}
        self.store.end_trial(trial.id, "ok" if ok else "crash", 2.0 if ok else None, found)

    @property
    def next(self) -> str | None:
        """What comes before anything else of a candidate that nobody has measured."""
        found = Evidence(context_of(self.store, self.session), replicates=3)
        fresh = self.store.experiment(self.session.id, 99) or self.experiment(99)
        return found.next_purpose(fresh)


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    with Ledger.open(tmp_path / "ledger.db") as store:
        yield Night(store)


def measured(night: Night, steps: tuple[int, int, int]) -> None:
    for step in steps:
        night.trial(night.base, "base", step, **CALM)


def test_the_incumbent_is_measured_again_on_a_schedule(night: Night) -> None:
    measured(night, (1000, 1000, 1000))
    for n in range(1, SENTINEL_EVERY_TRIALS + 1):
        assert night.next == "screen"
        night.trial(night.experiment(n), "screen", **CALM)
    assert night.next == "sentinel"
    night.trial(night.base, "sentinel", **CALM)
    assert night.next == "screen"


@pytest.mark.parametrize(
    ("conditions", "purpose"),
    [
        (CALM, "screen"),
        ({}, "screen"),
        (CALM | {"sm_mhz": 1860, "temperature": 66}, "screen"),
        (CALM | {"sm_mhz": 1800}, "sentinel"),
        (CALM | {"temperature": 75}, "sentinel"),
        (CALM | {"other_processes": 1}, "sentinel"),
    ],
)
def test_other_conditions_on_the_card(night: Night, conditions: dict[str, float], purpose: str) -> None:
    measured(night, (1000, 1000, 1000))
    night.trial(night.experiment(1), "screen", **conditions)
    assert night.next == purpose


def test_a_crash_leaves_a_cool_card(night: Night) -> None:
    measured(night, (1000, 1000, 1000))
    night.trial(night.experiment(1), "screen", ok=False, **CALM | {"temperature": 40})
    assert night.next == "screen"


def test_each_slot_is_compared_with_itself(night: Night) -> None:
    measured(night, (1000, 1001, 1000))
    candidate, warm = night.experiment(1), CALM | {"temperature": 80}
    night.trial(candidate, "screen", 900, slot="GPU-1", **warm)
    night.trial(candidate, "rerun", 1000, slot="GPU-0", **CALM)
    assert night.next == "screen"
    night.trial(night.base, "sentinel", 900, slot="GPU-1", **warm)
    night.trial(candidate, "rerun", 900, slot="GPU-1", **CALM)
    assert night.next == "sentinel"


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
def test_the_same_code_at_another_speed(night: Night, base: tuple[int, int, int], again: int, purpose: str) -> None:
    measured(night, base)
    candidate = night.experiment(1)
    night.trial(candidate, "screen", 1000, **CALM)
    night.trial(night.experiment(2), "screen", 500, **CALM)  # other code
    assert night.next == "screen"
    night.trial(candidate, "rerun", again, **CALM)
    assert night.next == purpose
