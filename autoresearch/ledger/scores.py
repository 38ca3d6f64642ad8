"""The draws of a session as the judge needs them, and how sure a difference of scores is by their number."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from autoresearch.ledger.rows import Session, Trial, decode
from autoresearch.ledger.store import Ledger

PAIRS = 33  # no verdict takes as many re-runs

_DRAWS = """
    SELECT experiment_id, purpose FROM trials INDEXED BY trials_briefly
    WHERE session_id = :session AND outcome = 'ok' AND purpose IN ('base', 'screen', 'rerun', 'sentinel')
    ORDER BY id
"""

_JUDGED = "SELECT id, n, verdict, delta, sigma FROM experiments WHERE session_id = :session ORDER BY n"


_EFFECTS = """
    SELECT delta / sigma, p_gain FROM experiments
    WHERE session_id = :session AND n > 0 AND sigma > 0 AND delta IS NOT NULL AND p_gain IS NOT NULL
"""

# Which trials are meant is read from the index alone: it is small.
_CHOSEN = """
    WITH chosen AS MATERIALIZED (
      SELECT id FROM trials INDEXED BY trials_briefly WHERE session_id = :session AND {condition}
    )
    SELECT experiments.n AS number, {columns} FROM chosen JOIN trials ON trials.id = chosen.id
    JOIN experiments ON experiments.id = experiment_id ORDER BY trials.id
"""
_SENTINELS = _CHOSEN.format(condition="purpose = 'sentinel'", columns="trials.id, seed")  # they are many: no results
_LOST = _CHOSEN.format(condition="outcome = 'infra'", columns="trials.*")

_TRIAL = "SELECT * FROM trials WHERE id = :id"

_NUMBERED = """
    SELECT * FROM (
      SELECT experiment_id, purpose, val_bpb, row_number() OVER (ORDER BY id), seed FROM trials
      WHERE session_id = :session AND outcome != 'infra' AND purpose IN ('base', 'screen', 'rerun', 'sentinel')
    ) WHERE val_bpb IS NOT NULL
"""


def effects(ledger: Ledger, session_id: int) -> list[tuple[float, float]]:
    """Of every judged candidate the difference in sigma, and the probability that it was a gain."""
    return [(row[0], row[1]) for row in ledger.query(_EFFECTS, session=session_id)]


def numbered(ledger: Ledger, session_id: int) -> list[tuple[int, str, float, int, int]]:
    """Of each good trial that may judge, in order: experiment, purpose, score, number among them, and seed.

    Those that failed have a number too; those that were lost have none, as if they had never been.
    """
    return [tuple(row) for row in ledger.query(_NUMBERED, session=session_id)]


def beside(ledger: Ledger, session: Session, numbers: Sequence[int]) -> dict[int, list[tuple[int, Trial]]]:
    """The trials of incumbents that were held against each of some experiments, with the incumbent's number, in order.

    They have the seeds of its re-runs (Evidence.seed).
    """
    owners = {session.seed_of(n, k): n for n in numbers for k in range(1, PAIRS)}
    found: dict[int, list[tuple[int, Trial]]] = {n: [] for n in numbers}
    for row in ledger.query(_SENTINELS, session=session.id):
        n = owners.get(row["seed"], row["number"])
        if n != row["number"]:
            found[n] += [(row["number"], decode(Trial, trial)) for trial in ledger.query(_TRIAL, id=row["id"])]
    return found


def lost(ledger: Ledger, session: Session) -> list[tuple[int, Trial]]:
    """Trials that did not end by themselves, or while nobody held the clock, with the number of their experiment."""
    return [(row["number"], decode(Trial, row)) for row in ledger.query(_LOST, session=session.id)]


def standard_errors(ledger: Ledger, session: Session) -> dict[int, float]:
    """For each experiment with a `delta`, by number, the standard error of that, bits per byte."""
    experiments = ledger.query(_JUDGED, session=session.id)
    return errors(experiments, ledger.query(_DRAWS, session=session.id))


def errors(experiments: Sequence[Sequence[Any]], draws: Iterable[Sequence[Any]]) -> dict[int, float]:
    """The same from id, n, verdict, delta and sigma of each experiment, in order.

    `draws` are the experiment's id and the purpose of the good trials in the order in which they ran. A version is
    known by the draws that did not select it, and is compared with the incumbent by all of its draws until then.
    """
    kept = {n for _, n, verdict, *_ in experiments if verdict == "keep"}
    fresh, again, beside = Counter[int](), Counter[int](), Counter[int]()
    known: dict[int, int] = {}
    incumbent = current = 0
    numbers = {id: n for id, n, *_ in experiments}
    for id, purpose in draws:
        n = numbers.get(id, -1)
        if purpose == "sentinel":
            beside[current] += 1
        elif n > current:
            incumbent = current if current in kept else incumbent
            current, known[n] = n, max(1, fresh[incumbent])
        fresh[n] += purpose != "screen"
        again[n] += purpose == "rerun"
    return {
        n: sigma * math.sqrt(1 / max(1, again[n]) + 1 / (beside[n] + known[n]))
        for _, n, _, delta, sigma in experiments
        if delta is not None and sigma and n in known
    }
