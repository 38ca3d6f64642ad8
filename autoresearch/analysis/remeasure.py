"""Versions measured again after the loop, with seeds that no experiment was given; these trials judge nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError, require
from autoresearch.hardware import CardMemory
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.measure.referee import Referee
from autoresearch.measure.result import Progress, Result
from autoresearch.measure.settings import TRIES, TrialPlan
from autoresearch.workspace.git import blob_hash
from autoresearch.workspace.workspace import Workspace

PURPOSE = "total"


@dataclass(frozen=True)
class Remeasurer:
    """Everything that a version of one session is measured again with."""

    ledger: Ledger
    session: Session
    workspace: Workspace
    referee: Referee
    data: Dataset
    card: CardMemory
    watch: Callable[[int, Progress], None]

    def done(self, experiment: Experiment, purpose: str = PURPOSE) -> int:
        """How often a version was measured again before."""
        trials = self.ledger.trials(self.session.id, experiment.id)
        return sum(trial.purpose == purpose for trial in trials)

    def seed(self, k: int, purpose: str = PURPOSE) -> int:
        """The seed of draw `k`: the same for every version, another for every purpose."""
        return self.session.seed_of(purpose, k)

    def trial(self, experiment: Experiment, k: int, purpose: str = PURPOSE, text: str | None = None) -> Result:
        """One trial on val and holdout, of the version or of another text in its stead.

        One that was disturbed is repeated. Raises UserError without a score, and where the card is not free.
        """
        text = self.workspace.read(require(experiment.sha)) if text is None else text
        for _ in range(TRIES):
            result = self._measure(experiment, text, self.seed(k, purpose), purpose)
            if not (result.disturbed and result.outcome == "infra"):
                break
        if result.val_bpb is None or result.holdout_bpb is None:
            raise UserError(f"experiment {experiment.n} could not be measured again: {result.outcome} {result.reason}")
        return result

    def _measure(self, experiment: Experiment, text: str, seed: int, purpose: str) -> Result:
        self.card.wait_until_clean()
        hashed = blob_hash(text, require(experiment.blob))
        trial = self.ledger.start_trial(self.session.id, experiment.id, purpose, seed, hashed)
        plan = TrialPlan(wants_holdout=lambda val_bpb: True, watch=lambda progress: self.watch(experiment.n, progress))
        result = self.referee.measure(text, seed, plan)
        stored = result.as_json() | {"identity": self.session.identity}  # as whoever measures has made sure
        self.ledger.end_trial(trial.id, result.outcome, result.val_bpb, stored)
        return result
