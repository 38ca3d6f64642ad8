"""How many candidates are kept ready, and how many are asked for, by the session's own times."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sessions import context_of

from autoresearch.ledger import Ledger
from autoresearch.session.lookahead import Lookahead


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "runs" / "ledger.db") as opened:
        yield opened


@pytest.fixture
def planned(ledger: Ledger):
    """Return a function from the times to the plan: ahead, and wanted with so many ready."""

    def plan(
        trial: float, conversation: float | None, ready: int = 0, slots: int = 1, proposals: int = 3
    ) -> tuple[int, int]:
        n = len(ledger.sessions())
        session = ledger.create_session(f"t{n}", f"b{n}", "c", "claude", "default", {}, {}, 1)
        base = ledger.add_experiment(session.id, 0)
        row = ledger.start_trial(session.id, base.id, "base", 1, "blob")
        ledger.end_trial(row.id, "ok", 2.0, {"total_seconds": trial})
        if conversation is not None:
            ledger.event(session.id, "proposed", "x", data={"seconds": conversation})
        lookahead = Lookahead(context_of(ledger, session), slots, proposals)
        return lookahead.ahead(), lookahead.proposals_wanted(ready)

    return plan


@pytest.mark.parametrize(
    ("trial", "conversation", "ready", "plan"),
    [
        (320.0, None, 0, (1, 1)),  # a conversation is taken to last a minute, until one was measured
        (20.0, None, 0, (1, 3)),
        (320.0, 60.0, 0, (1, 1)),
        (20.0, 20.0, 0, (1, 1)),
        (20.0, 21.0, 0, (2, 2)),
        (20.0, 21.0, 1, (2, 1)),
        (28.0, 45.0, 2, (3, 2)),  # of the recorded night
        (18.7, 60.0, 3, (4, 3)),
        (1.0, 600.0, 0, (4, 3)),
    ],
)
def test_a_slow_agent_works_further_ahead(planned, trial, conversation, ready, plan) -> None:
    assert planned(trial, conversation, ready) == plan


def test_each_slot_needs_candidates_and_the_setting_is_a_limit(planned) -> None:
    assert planned(20.0, 5.0, slots=2) == (2, 1)
    assert planned(20.0, 60.0, slots=2) == (8, 3)
    assert planned(18.7, 60.0, ready=3, proposals=1) == (4, 1)
