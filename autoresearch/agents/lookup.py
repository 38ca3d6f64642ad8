"""Past experiments as a model may read them: from the ledger, or only from its brief.

All of this text comes from models and from programs that models wrote: callers quote it as data. Scores are rounded,
and scores on the holdout are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.brief.history import PastExperiment
from autoresearch.ledger import Experiment, Ledger, Session, Trial, duplicates
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.ledger.baselines import baseline
from autoresearch.ledger.rows import AFTERWARDS, ELSEWHERE
from autoresearch.ledger.statements import describe_odds
from autoresearch.ledger.unmeasured import describe_unmeasured
from autoresearch.measure.facts import reported
from autoresearch.metric import Metric
from autoresearch.source.diff import unified_diff
from autoresearch.source.fingerprint import fingerprint_without_seed

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

MAX_ROWS = 40  # experiments in one answer
MAX_DIFF_CHARS = 12_000
MAX_TRIALS = 20  # of one version

Row = Experiment | PastExperiment


def table(rows: Sequence[Row], words: str, metric: Metric) -> str:
    """Return the newest lines that have all of the words in them; what was never measured is only named."""
    wanted = words.lower().split()
    tried = [row for row in rows if not row.unmeasured]
    lines = [line for line in (_line(row, metric) for row in tried) if all(word in line.lower() for word in wanted)]
    more = f"\n({len(lines) - MAX_ROWS} older ones are left out)" if len(lines) > MAX_ROWS else ""
    dropped = describe_unmeasured(rows)
    if not lines:
        return f"no experiment matches `{words}`" + (f". {dropped}" if dropped else "")
    return "\n".join(lines[-MAX_ROWS:]) + more + (f"\n{dropped}" if dropped and not wanted else "")


def _line(row: Row, metric: Metric) -> str:
    delta = "" if row.delta is None else f" {metric.change(row.delta)}"
    odds = "" if row.p_gain is None else f", odds of a gain {describe_odds(row.p_gain)}"
    reason = row.reason or ""
    why = reason if row.delta is None else reason.partition(":")[0]  # the rest is the difference in other units
    category = f" [{row.category}]" if row.category else ""
    why = f" -- {why}" if why != row.hypothesis else ""
    return f"{row.n} {row.verdict}{delta}{odds}{category} {row.hypothesis}{why}"


def _describe_trial(trial: Trial, metric: Metric) -> str:
    """Return the score with the steps that train.py reported, or how the trial ended."""
    if trial.val_bpb is None:
        return "unfinished" if trial.outcome is None else trial.outcome
    steps = reported(trial.result, "step")
    where = f", {trial.purpose} on {trial.result['pool']}" if trial.purpose in ELSEWHERE else ""
    return metric.score(trial.val_bpb) + (f" ({steps:.0f} steps{where})" if steps else where)


@dataclass(frozen=True)
class BriefLibrary:
    """Library of an agent without a session: the history in its brief."""

    brief: "Brief"

    def history(self, words: str) -> str:
        return table(self.brief.history, words, self.brief.metric)

    def show(self, n: int) -> str | None:
        return next((_line(past, self.brief.metric) for past in self.brief.history if past.n == n), None)

    def text(self, n: int) -> str | None:
        return self.brief.source if n == self.brief.source_n else self.brief.versions.get(n)

    def find_duplicate(self, text: str) -> str | None:
        """Compare the text with the version to change: no other is known to have been measured."""
        same = fingerprint_without_seed(text) == fingerprint_without_seed(self.brief.source)
        return f"the same program as experiment {self.brief.source_n}, seeds aside" if same else None


@dataclass(frozen=True)
class LedgerLibrary:
    """The experiments of one session. Each question opens the ledger for reading, so that any thread may ask."""

    path: Path
    session_id: int
    shows_prints: bool = True  # what train.py printed, which may be training text

    def history(self, words: str) -> str:
        with Ledger.open(self.path, readonly=True) as ledger:
            rows = [row for row in ledger.experiments(self.session_id) if row.state == "settled"]
            return table(rows, words, _session(ledger, self.session_id).metric)

    def show(self, n: int) -> str | None:
        with Ledger.open(self.path, readonly=True) as ledger:
            row = ledger.experiment(self.session_id, n)
            if row is None:
                return None
            rows = {each.n: each for each in ledger.experiments(self.session_id)}
            before = baseline(rows[n], rows)
            against = None if before is None else ledger.experiment(self.session_id, before.n)
            trials = [trial for trial in ledger.trials(self.session_id, row.id) if trial.purpose not in AFTERWARDS]
            session = _session(ledger, self.session_id)
        parts = [_line(row, session.metric)]
        if trials:
            words = ", ".join(_describe_trial(trial, session.metric) for trial in trials[:MAX_TRIALS])
            parts.append(f"trials: {words}")
        if against is not None:
            diff = unified_diff(against.text or "", row.text or "")
            derived = "" if row.parent == against.n else f" (it was derived from experiment {row.parent})"
            head = f"measured and changed against experiment {against.n}{derived}:"
            parts.append(f"{head}\n{diff[:MAX_DIFF_CHARS]}")
        prints = Artefacts(self.path.parent / session.tag / str(n)).last_prints() if self.shows_prints else []
        if prints:
            parts.append("\n".join(["what train.py printed last:", *prints]))
        return "\n\n".join(parts)

    def text(self, n: int) -> str | None:
        with Ledger.open(self.path, readonly=True) as ledger:
            row = ledger.experiment(self.session_id, n)
        return row.text if row is not None and row.state == "settled" else None

    def find_duplicate(self, text: str) -> str | None:
        with Ledger.open(self.path, readonly=True) as ledger:
            found = duplicates.find(ledger, self.session_id, text)
        return None if found is None else str(found)


def _session(ledger: Ledger, session_id: int) -> Session:
    return next(session for session in ledger.sessions() if session.id == session_id)
