"""The recorded session of a language model, which other tests replay."""

from pathlib import Path

import pytest
from support import recorded_night

from autoresearch.ledger import Ledger


def test_the_whole_ledger_is_restored_and_migrated(tmp_path: Path) -> None:
    with Ledger.open(recorded_night.restore(tmp_path / "runs" / "ledger.db")) as ledger:
        session = ledger.find_session(recorded_night.TAG)
        rows = ledger.experiments(session.id)
        assert [row.n for row in rows] == list(range(recorded_night.EXPERIMENTS + 1))
        assert tuple(row.n for row in rows if row.verdict == "keep" and row.n) == recorded_night.KEPT
        assert tuple(row.n for row in rows if row.origin) == recorded_night.MERGED
        assert all(row.text for row in (ledger.experiment(session.id, n) for n in (0, 34, 52)) if row)


@pytest.mark.parametrize(
    "n, incumbent, pending", [(1, 0, []), (2, 0, [1]), (5, 1, [4]), (13, 11, [12]), (24, 20, [23]), (52, 34, [51])]
)
def test_the_ledger_is_as_it_was_before_an_experiment(
    tmp_path: Path, n: int, incumbent: int, pending: list[int]
) -> None:
    """The numbers are what the recorded briefs said then."""
    with recorded_night.open_before(tmp_path, n) as ledger:
        session = ledger.find_session(recorded_night.TAG)
        rows = ledger.experiments(session.id)
        assert rows[-1].n == n - 1
        assert [row.n for row in rows if row.verdict == "keep"][-1] == incumbent
        assert [row.n for row in rows if row.state != "settled"] == pending
