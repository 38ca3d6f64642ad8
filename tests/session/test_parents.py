"""An archive of parents: where nothing is kept for long, proposals change other versions than the incumbent."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.landscapes import PROGRAM, Blind, measure_null, measure_plateau, true_loss
from support.referees import FunctionReferee
from support.sessions import session_of

from autoresearch.analysis import consistency
from autoresearch.data.dataset import Dataset
from autoresearch.judge import MEASURE_EVERY, PLATEAU_PROPOSALS
from autoresearch.ledger import Experiment, Ledger, experiment_rows
from autoresearch.ledger.rows import FROM_ARCHIVE
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings
from autoresearch.report import experiment_table
from autoresearch.report.blocks import Table
from autoresearch.session.loop import SessionLoop
from autoresearch.session.preview import preview

Make = Callable[..., SessionLoop]
AGAIN = "proposals change it again"


@pytest.fixture
def make(repository: Path, quick: Settings, bytes_data: Dataset) -> Iterator[Make]:
    with Ledger.open(repository / "runs" / "ledger.db") as store:

        def session(score: Callable[..., Result], agent: Any, **options: Any) -> SessionLoop:
            known = {"base": PROGRAM, "referees": [FunctionReferee(score, quick)], "archive": True, "replicates": 3}
            return session_of(repository, store, agent, quick, bytes_data, **known | options)

        yield session
    assert consistency.check(repository) == []


def experiments(session: SessionLoop) -> list[Experiment]:
    rows = session.context.ledger.experiments(session.context.id)
    return [session.context.experiment(row.n) for row in rows]


def events(session: SessionLoop, kind: str) -> list[tuple[int | None, str]]:
    return [(event.n, event.text) for event in session.context.ledger.events(session.context.id, kind=kind)]


@pytest.mark.slow
def test_an_archive_leaves_a_deceptive_plateau_and_a_kill_changes_no_choice(make: Make) -> None:
    first = make(measure_plateau, before := Blind(28, is_killed=True))
    with pytest.raises(KeyboardInterrupt):
        first.run()
    session = make(measure_plateau, after := Blind(8))
    session.run()
    killed, again = before.briefs[-1], after.briefs[0]
    assert killed.parent and (killed.n, killed.parent) == (again.n, again.parent), "the kill changes no choice"
    rows = experiments(session)
    assert {row.parent for row in rows[1 : PLATEAU_PROPOSALS + 1]} == {0} and not any(row.mode for row in rows[:26])
    kept = next(row for row in rows if row.verdict == "keep" and row.n > 0)
    parent = session.context.experiment(kept.parent or 0)
    assert parent.verdict == "discard" and kept.mode == "archive" and true_loss(kept.text or "", True) < -5
    (left,) = events(session, "left")
    assert left[0] == 0 and left[1].startswith("nothing was kept in 25 experiments, and one more would cost 0.")
    assert events(session, "returned") == [(kept.n, f"experiment {kept.n} is the incumbent now: {AGAIN}")]
    assert {row.parent for row in rows[kept.n + 1 :]} <= {row.n for row in rows if row.verdict == "keep" and row.n}
    listing = experiment_rows(session.context.ledger, session.context.row)
    table = next(block for block in experiment_table.log(listing, listing) if isinstance(block, Table))
    assert any(cell.startswith(f"from {parent.n}: ") for line in table.rows for cell in line)


@pytest.mark.slow
def test_where_nothing_works_nothing_is_kept_and_parents_are_measured_again(
    make: Make, repository: Path, settings_of: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make(measure_null, Blind(PLATEAU_PROPOSALS + MEASURE_EVERY + 6))
    session.run()
    rows = experiments(session)
    assert [row.n for row in rows if row.verdict == "keep"] == [0]
    assert sum(row.mode in FROM_ARCHIVE for row in rows) >= MEASURE_EVERY
    assert len(events(session, "left")) == 1 and not events(session, "returned")
    ((n, _),) = events(session, "again")
    trials = session.context.ledger.trials(session.context.id, session.context.experiment(n or 0).id)
    assert n and [trial.purpose for trial in trials].count("filler") == 1
    assert events(session, "failed") == []
    for name, value in (settings_of | {"AUTORESEARCH_ARCHIVE": "true", "AUTORESEARCH_TAG": "t"}).items():
        monkeypatch.setenv(name, value)
    chosen = session.candidates.parents.choose() if session.candidates.parents else None
    shown = preview(repository, {}, "t").brief
    assert chosen and shown.parent and shown.parent.n == chosen, "`autoresearch brief` shows what comes next"
