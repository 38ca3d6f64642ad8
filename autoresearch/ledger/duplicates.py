"""Find an earlier experiment that measured the same or almost the same program.

A version that was never measured (dropped in a conflict, lost to the deadline) may come again. So may one that was
superseded, also after a trial or two: its change belongs to the incumbent that was replaced, and that may come back.
"""

import json
from dataclasses import dataclass

from autoresearch.ledger.store import Ledger
from autoresearch.ledger.unmeasured import SUPERSEDED
from autoresearch.source.fingerprint import are_close, fingerprint_without_seed, outline

NEAR = 0.01  # relative difference of constants up to which two programs are the same

# Measured: it has a score or a completed trial, or waits for one. The score of a suspect is withdrawn.
_ALIKE = f"""
    SELECT n, verdict, delta, fingerprint, numbers FROM experiments AS e
    WHERE session_id = :session AND shape = :shape AND coalesce(reason, '') NOT LIKE '{SUPERSEDED} %' AND (
      verdict IS NULL OR verdict = 'suspect' OR val_bpb IS NOT NULL OR n = 0
      OR EXISTS (SELECT 1 FROM trials WHERE experiment_id = e.id AND outcome IS NOT NULL AND outcome != 'infra')
    ) ORDER BY n
"""


@dataclass(frozen=True)
class Duplicate:
    """An earlier experiment with the same program: `exact` but for seeds, or constants within 1 %."""

    n: int
    exact: bool
    verdict: str | None
    delta: float | None

    def __str__(self) -> str:
        how = "seeds aside: they are the referee's" if self.exact else "all constants within 1 %"
        verdict = f"; it was {self.verdict}" if self.verdict and self.n else ""
        waits = "; it waits for its trials" if self.verdict is None and self.n else ""
        score = f" ({self.delta:+.4f})" if self.delta is not None else ""
        return f"the same program as experiment {self.n}, {how}{verdict}{waits}{score}"


def find(ledger: Ledger, session_id: int, text: str) -> Duplicate | None:
    """Return the first duplicate of a text in a session, exact ones first. Raises SyntaxError."""
    shape, numbers = outline(text)
    fingerprint = fingerprint_without_seed(text)
    alike = ledger.query(_ALIKE, session=session_id, shape=shape)
    exact = next((row for row in alike if row["fingerprint"] == fingerprint), None)
    near = (row for row in alike if are_close(json.loads(row["numbers"]) or [], numbers, NEAR))
    row = exact or next(near, None)
    return None if row is None else Duplicate(row["n"], exact is not None, row["verdict"], row["delta"])
