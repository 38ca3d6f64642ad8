"""Which near misses a report names."""

from pathlib import Path

from autoresearch.analysis.near_misses import worth_a_look
from autoresearch.ledger import Ledger, experiment_rows

BASE = "A = 1\nB = 1\nC = 1\n"


def add(store: Ledger, n: int, verdict: str, text: str, parent: int | None = 0, p_gain: float = 0.4) -> None:
    near = verdict == "discard"
    store.add_experiment(
        1, n, verdict=verdict, text=text, parent=parent, delta=-0.01, p_gain=p_gain, near_miss=near, state="settled"
    )


def test_what_a_keep_contains_is_no_near_miss_any_more(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session = store.create_session("t", "b", "s", "claude", "default", {}, {}, 0)
        add(store, 0, "keep", BASE, None)
        add(store, 1, "discard", BASE.replace("A = 1", "A = 2"))  # the keep was built on it
        add(store, 2, "discard", BASE.replace("B = 1", "B = 2"))  # the keep has its line
        add(store, 3, "discard", BASE.replace("C = 1", "C = 2"))
        add(store, 4, "discard", BASE.replace("C = 1", "C = 3"), p_gain=0.5)
        add(store, 5, "discard", BASE.replace("C = 1", "C = 4"), p_gain=0.1)
        add(store, 6, "keep", "A = 3\nB = 2\nC = 1\n", 1)
        assert [row.n for row in worth_a_look(store, session, experiment_rows(store, session))] == [4, 3]
