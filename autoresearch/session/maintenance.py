"""Ledger backups, recovery, disk space and a clean card, beside the loop."""

from collections.abc import Callable, Sequence

from autoresearch.hardware import CardMemory
from autoresearch.ledger import Experiment, back_up
from autoresearch.measure.result import Result
from autoresearch.measure.settings import TRIES
from autoresearch.session.context import SessionContext
from autoresearch.session.crashes import Crashes
from autoresearch.session.demotion import check_base, demote_suspects
from autoresearch.session.disk_quota import DiskQuota
from autoresearch.session.recovery import Recovery, recovery_record
from autoresearch.workspace.git import GitError

MAX_LISTED = 10  # experiments in one line


class Maintenance:
    """Maintain one session; its artefacts may take `max_bytes` on the disk."""

    def __init__(self, context: SessionContext, max_bytes: float) -> None:
        self.context = context
        self.recovery = Recovery(context)
        self.cards: dict[str | None, CardMemory] = {}
        self.disturbed_in_a_row = 0
        self.quota = DiskQuota(context.runs, context.ledger, max_bytes)

    def begin(self) -> None:
        """Restore what is missing, then back up the ledger. Raises UserError if it is damaged."""
        if numbers := self.recovery.restore_experiments():
            words = f"the ledger did not know experiments {_list(numbers)}: read from runs/ and git"
            self.context.emit("recovered", None, words)
        if numbers := self.recovery.restore_demotions():
            self.context.emit("recovered", None, f"experiments {_list(numbers)} were found suspect: read from runs/")
        self._restore_references()
        self.recovery.check_incumbent()
        back_up(self.context.ledger)
        self._demote_suspects()
        # a kill may have come between a verdict and its line
        Crashes(self.context).guard(0, self.context.write_results)

    def take_step(self, step: Callable[[Experiment], Experiment], experiment: Experiment) -> Experiment:
        """Take a step of an experiment; if git fails, restore what was deleted and take it again."""
        for attempt in range(1, TRIES + 1):
            try:
                if attempt > 1:
                    self._restore_references()
                now = self.context.experiment(experiment.n)
                return step(now) if now.state == experiment.state else now
            except GitError:
                if attempt == TRIES:
                    raise
        raise AssertionError

    def card(self, gpu: str | None) -> CardMemory:
        """Return the card of a slot, which knows its use before the first trial."""
        return self.cards.setdefault(gpu, CardMemory(gpu))

    def after_trial(self, result: Result) -> bool:
        """Demote an incumbent whose audit failed; return whether more trials can be run where this one was to run.

        They cannot where it could not be run, or where `TRIES` in a row were disturbed. Raises UserError if the audit
        was the base's.
        """
        if self.context.ledger.was_deleted:
            self.context.ledger.was_deleted = False
            self.context.emit(
                "recovered", None, "runs/ was deleted: the ledger was written again, earlier files are gone"
            )
        self._demote_suspects()
        is_lost = result.disturbed and result.outcome == "infra"
        self.disturbed_in_a_row = self.disturbed_in_a_row + 1 if is_lost else 0
        if result.outcome != "infra" or result.ended_early or result.loss is not None:
            return True
        return result.disturbed and self.disturbed_in_a_row % TRIES > 0

    def record_settled(self, experiment: Experiment) -> None:
        """Write the record that a recovery needs, and make room on the disk."""
        files = self.context.artefacts(experiment.n)
        files.write_record(recovery_record(self.context.ledger, experiment))
        if dropped := self.quota.make_room_for(files.folder):
            names = [f"{tag}#{n}" if tag != self.context.tag else str(n) for tag, n in dropped]
            words = f"logs, traces and rows of experiments {_list(names)} made room on the disk"
            self.context.emit("room", None, words)

    def _demote_suspects(self) -> None:
        demote_suspects(self.context)
        check_base(self.context)

    def _restore_references(self) -> None:
        if names := self.recovery.restore_references():
            where = f"refs/autoresearch/{self.context.tag}/"
            self.context.emit("recovered", None, f"references {_list(names)} under {where} were gone: put back")


def _list(names: Sequence[str] | Sequence[int]) -> str:
    listed = ", ".join(map(str, names[:MAX_LISTED]))
    return listed if len(names) <= MAX_LISTED else f"{listed} and {len(names) - MAX_LISTED} more"
