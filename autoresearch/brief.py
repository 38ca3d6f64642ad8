"""What an agent is told before it proposes: the goal, the incumbent, the history and the noise, bounded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autoresearch.ledger import Experiment

HISTORY_LINES = 60  # experiments that the rendered table shows; agents get the whole list as data


@dataclass(frozen=True)
class Past:
    """One finished experiment, as an agent sees it; `delta` is None where there is no score to compare."""

    n: int
    verdict: str
    reason: str
    agent: str
    category: str
    hypothesis: str
    params: dict[str, Any]
    val_bpb: float | None
    delta: float | None

    @classmethod
    def of(cls, row: Experiment) -> "Past":
        """From a row of the ledger. Scores go out rounded: a few bits less to fit to."""
        return cls(
            n=row.n,
            verdict=row.verdict or "",
            reason=row.reason or "",
            agent=row.agent or "",
            category=row.category or "",
            hypothesis=row.hypothesis or "",
            params=row.params or {},
            val_bpb=None if row.val_bpb is None else round(row.val_bpb, 4),
            delta=None if row.delta is None else round(row.delta, 4),
        )


@dataclass(frozen=True)
class Brief:
    """Everything an agent is told. `history` is oldest first; `feedback` says why proposals of this round came back."""

    n: int
    seed: int
    program: str
    source: str
    incumbent: int
    incumbent_bpb: float
    sigma: float
    history: list[Past]
    notes: list[str] = field(default_factory=list)
    feedback: list[str] = field(default_factory=list)

    def render(self) -> str:
        """As Markdown, stable parts first, the history cut to its last lines."""
        parts = [
            f"# program.md\n\n{self.program.strip()}",
            f"# Where it stands\n\n{self._standing()}",
            f"# History\n\n{history_table(self.history)}",
            "# Notes from the human\n\n" + ("\n".join(f"- {note}" for note in self.notes) or "none"),
            f"# train.py\n\n```python\n{self.source}```",
        ]
        if self.feedback:
            parts.append("# Refused in this round\n\n" + "\n".join(f"- {line}" for line in self.feedback))
        return "\n\n".join(parts) + "\n"

    def _standing(self) -> str:
        return (
            f"Experiment {self.n} is next. The incumbent is experiment {self.incumbent} with"
            f" {self.incumbent_bpb:.4f} bits per byte. One trial scatters by {self.sigma:.4f} (one sigma)."
        )


def history_table(history: Sequence[Past]) -> str:
    """The last experiments as a Markdown table, and how many came before."""
    lines = ["| n | verdict | delta | category | hypothesis |", "|---|---|---|---|---|"]
    for past in history[-HISTORY_LINES:]:
        delta = "-" if past.delta is None else f"{past.delta:+.4f}"
        cell = " ".join(past.hypothesis.replace("|", "/").split())[:160]
        lines.append(f"| {past.n} | {past.verdict} | {delta} | {past.category} | {cell} |")
    earlier = len(history) - HISTORY_LINES
    return "\n".join(lines) + (f"\n\n{earlier} earlier experiments are not shown." if earlier > 0 else "")
