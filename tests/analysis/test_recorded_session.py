"""The first session of a language model, as its ledger has it: what a brief, a list and a chart make of it now.

The rows are those of 52 experiments, without their texts. Their column `near_miss` marks all that lay inside the noise.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoresearch.agents.lookup import LedgerLibrary
from autoresearch.analysis import near_misses
from autoresearch.brief import history
from autoresearch.brief.history import PastExperiment
from autoresearch.brief.openings import find_openings
from autoresearch.ledger import ExperimentRow, Ledger, Session, experiment_rows, results_tsv
from autoresearch.ledger.unmeasured import describe_unmeasured
from autoresearch.report import chart, experiment_table, tree

FILE = Path(__file__).parents[1] / "fixtures" / "recorded-session.jsonl"
SUPERSEDED = {2, 5, 12, 15, 18, 21, 25, 30, 35, 52}  # or, the last, lost to the deadline
NEVER_MEASURED = (
    "Never measured: made again on a newer incumbent: 5 as 6, 12 as 13, 15 as 16, 18 as 19, 21 as 22, 25 as 26,"
    " 30 as 31, 35 as 36; in conflict with a newer incumbent: 2; not reached before the session ended: 52."
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.create_session("llm", "autoresearch/llm", "s", "claude", "default", {}, {}, 0)
        for line in FILE.read_text().splitlines():
            columns = json.loads(line)
            made = {
                "agent": "claude",
                "state": "settled",
                "settled": float(columns["n"]),
                "sha": f"{columns['n']:040x}",
            }
            ledger.add_experiment(1, columns.pop("n"), **columns, **made)
        yield ledger


@pytest.fixture
def session(store: Ledger) -> Session:
    return store.find_session("llm")


@pytest.fixture
def rows(store: Ledger, session: Session) -> list[ExperimentRow]:
    return experiment_rows(store, session)


def test_two_near_misses_have_odds_and_twenty_two_refinements_were_not_called_for(
    store: Ledger, session: Session, rows: list[ExperimentRow]
) -> None:
    assert [row.n for row in rows if row.near_miss] == [10, 13]
    assert sum(row.mode == "refine" for row in rows) == 22
    offered: dict[int, list[str]] = {}
    for n in range(1, len(rows)):
        before = [row for row in store.experiments(session.id) if row.n < n]
        near = [row.n for row in near_misses.worth_a_look(store, session, before)]
        incumbent = [row.n for row in before if row.verdict == "keep"][-1]
        found = find_openings([PastExperiment.from_row(row) for row in before], incumbent, near)
        offered[n] = [each.label for each in found]
    refinements = {label for labels in offered.values() for label in labels if label.startswith("refine")}
    assert refinements == {"refine 10", "refine 13"}
    assert offered[14][:2] == ["refine 13", "refine 10"], "the best odds are first"
    assert "repair 3" in offered[4] and "repair 3" not in offered[5], "experiment 4 took it up"
    assert "repair 38" in offered[39] and "repair 38" not in offered[42]
    assert max(map(len, offered.values())) <= 11


def test_what_was_superseded_is_no_failure_anywhere(store: Ledger, session: Session, rows: list[ExperimentRow]) -> None:
    table = history.table([PastExperiment.from_row(row) for row in rows], 20_000)
    assert "superseded" not in table and not any(f"\n| {n} |" in table for n in SUPERSEDED)
    (shown, line) = experiment_table.log(rows, rows)
    assert {int(cells[0]) for cells in shown.rows} == set(range(53)) - SUPERSEDED  # type: ignore[union-attr]
    assert line.parts == [NEVER_MEASURED] == [describe_unmeasured(rows)]  # type: ignore[union-attr]
    lines = results_tsv(store, session).splitlines()[1:]
    assert len(lines) == 53 - len(SUPERSEDED) and sum(line.split("\t")[3] == "crash" for line in lines) == 2
    picture = chart.picture(rows, 0.0064, lambda n: f"#{n};")
    assert not any(f'href="#{n};"' in picture for n in SUPERSEDED) and 'href="#3;"' in picture
    assert not any("unmeasured" in version.verdicts for version in tree.versions(rows, 34))


def test_a_change_and_its_score_have_one_baseline(store: Ledger, session: Session) -> None:
    """Experiment 28 was derived from 26, a discard, and measured against 24."""
    for n, text in {24: "A = 1\n", 26: "A = 2\n", 28: "A = 2\nB = 2\n"}.items():
        row = store.experiment(session.id, n)
        assert row is not None
        store.update_experiment(row.id, text=text)
    shown = LedgerLibrary(store.path, session.id).show(28)
    assert shown is not None and "28 discard -0.0015, odds of a gain 16 % " in shown and "sigma" not in shown
    assert "measured and changed against experiment 24 (it was derived from experiment 26)" in shown
    assert "-A = 1\n+A = 2\n+B = 2" in shown and "against experiment 26" not in shown


def test_a_lookup_names_what_was_superseded_once(store: Ledger, session: Session) -> None:
    told = LedgerLibrary(store.path, session.id).history("")
    assert told.count("Never measured: ") == 1 and "\n30 discard" not in told and "\n31 discard" in told
