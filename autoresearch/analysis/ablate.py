"""Measure what each kept change contributes, by leaving it out of the final version.

A change is removed by a three-way merge, as `git revert` does; a kept pool is taken apart into the near misses that it
was made of. The final version and the versions without one change run in turns on the same fresh seeds, and earlier
ablations of the same versions count too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from autoresearch import judge
from autoresearch.analysis.draws import speed_effect
from autoresearch.analysis.kept_changes import KeptChange, KeptChanges
from autoresearch.analysis.lineage import stack
from autoresearch.analysis.remeasure import FailedVersionError, Remeasurer
from autoresearch.analysis.session_noise import session_noise
from autoresearch.errors import UserError, require
from autoresearch.ledger import Event, Experiment
from autoresearch.ledger import statements as rules
from autoresearch.metric import Metric
from autoresearch.workspace.git import blob_hash

PURPOSE = "ablate"
MAX_MORE_PAIRS = 50  # that are named; what needs more is hardly worth it


@dataclass(frozen=True)
class Part:
    """One kept change and its contribution; `pool` is the kept pool that it is a part of."""

    n: int
    change: str
    loss: float | None = None  # of the final version without it, on the scale of the metric
    error: float | None = None  # standard error of `loss`
    p_carries: float | None = None  # probability that the change helps
    p_idle: float | None = None  # probability that the loss is less than `Ablation.bound`
    conflict: str | None = None  # reason why it cannot be removed, or why there is no score without it
    more_pairs: int | None = None  # that would decide at this estimate; 0: decided, above MAX_MORE_PAIRS: even more
    pool: int | None = None

    @property
    def finding(self) -> str:
        """Return what the measurement shows: carries, idle, unclear or not measured."""
        if self.p_carries is None:
            return "not measured"
        if rules.carries(self.p_carries):
            return "carries"
        return "idle" if self.p_idle is not None and rules.is_idle(self.p_idle) else "unclear"

    @property
    def carries(self) -> bool:
        """Return True if the change should stay: nothing shows that it is idle."""
        return self.finding != "idle"

    def describe_loss(self, metric: Metric) -> str | None:
        """Return what is lost without it, as a change of the number; None if nothing was measured."""
        if self.loss is None or self.error is None:
            return None
        return f"{metric.change(self.loss)} ± {metric.spread(self.error)}"

    def describe(self, metric: Metric) -> str:
        """Return what is lost without it, and what that shows."""
        if (lost := self.describe_loss(metric)) is None:
            return f"not measured: {self.conflict or 'for an unknown reason'}"
        notes = {"idle": ": it carries nothing", "unclear": f": {describe_undecided([self])}"}
        return f"{lost} without it{notes.get(self.finding, '')}"


def describe_undecided(parts: Sequence[Part]) -> str:
    """Say how many more pairs would decide what parts carry, as far as that is known."""
    known = [part.more_pairs for part in parts if part.more_pairs is not None]
    if not known:
        return "not decided"
    few = [more for more in known if more <= MAX_MORE_PAIRS]
    return f"not decided; {max(few) if few else f'over {MAX_MORE_PAIRS}'} more pairs would"


@dataclass(frozen=True)
class Ablation:
    """Kept changes of the final version, oldest first, measured on `draws` seeds.

    A change is idle if less than `bound` (on the scale) is lost without it: a share of the smallest kept gain.
    """

    final: int
    draws: int
    parts: list[Part]
    bound: float | None = None

    @property
    def idle(self) -> list[int]:
        """Return the experiments whose changes are shown to contribute nothing."""
        return [part.n for part in self.parts if part.finding == "idle"]

    @property
    def unclear(self) -> list[Part]:
        """Return the changes of which more seeds would have to decide."""
        return [part for part in self.parts if part.finding == "unclear"]

    @property
    def undecided(self) -> str:
        """Say how many more pairs would decide on all changes that are unclear, as far as that is known."""
        return describe_undecided(self.unclear)


def newest_ablation(events: Sequence[Event]) -> Ablation | None:
    """Return the newest ablation in a session's events; None if it has another format.

    Older ones had another rule for what is idle: they do not say so of anything.
    """
    data = next((event.data for event in reversed(events) if event.kind == "ablation"), {})
    try:
        bound = data.get("bound")
        unknown = {} if bound is not None else {"p_idle": None}
        return Ablation(data["final"], data["draws"], [Part(**part | unknown) for part in data["parts"]], bound)
    except (KeyError, TypeError):
        return None


def ablate(remeasurer: Remeasurer, draws: int) -> Ablation:
    """Measure every leave-one-out. Raises UserError if nothing was kept, or the final version fails."""
    keeps = stack(remeasurer.ledger, remeasurer.session)
    changes = KeptChanges(remeasurer.ledger, remeasurer.session, remeasurer.workspace, keeps)
    final, versions = keeps[-1], [_version(changes, change) for change in changes.list()]
    first = remeasurer.count_trials(final, PURPOSE)
    for k in range(first, first + draws):
        remeasurer.run_trial(final, k, PURPOSE)
        versions = [_measure(remeasurer, version, k) for version in versions]
    effect = speed_effect(remeasurer.ledger, remeasurer.session)
    whole = _scores(remeasurer, final, remeasurer.workspace.read(require(final.sha)), effect)
    scores = [_scores(remeasurer, each.change.experiment, each.text, effect) if each.text else [] for each in versions]
    draws_of = [[judge.Draw(score, k) for k, score in enumerate(group)] for group in (whole, *scores)]
    noise = judge.noise(draws_of, session_noise(remeasurer.ledger, remeasurer.session))
    bound = rules.IDLE_SHARE * smallest_gain(keeps, noise.sigma)
    parts = [_part(version, own, whole, noise, bound) for version, own in zip(versions, scores, strict=True)]
    return Ablation(final.n, len(whole), parts, bound)


def smallest_gain(keeps: Sequence[Experiment], sigma: float) -> float:
    """Return the smallest gain for which a change was kept, on the scale; `sigma` if none was kept for a gain."""
    gains = [-require(keep.delta) for keep in keeps[1:] if not keep.simpler]
    return max(min(gains), 0.0) if gains else sigma


@dataclass(frozen=True)
class _Version:
    """The final version without one change; `text` is None where that cannot be measured, for `conflict`."""

    change: KeptChange
    text: str | None
    conflict: str | None = None


def _version(changes: KeptChanges, change: KeptChange) -> _Version:
    try:
        return _Version(change, changes.without([change.experiment.n]))
    except UserError as error:
        return _Version(change, None, str(error))


def _measure(remeasurer: Remeasurer, version: _Version, k: int) -> _Version:
    """Measure a version once if it can be; return it without its text if it fails, as one that needs the change."""
    if version.text is None:
        return version
    try:
        remeasurer.run_trial(version.change.experiment, k, PURPOSE, version.text)
    except FailedVersionError as error:
        return replace(version, text=None, conflict=f"without it the version fails: {error}")
    return version


def _scores(remeasurer: Remeasurer, experiment: Experiment, text: str, effect: judge.SpeedEffect) -> list[float]:
    """Return the scores of a text in this and earlier ablations, at equal speed of the machine."""
    blob = blob_hash(text, require(experiment.blob))
    trials = remeasurer.ledger.trials(remeasurer.session.id, experiment.id)
    own = [trial for trial in trials if (trial.purpose, trial.blob, trial.outcome) == (PURPOSE, blob, "ok")]
    to_scale = remeasurer.session.metric.to_scale
    return [to_scale(require(trial.val_bpb)) - effect.cost(trial.speed) for trial in own]


def _part(version: _Version, scores: list[float], whole: list[float], noise: judge.Noise, bound: float) -> Part:
    row, pool = version.change.experiment, version.change.pool
    change = row.hypothesis or row.change or ""
    if version.text is None:
        return Part(row.n, change, conflict=version.conflict, pool=pool)
    loss = fmean(scores) - fmean(whole)
    counts = (len(scores), len(whole))
    p_carries, p_idle = _probabilities(loss, counts, noise, bound)
    return Part(
        n=row.n,
        change=change,
        loss=loss,
        error=_error(counts, noise),
        p_carries=p_carries,
        p_idle=p_idle,
        more_pairs=count_more_pairs(loss, counts, noise, bound),
        pool=pool,
    )


def count_more_pairs(loss: float, counts: tuple[int, int], noise: judge.Noise, bound: float) -> int:
    """Return how many more pairs would decide, if the estimate stays as it is; at most MAX_MORE_PAIRS + 1."""
    for more in range(MAX_MORE_PAIRS + 1):
        p_carries, p_idle = _probabilities(loss, (counts[0] + more, counts[1] + more), noise, bound)
        if rules.carries(p_carries) or rules.is_idle(p_idle):
            return more
    return MAX_MORE_PAIRS + 1


def _probabilities(loss: float, counts: tuple[int, int], noise: judge.Noise, bound: float) -> tuple[float, float]:
    """Return the probabilities that something is lost, and that less than `bound` is."""
    error = _error(counts, noise)
    return judge.p_below_zero(-loss, error, noise.dof), judge.p_below_zero(loss - bound, error, noise.dof)


def _error(counts: tuple[int, int], noise: judge.Noise) -> float:
    return noise.sigma * math.sqrt(sum(1 / count for count in counts))
