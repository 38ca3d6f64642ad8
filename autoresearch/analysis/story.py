"""One session as the ledger tells it, beside the repository and the files that it left."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autoresearch.artefacts import Artefacts
from autoresearch.errors import UserError
from autoresearch.evidence import by_experiment, judging
from autoresearch.ledger import Experiment, Ledger, Session, Trial, results_tsv
from autoresearch.workspace import Workspace


@dataclass(frozen=True)
class Story:
    """What there is to compare. `trials` are those that may judge, by experiment id: no interrupted ones, no totals."""

    session: Session
    experiments: list[Experiment]
    trials: dict[int, list[Trial]]
    table: str  # results.tsv as the ledger has it
    workspace: Workspace
    root: Path

    @classmethod
    def read(cls, store: Ledger, session: Session, workspace: Workspace, root: Path) -> "Story":
        """Everything that the ledger knows of a session."""
        numbers = [row.n for row in store.experiments(session.id)]
        experiments = [row for n in numbers if (row := store.experiment(session.id, n)) is not None]
        trials = by_experiment(judging(store.trials(session.id)))
        return cls(session, experiments, trials, results_tsv(store, session), workspace, root)

    @property
    def folder(self) -> Path:
        """Where the session left its files."""
        return self.root / "runs" / self.session.tag

    @cached_property
    def settled(self) -> list[Experiment]:
        """The experiments that are over: a step of another one may be half taken, and is finished on resume."""
        return [row for row in self.experiments if row.state == "settled"]

    @cached_property
    def kept(self) -> list[Experiment]:
        """The base, and what was kept on it, in order."""
        return [row for row in self.settled if row.verdict == "keep"]

    @cached_property
    def refs(self) -> dict[int, str]:
        """Commits by number of experiment, as git has them."""
        return self.workspace.refs(self.session.tag)

    @property
    def unfinished(self) -> set[int]:
        """Experiments whose next step may be half taken."""
        return {row.n for row in self.experiments if row.state != "settled"}

    def files(self, experiment: Experiment) -> Artefacts:
        """What an experiment left."""
        return Artefacts(self.folder / str(experiment.n))

    def name(self, path: Path) -> str:
        """A file as it is called from the top of the repository."""
        return str(path.relative_to(self.root))


def blob_of(workspace: Workspace, sha: str) -> str | None:
    """The hash of the file in a commit; None if git has no such commit."""
    try:
        return workspace.blob(sha)
    except UserError:
        return None
