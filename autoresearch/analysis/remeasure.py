"""Measure versions again after the loop, on separate seeds; no verdict uses them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError, require
from autoresearch.hardware import CardMemory
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.ledger.overhead import base_overhead
from autoresearch.measure.clock import Budget
from autoresearch.measure.command_spec import CommandSpec
from autoresearch.measure.referee import CellReferee, Referee
from autoresearch.measure.result import Overhead, Progress, Result
from autoresearch.measure.settings import TRIES, TrialPlan
from autoresearch.workspace.git import blob_hash
from autoresearch.workspace.workspace import Workspace

PURPOSE = "total"


class FailedVersionError(UserError):
    """A version gave no score, which is its own fault."""


@dataclass(frozen=True)
class Remeasurer:
    """Ledger, data and settings to measure versions of one session again.

    `reserve` is called before each trial: it locks the slot, once there is something to measure. A trial that waits for
    a node ends once `is_wait_over`, and is begun again, unless `reserve` raises an error.
    """

    ledger: Ledger
    session: Session
    workspace: Workspace
    referee: Referee
    data: Dataset | CommandSpec
    card: CardMemory
    watch: Callable[[int, Progress], None]
    reserve: Callable[[], None] = lambda: None
    is_wait_over: Callable[[], bool] = lambda: False

    def with_budget(self, budget: Budget) -> "Remeasurer":
        """Return a copy whose trials have another budget, for a purpose of their own.

        Raises UserError for a command.
        """
        if not isinstance(self.data, Dataset):
            raise UserError("a command has a time limit instead of a budget: there is no longer one to transfer to")
        return replace(self, referee=CellReferee(replace(self.referee.settings, budget=budget), self.data))

    def count_trials(self, experiment: Experiment, purpose: str = PURPOSE) -> int:
        """Count the earlier trials of a version with this purpose."""
        trials = self.ledger.trials(self.session.id, experiment.id)
        return sum(trial.purpose == purpose for trial in trials)

    def seed_of(self, k: int, purpose: str = PURPOSE) -> int:
        """Return the seed of draw `k`: the same for all versions, another for each purpose."""
        return self.session.seed_of(purpose, k)

    def run_trial(self, experiment: Experiment, k: int, purpose: str = PURPOSE, text: str | None = None) -> Result:
        """Measure a version, or another `text` in its place, on val and holdout.

        Disturbed trials are repeated, and one timeout. Raises FailedVersionError if the version gives no score,
        UserError if no trial can be run, or if the GPU is in use.
        """
        text = self.workspace.read(require(experiment.sha)) if text is None else text
        spent = base_overhead(self.ledger, self.session, experiment.n)
        plan = TrialPlan(
            wants_holdout=lambda val_bpb: True,
            checks_guards=lambda val_bpb: False,
            watch=lambda progress: self.watch(experiment.n, progress),
            base=Overhead(**spent) if spent else None,
            is_wait_over=self.is_wait_over,
        )
        for attempt in range(TRIES):
            result = self.measure(experiment, text, self.seed_of(k, purpose), purpose, plan)
            if not _may_repeat(result, attempt):
                break
        if result.val_bpb is None or result.holdout_bpb is None:
            kind = UserError if result.outcome == "infra" else FailedVersionError
            raise kind(f"experiment {experiment.n} could not be measured again: {result.outcome} {result.reason}")
        return result

    def measure(self, experiment: Experiment, text: str, seed: int, purpose: str, plan: TrialPlan) -> Result:
        """Measure a text once, and record it as a trial of an experiment. Raises UserError if the slot is in use."""
        self.reserve()
        self.card.wait_until_clean()
        blob = blob_hash(text, require(experiment.blob))
        trial = self.ledger.start_trial(self.session.id, experiment.id, purpose, seed, blob)
        result = self.referee.measure(text, seed, plan)
        plan.watch(Progress("over"))
        budget = str(self.referee.settings.budget)
        stored = result.as_json() | {"identity": self.session.identity, "budget": budget}  # the caller checked both
        stored |= result.place()
        self.ledger.end_trial(trial.id, result.outcome, result.val_bpb, stored)
        return result


def _may_repeat(result: Result, attempt: int) -> bool:
    """Return whether the machine may be to blame: the version has scored before, so one timeout says little."""
    if result.outcome == "timeout":
        return attempt == 0
    return result.outcome == "infra" and (result.disturbed or result.loss is not None or result.ended_early)
