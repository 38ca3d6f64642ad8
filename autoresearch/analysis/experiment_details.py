"""Read one experiment with everything that belongs to it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from autoresearch.analysis import sft
from autoresearch.analysis.ablate import Part, newest_ablation
from autoresearch.analysis.export import record, trial_record
from autoresearch.analysis.paired import RowDifference, TaskDifference, compare_rows, compare_tasks, mean_scores
from autoresearch.files import JsonObject
from autoresearch.ledger import (
    Experiment,
    Ledger,
    Review,
    Session,
    Trial,
    reviews,
    sentinels_of,
    standard_errors,
)
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.ledger.baselines import baseline
from autoresearch.ledger.metrics import settle_metric
from autoresearch.ledger.rows import AFTERWARDS
from autoresearch.ledger.trials import judging
from autoresearch.metric import VAL_BPB, Metric
from autoresearch.source import diff, size
from autoresearch.source.size import Size


@dataclass(frozen=True)
class ExperimentDetails:
    """An experiment with its trials and files, and those of its baseline if they were read too.

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
    baseline: "ExperimentDetails | None" = None
    metric: Metric = VAL_BPB

    @property
    def n(self) -> int:
        return self.experiment.n

    @property
    def is_chained(self) -> bool:
        """Return whether it was derived from another version than the one that it was compared with."""
        return self.baseline is not None and self.baseline.n != self.experiment.parent

    @cached_property
    def patch(self) -> str:
        """Return the whole change that was measured: from the baseline."""
        return diff.unified_diff(*self._texts) if self.is_chained and all(self._texts) else self.files.read_patch()

    @cached_property
    def change(self) -> str:
        """Return the same in one line."""
        return diff.summary(*self._texts) if self.is_chained and all(self._texts) else self.experiment.change or ""

    @cached_property
    def lines_changed(self) -> tuple[int, int] | None:
        """Return the numbers of lines that were added to the baseline and removed from it."""
        if self.is_chained and all(self._texts):
            return diff.lines_changed(*self._texts)
        added, removed = self.experiment.lines_added, self.experiment.lines_removed
        return None if added is None or removed is None else (added, removed)

    @property
    def _texts(self) -> tuple[str, str]:
        before = self.baseline.experiment.text if self.baseline else None
        return before or "", self.experiment.text or ""

    @cached_property
    def size(self) -> Size | None:
        return size.size_or_none(self.experiment.text)

    @cached_property
    def rows(self) -> RowDifference | None:
        """Return the comparison with the baseline row by row, if their files still exist."""
        return compare_rows(mean_scores(self.files), mean_scores(self.baseline.files)) if self.baseline else None

    @cached_property
    def tasks(self) -> TaskDifference | None:
        """Return the comparison with the baseline task by task, where the number is a rate."""
        if self.baseline is None:
            return None
        ours, theirs = ([trial.tasks for trial in each.good_trials if trial.tasks] for each in (self, self.baseline))
        return compare_tasks(ours, theirs, self.metric)

    @property
    def trace(self) -> list[JsonObject]:
        lines = self.files.trace.read_text("utf-8", "replace").splitlines() if self.files.trace.exists() else []
        return [sft.entry(line) for line in lines]

    @property
    def prints(self) -> list[str]:
        """Return the last lines that train.py printed in the newest trial."""
        return self.files.last_prints()

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
            "baseline": self.baseline.n if self.baseline else None,
            "simpler": self.experiment.simpler,
            "error": self.error,
            "beside": [{"n": n, **trial_record(trial, trial.blob)} for n, trial in self.beside],
            "size": asdict(self.size) if self.size else None,
            "review": asdict(self.review) if self.review else None,
            "ablation": {**asdict(self.part), "carries": self.part.carries} if self.part else None,
            "patch": self.patch,
            "trace": self.trace,
            "prints": self.prints,
            "rows": asdict(self.rows) if self.rows else None,
            "tasks": asdict(self.tasks) if self.tasks else None,
            "metric": self.metric.as_json(),
        }


def read_details(
    store: Ledger,
    session: Session,
    runs: Path,
    baselines: Mapping[int, int | None],
    errors: Mapping[int, float | None],
) -> dict[int, ExperimentDetails]:
    """Read experiments and their baselines by number; `errors` are standard errors."""
    read = _read(store, session, runs, {*baselines, *(n for n in baselines.values() if n is not None)}, errors)
    known = {n: read.get(before) if before is not None else None for n, before in baselines.items()}
    return {n: replace(read[n], baseline=before) for n, before in known.items() if n in read}


def _read(
    store: Ledger, session: Session, runs: Path, numbers: Collection[int], errors: Mapping[int, float | None]
) -> dict[int, ExperimentDetails]:
    by_n, beside = reviews(store, session.id), sentinels_of(store, session, [*numbers])
    ablation = newest_ablation(store.events(session.id, kind="ablation"))
    parts = {part.n: part for part in ablation.parts} if ablation else {}
    details, metric = {}, settle_metric(store, session)
    for n in sorted(numbers):
        if (experiment := store.experiment(session.id, n)) is not None:
            files, trials = Artefacts(runs / session.tag / str(n)), store.trials(session.id, experiment.id)
            details[n] = ExperimentDetails(
                experiment, files, trials, beside[n], errors.get(n), by_n.get(n), parts.get(n), metric=metric
            )
    return details


def read_experiment(store: Ledger, session: Session, runs: Path, experiment: Experiment) -> ExperimentDetails:
    """Read one experiment and its baseline."""
    before = baseline(experiment, {row.n: row for row in store.experiments(session.id)})
    baselines = {experiment.n: before.n if before else None}
    return read_details(store, session, runs, baselines, standard_errors(store, session))[experiment.n]
