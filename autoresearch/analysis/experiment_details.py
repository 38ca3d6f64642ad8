"""Read one experiment with everything that belongs to it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from autoresearch.analysis import sft
from autoresearch.analysis.ablate import Part, newest_ablation
from autoresearch.analysis.export import record, trial_record
from autoresearch.analysis.paired import RowDifference, compare_rows, mean_scores
from autoresearch.files import JsonObject
from autoresearch.ledger import Experiment, Ledger, Review, Session, Trial, reviews, sentinels_of, standard_errors
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.ledger.rows import AFTERWARDS
from autoresearch.ledger.trials import judging
from autoresearch.source import size
from autoresearch.source.size import Size


@dataclass(frozen=True)
class ExperimentDetails:
    """An experiment with its trials and files, and its parent if that was read too.

    `error` is the standard error of its `delta`. `beside` are the trials of incumbents that were measured beside it,
    with the incumbent's number. `part` is what the newest ablation says of it.
    """

    experiment: Experiment
    files: Artefacts
    trials: Sequence[Trial]
    beside: Sequence[tuple[int, Trial]]
    error: float | None
    review: Review | None
    part: Part | None
    parent: "ExperimentDetails | None" = None

    @property
    def n(self) -> int:
        return self.experiment.n

    @cached_property
    def patch(self) -> str:
        return self.files.read_patch()

    @cached_property
    def size(self) -> Size | None:
        return size.size_or_none(self.experiment.text)

    @cached_property
    def rows(self) -> RowDifference | None:
        """Return the comparison with the parent row by row, if their files still exist."""
        return compare_rows(mean_scores(self.files), mean_scores(self.parent.files)) if self.parent else None

    @property
    def trace(self) -> list[JsonObject]:
        lines = self.files.trace.read_text(errors="replace").splitlines() if self.files.trace.exists() else []
        return [sft.entry(line) for line in lines]

    @property
    def search_trials(self) -> list[Trial]:
        """Return the trials of the search, interrupted ones among them."""
        return [trial for trial in self.trials if trial.purpose not in AFTERWARDS]

    @property
    def later_trials(self) -> list[Trial]:
        """Return the trials of `total`, `reproduce` and `ablate`."""
        return [trial for trial in self.trials if trial.purpose in AFTERWARDS]

    @property
    def judging_trials(self) -> list[Trial]:
        """Return the trials that judge it, in the order in which their files are numbered."""
        return judging(self.trials)

    @property
    def good_trials(self) -> list[Trial]:
        return [trial for trial in self.judging_trials if trial.outcome == "ok"]

    def as_json(self) -> JsonObject:
        """Return what `show --json` prints (docs/json.md)."""
        return {
            **record(self.experiment, self.trials),
            "simpler": self.experiment.simpler,
            "error": self.error,
            "beside": [{"n": n, **trial_record(trial, trial.blob)} for n, trial in self.beside],
            "size": asdict(self.size) if self.size else None,
            "review": asdict(self.review) if self.review else None,
            "ablation": {**asdict(self.part), "carries": self.part.carries} if self.part else None,
            "patch": self.patch,
            "trace": self.trace,
            "rows": asdict(self.rows) if self.rows else None,
        }


def read_details(
    store: Ledger, session: Session, runs: Path, numbers: Sequence[int], errors: Mapping[int, float | None]
) -> dict[int, ExperimentDetails]:
    """Read experiments without their parents; `errors` are their standard errors."""
    by_n, beside = reviews(store, session.id), sentinels_of(store, session, numbers)
    ablation = newest_ablation(store.events(session.id, kind="ablation"))
    parts = {part.n: part for part in ablation.parts} if ablation else {}
    details = {}
    for n in numbers:
        if (experiment := store.experiment(session.id, n)) is not None:
            files, trials = Artefacts(runs / session.tag / str(n)), store.trials(session.id, experiment.id)
            details[n] = ExperimentDetails(
                experiment, files, trials, beside[n], errors.get(n), by_n.get(n), parts.get(n)
            )
    return details


def read_experiment(store: Ledger, session: Session, runs: Path, experiment: Experiment) -> ExperimentDetails:
    """Read one experiment and its parent."""
    numbers = [experiment.n, *([] if experiment.parent is None else [experiment.parent])]
    details = read_details(store, session, runs, numbers, standard_errors(store, session))
    parent = details.get(numbers[-1]) if len(numbers) > 1 else None
    return replace(details[experiment.n], parent=parent)
