"""Export pairs of changes to one version, a kept one and a lost one, as JSON lines for preference tuning.

A pair holds code, hypotheses and what the referee measured, and nothing that train.py reported of itself. It is written
only where the odds that the kept version is better are high. Secrets are removed.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from autoresearch import judge
from autoresearch import ledger as package
from autoresearch.analysis.draws import Draws, equal_speed_draws
from autoresearch.analysis.sft import describe_change
from autoresearch.errors import require
from autoresearch.files import JsonObject
from autoresearch.ledger import Experiment, ExperimentRow, Ledger, Session
from autoresearch.ledger.scores import effects
from autoresearch.ledger.statements import PREFERENCE_ODDS
from autoresearch.ledger.trials import FRESH, JUDGING
from autoresearch.metric import VAL_BPB, Metric
from autoresearch.source.diff import unified_diff
from autoresearch.text import Trace, secrets_of_environment

QUESTION = "Lower the validation bits per byte of this train.py by one change."
OTHER_QUESTION = "Improve {name}, which this program measures ({direction}), by one change."


@dataclass(frozen=True)
class SiblingOdds:
    """The draws of a session's versions, and what they say of noise and effects."""

    draws: Draws
    noise: judge.Noise
    beliefs: judge.Beliefs

    @classmethod
    def read(cls, store: Ledger, session: Session) -> "SiblingOdds":
        noise = judge.noise(list(equal_speed_draws(store, session, FRESH).values()))
        return cls(equal_speed_draws(store, session, JUDGING), noise, judge.learn(effects(store, session.id)))

    def of(self, kept: Experiment, lost: Experiment) -> float:
        """Return the odds that the kept version is better, given all draws of both; 0 if one has none."""
        ours, theirs = self.draws.get(kept.id), self.draws.get(lost.id)
        if not ours or not theirs:
            return 0.0
        p = judge.p_better(ours, theirs, self.noise, self.beliefs)
        return p / max(1 - p, 1e-6)


def lines(store: Ledger, session: Session) -> Iterator[str]:
    """Yield the pairs of a session as JSON lines, by the kept experiment."""
    clean = Trace(secrets_of_environment()).clean
    rows = [row for row in package.experiment_rows(store, session) if row.state == "settled"]
    siblings = SiblingOdds.read(store, session)

    @cache
    def read_text(n: int) -> str:
        return require(store.experiment(session.id, n)).text or ""

    for kept, lost in _siblings(rows):
        if (odds := siblings.of(kept, lost)) > PREFERENCE_ODDS:
            pair = _pair(session, kept, lost, read_text) | {"odds": round(odds, 1)}
            yield json.dumps(clean(pair), ensure_ascii=False, allow_nan=False) + "\n"


def _siblings(rows: Sequence[ExperimentRow]) -> Iterator[tuple[ExperimentRow, ExperimentRow]]:
    """Yield the kept and the lost changes of the same version; a near miss is not lost."""
    kept = [row for row in rows if row.n > 0 and row.verdict == "keep"]
    lost = [row for row in rows if row.verdict == "discard" and row.val_bpb is not None and not row.near_miss]
    return ((ours, theirs) for ours, theirs in product(kept, lost) if ours.parent == theirs.parent)


def _pair(session: Session, kept: ExperimentRow, lost: ExperimentRow, read_text: Callable[[int], str]) -> JsonObject:
    before = read_text(require(kept.parent))
    grades = {session.grade, kept.grade, lost.grade}
    return {
        "session": session.tag,
        "grade": "STRONG" if grades == {"STRONG"} else "WEAK",
        "parent": kept.parent,
        "kept": _describe(kept),
        "lost": _describe(lost),
        "difference": session.metric.difference(require(kept.val_bpb), require(lost.val_bpb)),
        "prompt": [{"role": "user", "content": f"{_question(session.metric)}\n\n```python\n{before}```\n"}],
        "chosen": [_answer(kept, before, read_text(kept.n))],
        "rejected": [_answer(lost, before, read_text(lost.n))],
    }


def _question(metric: Metric) -> str:
    known = {"name": metric.name, "direction": metric.direction}
    return QUESTION if metric == VAL_BPB else OTHER_QUESTION.format(**known)


def _describe(row: ExperimentRow) -> JsonObject:
    return {name: getattr(row, name) for name in ("n", "agent", "model", "category", "val_bpb", "trials")}


def _answer(row: ExperimentRow, before: str, text: str) -> dict[str, str]:
    return {"role": "assistant", "content": describe_change(row.hypothesis, unified_diff(before, text))}
