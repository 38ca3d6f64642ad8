"""A verdict takes into account what earlier candidates tell about the level of the incumbent."""

from pathlib import Path

from support.sessions import context_of

from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.session.evidence import Evidence
from autoresearch.session.verdicts import verdict_columns

LUCKY = 1.992  # the only fresh score of the incumbent: four sigma below its level of 2.000
SIGMA = 0.002


def trial(ledger: Ledger, session: Session, experiment: Experiment, purpose: str, score: float, seed: int) -> None:
    started = ledger.start_trial(session.id, experiment.id, purpose, seed, "")
    ledger.end_trial(started.id, "ok", score, {})


def p_gain(ledger: Ledger, discarded: int) -> float:
    """Return the odds of a candidate of 1.994 beside an incumbent with so many discarded candidates around 2.000."""
    session = ledger.create_session(f"t{discarded}", f"b{discarded}", "s", "sweep", "default", {}, {}, 0)
    base = ledger.add_experiment(session.id, 0, verdict="keep", state="settled")
    trial(ledger, session, base, "base", LUCKY, 1)
    for n in range(1, discarded + 1):
        row = ledger.add_experiment(session.id, n, parent=0, verdict="discard", state="settled")
        trial(ledger, session, row, "screen", 2.0 + SIGMA * (n % 3 - 1) / 2, 100 + n)
    candidate = ledger.add_experiment(session.id, 99, parent=0, state="measuring")
    trial(ledger, session, candidate, "screen", 1.994, 999)
    evidence = Evidence(context_of(ledger, session), replicates=1, prior=(SIGMA, 8.0))
    found = verdict_columns(evidence, candidate)["p_gain"]
    assert isinstance(found, float)
    return found


def test_discarded_candidates_show_that_the_incumbent_was_lucky(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        assert p_gain(ledger, 0) < 0.2 < 0.4 < p_gain(ledger, 12)


def test_the_noise_is_that_of_the_newest_versions_also_behind_a_near_miss(tmp_path: Path) -> None:
    """A keep that changes a near miss descends from the keep behind it."""
    sigmas = {}
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for parent in (1, 2):
            session = ledger.create_session(f"t{parent}", f"b{parent}", "s", "sweep", "default", {}, {}, 0)
            for n, spread in ((0, 0.03), (1, 0.03), (2, 0.0), (3, 0.0003)):
                about = {"verdict": "discard" if n == 2 else "keep", "parent": (None, 0, 1, parent)[n]}
                mode = "branch" if n == 3 and parent == 2 else None
                row = ledger.add_experiment(session.id, n, state="settled", settled=float(n), mode=mode, **about)
                for k in range(6):
                    score = 2 - 0.2 * n + spread * (k % 3 - 1)
                    trial(ledger, session, row, "screen" if n == 2 else "rerun" if n else "base", score, 10 * n + k)
            sigmas[parent] = Evidence(context_of(ledger, session), replicates=3).noise().sigma
    assert sigmas[2] == sigmas[1] < 0.003
