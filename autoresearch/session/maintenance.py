"""What keeps a session alive besides its loop: copies, recovery, room on the disk, a clean card."""

from collections.abc import Callable
from pathlib import Path

from autoresearch.errors import UserError, require
from autoresearch.files import write_atomically
from autoresearch.hardware import CardMemory
from autoresearch.ledger import Experiment, Ledger, Session, back_up, results_tsv
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.measure.result import Result
from autoresearch.measure.settings import TRIES
from autoresearch.session.disk_quota import Quota
from autoresearch.session.recovery import Recovery, record
from autoresearch.workspace.git import GitError
from autoresearch.workspace.workspace import Workspace

NAMED = 10  # experiments in one line


class Maintenance:
    """Looks after one session; `tell(kind, n, text)` hears of what had to be done. `disk` is in bytes."""

    def __init__(
        self,
        row: Session,
        store: Ledger,
        workspace: Workspace,
        runs: Path,
        disk: float,
        tell: Callable[[str, int | None, str], None],
    ) -> None:
        self.row, self.ledger, self.runs, self.tell = row, store, runs, tell
        self.recovery = Recovery(row, store, workspace, runs)
        self.cards: dict[str | None, CardMemory] = {}
        self.disturbed = 0  # trials in a row
        self.quota = Quota(runs, store, disk)

    def begin(self) -> None:
        """Put back what is gone, then copy the ledger. Raises UserError where it is damaged."""
        if found := self.recovery.experiments():
            self.tell(
                "recovered", None, f"the ledger did not know experiments {_several(found)}: read from runs/ and git"
            )
        self._put_back()
        back_up(self.ledger)
        self.export()  # a kill may have come between a verdict and its line

    def step(self, step: Callable[[Experiment], Experiment], experiment: Experiment) -> Experiment:
        """Take a step, and again where git fails: someone may have taken away what it stands on."""
        for attempt in range(1, TRIES + 1):
            try:
                if attempt > 1:
                    self._put_back()
                now = require(self.ledger.experiment(self.row.id, experiment.n))
                return step(now) if now.state == experiment.state else now
            except GitError:
                if attempt == TRIES:
                    raise
        raise AssertionError

    def before_trial(self, gpu: str | None) -> None:
        """Raises UserError where the card is not free."""
        self.card(gpu).wait_until_clean()

    def card(self, gpu: str | None) -> CardMemory:
        """The card of a slot, with what was in use on it before the first trial."""
        return self.cards.setdefault(gpu, CardMemory(gpu))

    def after_trial(self, result: Result) -> None:
        """One that was disturbed is repeated. Raises UserError where no trial can be run, or one is disturbed again and again."""
        self.disturbed = self.disturbed + 1 if result.disturbed else 0
        if result.outcome == "infra" and (not result.disturbed or self.disturbed == TRIES):
            raise UserError(f"a trial could not be run: {result.reason}; see `autoresearch doctor`")

    def settled(self, experiment: Experiment) -> None:
        """Write down what a recovery needs, and see that there is room."""
        files = Artefacts(self.runs / self.row.tag / str(experiment.n))
        files.write_record(record(self.ledger, experiment))
        if dropped := self.quota.settled(files.folder):
            names = [f"{tag}#{n}" if tag != self.row.tag else str(n) for tag, n in dropped]
            self.tell("room", None, f"logs, traces and rows of experiments {_several(names)} made room on the disk")

    def export(self) -> None:
        """Write results.tsv."""
        write_atomically(self.runs / self.row.tag / "results.tsv", [results_tsv(self.ledger, self.row)])

    def _put_back(self) -> None:
        if found := self.recovery.references():
            self.tell(
                "recovered",
                None,
                f"references {_several(found)} under refs/autoresearch/{self.row.tag}/ were gone: put back",
            )


def _several(names: list[str] | list[int]) -> str:
    shown = ", ".join(map(str, names[:NAMED]))
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
