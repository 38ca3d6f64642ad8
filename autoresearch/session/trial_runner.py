"""One trial of a session: its seed, its caps, the referee, and what is written down of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autoresearch.errors import require
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.measure.referee import Referee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import TrialPlan
from autoresearch.session import describe
from autoresearch.session.events import Listener, TrialProgress
from autoresearch.session.evidence import Evidence
from autoresearch.session.maintenance import Maintenance
from autoresearch.session.pipeline import SessionLock

KEEP_AUDIT = 4  # times as many audited positions before a keep


@dataclass
class TrialRunner:
    """Runs the trials of one session; the baton is put down while the referee is at work."""

    row: Session
    ledger: Ledger
    runs: Path
    identity: dict[str, Any]
    baton: SessionLock
    upkeep: Maintenance
    notify: Listener
    tell: Callable[..., None]

    def run(self, evidence: Evidence, candidate: Experiment, purpose: str, slot: Referee) -> None:
        """Measure what a trial of this purpose measures (evidence.subject). Raises UserError where none can be run."""
        self.upkeep.before_trial(slot.settings.gpu)
        seed = evidence.seed(candidate, purpose)
        experiment = evidence.subject(candidate, purpose)
        k = evidence.begun(experiment)
        trial = self.ledger.start_trial(self.row.id, experiment.id, purpose, seed, require(experiment.blob))
        self.tell("trial", experiment.n, purpose, seed=seed)
        result = self._measure(evidence, experiment, purpose, seed, slot, keep_caches=purpose == "base" and k == 0)
        about = {"purpose": purpose, "blob": trial.blob, "started": trial.started, "ended": time.time()}
        where = {"identity": self.identity, "slot": slot.settings.gpu or slot.settings.cores}
        files = Artefacts(self.runs / self.row.tag / str(experiment.n))
        files.write_trial(k, result.as_json() | about | where, result.log, result.rows)
        self.ledger.end_trial(trial.id, result.outcome, result.val_bpb, result.as_json() | where)
        beside = " (the incumbent, for comparison)" if purpose == "sentinel" else ""
        self.tell("measured", experiment.n, describe.measured(result) + beside, seconds=round(result.total_seconds, 1))
        if purpose == "sentinel" and (drifted := evidence.drifted(experiment)):
            self.tell("drift", experiment.n, drifted)
        self.upkeep.after_trial(result)

    def _measure(
        self, evidence: Evidence, experiment: Experiment, purpose: str, seed: int, slot: Referee, keep_caches: bool
    ) -> Result:
        setup, score = evidence.base_seconds() or (None, None)
        hopeless = evidence.hopeless_above(experiment) if purpose == "screen" else None

        def may_keep(bpb: float) -> bool:
            with self.baton:
                return purpose == "rerun" and evidence.may_keep(experiment, bpb)

        plan = TrialPlan(
            loses_above=hopeless,
            wants_holdout=may_keep,
            audit_factor=KEEP_AUDIT if purpose == "rerun" else 1,
            keep_caches=keep_caches,
            watch=lambda at: self.notify(TrialProgress(experiment.n, purpose, replace(at, gpu=slot.settings.gpu))),
            base_setup_s=setup,
            base_score_s=score,
        )
        with self.baton.released():
            return slot.measure(require(experiment.text), seed, plan)
