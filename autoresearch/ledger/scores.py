"""Draws of a session for the judge, and standard errors of their differences."""

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from autoresearch.ledger.rows import FILLER, FOUND_LATER, Session, Trial, decode
from autoresearch.ledger.store import Ledger

Judged = tuple[int, int, str | None, float | None, float | None]  # id, n, verdict, delta, sigma of an experiment
Draw = tuple[int, str]  # id of the experiment, and purpose of the trial

NumberedDraw = tuple[int, str, float, int, int, float | None]

MAX_RERUNS = 33  # no verdict takes as many

_DRAWS = """
    SELECT experiment_id, purpose FROM trials INDEXED BY trials_briefly
    WHERE session_id = :session AND outcome = 'ok' AND purpose IN ('base', 'screen', 'rerun', 'sentinel', 'filler')
    ORDER BY id
"""

# What was found suspect later was an incumbent until then.
_JUDGED = f"""
    SELECT id, n, CASE WHEN reason LIKE '{FOUND_LATER}%' THEN 'keep' ELSE verdict END AS verdict, delta, sigma
    FROM experiments WHERE session_id = :session ORDER BY n
"""

_EFFECTS = """
    SELECT coalesce(delta, 0.0) / sigma, p_gain FROM experiments
    WHERE session_id = :session AND n > 0 AND sigma > 0 AND p_gain IS NOT NULL
"""

# The trials are chosen by the index alone, which is small.
_CHOSEN = """
    WITH chosen AS MATERIALIZED (
      SELECT id FROM trials INDEXED BY trials_briefly WHERE session_id = :session AND {condition}
    )
    SELECT experiments.n AS number, {columns} FROM chosen JOIN trials ON trials.id = chosen.id
    JOIN experiments ON experiments.id = experiment_id ORDER BY trials.id
"""
_SENTINELS = _CHOSEN.format(condition="purpose = 'sentinel'", columns="trials.id, seed")  # many: without results
_LOST = _CHOSEN.format(condition="outcome = 'infra' AND purpose != 'filler'", columns="trials.*")

NEWEST_SIGMA = "SELECT sigma FROM experiments WHERE session_id = :session AND sigma IS NOT NULL ORDER BY n DESC LIMIT 1"

_TRIAL = "SELECT * FROM trials WHERE id = :id"

_NUMBERED = """
    SELECT * FROM (
      SELECT experiment_id, purpose, val_bpb, row_number() OVER (ORDER BY id), seed, speed FROM trials
      WHERE session_id = :session AND outcome != 'infra'
        AND purpose IN ('base', 'screen', 'rerun', 'sentinel', 'filler')
    ) WHERE val_bpb IS NOT NULL
"""

_DISCARDS = "SELECT parent, id FROM experiments WHERE session_id = :session AND verdict = 'discard' ORDER BY n"


def effects(ledger: Ledger, session_id: int) -> list[tuple[float, float]]:
    """Return (difference in sigma, probability of a gain) of each judged candidate.

    One whose trial was stopped early has no difference: as a gain, of the size that its odds allow, it counts as 0.
    """
    return [(row[0], row[1]) for row in ledger.query(_EFFECTS, session=session_id)]


def discards_by_parent(ledger: Ledger, session_id: int) -> Mapping[int, list[int]]:
    """Return the ids of the discarded experiments by the number of the one on which they were built, in order."""
    found = defaultdict[int, list[int]](list)
    for parent, id in ledger.query(_DISCARDS, session=session_id):
        found[parent].append(id)
    return found


def newest_sigma(ledger: Ledger, session: Session) -> float | None:
    """Return the standard deviation of one trial as the session knows it now, the same in all views."""
    return next((row["sigma"] for row in ledger.query(NEWEST_SIGMA, session=session.id)), None)


def numbered_draws(ledger: Ledger, session_id: int) -> list[NumberedDraw]:
    """Return (experiment id, purpose, score, number, seed, speed) of each good judging trial.

    Trials that failed are counted by the number too; lost ones are not.
    """
    return [tuple(row) for row in ledger.query(_NUMBERED, session=session_id)]


def sentinels_of(ledger: Ledger, session: Session, numbers: Sequence[int]) -> dict[int, list[tuple[int, Trial]]]:
    """Return the trials of incumbents that ran beside some experiments, with the incumbent's number.

    They have the seeds of the experiment's re-runs (`Evidence.seed`).
    """
    owners = {session.seed_of(n, k): n for n in numbers for k in range(1, MAX_RERUNS)}
    sentinels: dict[int, list[tuple[int, Trial]]] = {n: [] for n in numbers}
    for row in ledger.query(_SENTINELS, session=session.id):
        n = owners.get(row["seed"], row["number"])
        if n != row["number"]:
            sentinels[n] += [(row["number"], decode(Trial, trial)) for trial in ledger.query(_TRIAL, id=row["id"])]
    return sentinels


def lost_trials(ledger: Ledger, session: Session) -> list[tuple[int, Trial]]:
    """Return the interrupted and disturbed trials, each with the number of its experiment; fillers may be cut short."""
    return [(row["number"], decode(Trial, row)) for row in ledger.query(_LOST, session=session.id)]


def standard_errors(ledger: Ledger, session: Session) -> dict[int, float]:
    """Return the standard error of each `delta` (bits per byte) by number of experiment."""
    return errors(ledger.query(_JUDGED, session=session.id), ledger.query(_DRAWS, session=session.id))


def errors(experiments: Iterable[sqlite3.Row | Judged], draws: Iterable[sqlite3.Row | Draw]) -> dict[int, float]:
    """Return the same from experiments in order, and good trials in the order of running.

    The score of a version is the mean of the draws that did not select it. It is compared with the mean of all draws
    that the incumbent had until then.
    """
    experiments = list(experiments)
    keeps = {n for _, n, verdict, *_ in experiments if verdict == "keep"}
    fresh, reruns, sentinels = Counter[int](), Counter[int](), Counter[int]()
    before: dict[int, int] = {}  # draws of the incumbent when an experiment began
    incumbent = current = 0
    numbers = {id: n for id, n, *_ in experiments}
    for id, purpose in draws:
        n = numbers.get(id, -1)
        if purpose == "sentinel":
            sentinels[current] += 1
        elif n > current:
            incumbent = current if current in keeps else incumbent
            current, before[n] = n, max(1, fresh[incumbent])
        fresh[n] += purpose != "screen"
        reruns[n] += purpose in ("rerun", FILLER)
    return {
        n: sigma * math.sqrt(1 / max(1, reruns[n]) + 1 / (sentinels[n] + before[n]))
        for _, n, _, delta, sigma in experiments
        if delta is not None and sigma and n in before
    }
