"""Lay out a list of sessions as a table."""

from collections.abc import Sequence

from autoresearch.analysis.session_list import ListedSession
from autoresearch.report.blocks import Table, Verbatim
from autoresearch.report.format import moment

HEAD = ("tag", "state", "experiments", "kept", "base", "best", "disk", "started")
NUMBERS = frozenset({"experiments", "kept", "base", "best", "disk"})
RANKS = {"started": 1, "base": 2, "best": 3, "experiments": 4}


def table(sessions: Sequence[ListedSession], now: float) -> Table:
    return Table(HEAD, [_cells(session, now) for session in sessions], NUMBERS, RANKS)


def _cells(session: ListedSession, now: float) -> list[str]:
    scores, metric = (session.base_bpb, session.best_bpb), session.metric
    base, best = ("-" if score is None else metric.score(score) for score in scores)
    started = "-" if session.started is None else moment(session.started, now)
    counts = str(session.experiments), str(session.kept)
    return [Verbatim(session.tag), session.state, *counts, base, best, f"{session.bytes / 1e6:.1f} MB", started]
