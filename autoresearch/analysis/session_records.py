"""Read the records of one session in ledger, git and files, for `consistency`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autoresearch.analysis.lineage import ancestry
from autoresearch.errors import UserError
from autoresearch.ledger import Experiment, Ledger, Session, Trial, results_tsv
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.ledger.failed_audits import failed_audits
from autoresearch.ledger.lost_records import lost_records
from autoresearch.ledger.rows import BRANCHES
from autoresearch.ledger.trials import by_experiment, judging
from autoresearch.workspace.workspace import Workspace


@dataclass(frozen=True)
class SessionRecords:
    """Records of one session."""

    session: Session
    experiments: list[Experiment]
    judging_trials: dict[int, list[Trial]]  # by experiment id, without interrupted trials and totals
    failed_audits: dict[int, str]  # of keeps, by number of experiment
    lost_records: set[int]  # experiments that were read from git: their trials and files are gone
    table: str  # results.tsv according to the ledger
    workspace: Workspace
    root: Path

    @classmethod
    def read(cls, store: Ledger, session: Session, workspace: Workspace, root: Path) -> "SessionRecords":
        numbers = [row.n for row in store.experiments(session.id)]
        experiments = [row for n in numbers if (row := store.experiment(session.id, n)) is not None]
        trials = by_experiment(judging(store.trials(session.id)))
        failed, table = failed_audits(store, session.id), results_tsv(store, session)
        lost = lost_records(store, session.id)
        return cls(session, experiments, trials, failed, lost, table, workspace, root)

    @property
    def folder(self) -> Path:
        return self.root / "runs" / self.session.tag

    @cached_property
    def settled_experiments(self) -> list[Experiment]:
        return [row for row in self.experiments if row.state == "settled"]

    @cached_property
    def keeps(self) -> list[Experiment]:
        """Return the base and the settled keeps, in order."""
        return [row for row in self.settled_experiments if row.verdict == "keep"]

    @cached_property
    def refs(self) -> dict[int, str]:
        """Return commits by number of experiment, according to git."""
        return self.workspace.refs(self.session.tag)

    @property
    def unsettled_numbers(self) -> set[int]:
        """Return the numbers of experiments that are not settled: a step of them may be half done."""
        return {row.n for row in self.experiments if row.state != "settled"}

    def trials(self, experiment: Experiment) -> list[Trial]:
        return self.judging_trials.get(experiment.id, [])

    def artefacts(self, experiment: Experiment) -> Artefacts:
        return Artefacts(self.folder / str(experiment.n))

    def name(self, path: Path) -> str:
        """Return a path relative to the top of the repository."""
        return str(path.relative_to(self.root))

    def blob(self, sha: str) -> str | None:
        """Return the hash of the file in a commit; None if git has no such commit."""
        try:
            return self.workspace.blob(sha)
        except UserError:
            return None

    def origin(self, keep: Experiment) -> tuple[int | None, bool]:
        """Return the previous keep of a line, and True if the line branched from an older one.

        The experiments between the two are near misses.
        """
        path = ancestry(keep, {row.n: row for row in self.settled_experiments})
        origin = next((row.n for row in path[1:] if row.verdict == "keep"), None)
        line = [row for row in path if origin is None or row.n > origin]
        return origin, any(row.mode in BRANCHES for row in line)
