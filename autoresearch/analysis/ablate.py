"""Measure what each kept change contributes, by leaving it out of the final version.

A change is removed by a three-way merge, as `git revert` does. The final version and the versions without one change
run in turns on the same fresh seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from autoresearch import judge
from autoresearch.analysis.lineage import stack
from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.analysis.session_noise import session_noise
from autoresearch.errors import UserError, require
from autoresearch.ledger import Event, Experiment
from autoresearch.ledger import statements as rules
from autoresearch.source.rebase import merge_versions
from autoresearch.workspace.texts import merge_texts
from autoresearch.workspace.workspace import Workspace

PURPOSE = "ablate"


@dataclass(frozen=True)
class Part:
    """One kept change and its contribution."""

    n: int
    change: str
    loss: float | None = None  # of the final version without it, bits per byte
    error: float | None = None  # standard error of `loss`
    p_carries: float | None = None  # probability that the change helps
    p_idle: float | None = None  # probability that without it the final version loses less than half a sigma
    conflict: str | None = None  # reason why it cannot be removed; then nothing was measured

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

    @property
    def words(self) -> str:
        if self.loss is None or self.error is None:
            return f"not measured: {self.conflict or 'for an unknown reason'}"
        notes = {"idle": ": it carries nothing", "unclear": ": not clear on so few seeds"}
        return f"{self.loss:+.4f} ± {self.error:.4f} without it{notes.get(self.finding, '')}"


@dataclass(frozen=True)
class Ablation:
    """Kept changes of the final version, oldest first, measured on `draws` seeds."""

    final: int
    draws: int
    parts: list[Part]

    @property
    def idle(self) -> list[int]:
        """Return the experiments whose changes are shown to contribute nothing."""
        return self._select("idle")

    @property
    def unclear(self) -> list[int]:
        """Return the experiments of which more seeds would have to decide."""
        return self._select("unclear")

    def _select(self, finding: str) -> list[int]:
        return [part.n for part in self.parts if part.finding == finding]


def newest_ablation(events: Sequence[Event]) -> Ablation | None:
    """Return the newest ablation in a session's events; None if it has another format."""
    data = next((event.data for event in reversed(events) if event.kind == "ablation"), {})
    try:
        return Ablation(data["final"], data["draws"], [Part(**part) for part in data["parts"]])
    except (KeyError, TypeError):
        return None


def ablate(remeasurer: Remeasurer, draws: int) -> Ablation:
    """Measure every leave-one-out. Raises UserError if nothing was kept, or a version fails."""
    keeps = stack(remeasurer.ledger, remeasurer.session)
    final = keeps[-1]
    texts = {row.n: _try_without(remeasurer.workspace, keeps, row.n) for row in keeps[1:]}
    scores: dict[int, list[float]] = {n: [] for n, text in texts.items() if not isinstance(text, Conflict)}
    whole: list[float] = []
    first = remeasurer.count_trials(final, PURPOSE)
    for k in range(first, first + draws):
        whole.append(require(remeasurer.run_trial(final, k, PURPOSE).val_bpb))
        for row in keeps[1:]:
            text = texts[row.n]
            if not isinstance(text, Conflict):
                scores[row.n].append(require(remeasurer.run_trial(row, k, PURPOSE, text).val_bpb))
    groups = (whole, *scores.values())
    draws_of = [[judge.Draw(score, k) for k, score in enumerate(group)] for group in groups]
    noise = judge.noise(draws_of, session_noise(remeasurer.ledger, remeasurer.session))
    parts = [_part(row, texts[row.n], whole, scores.get(row.n, []), noise) for row in keeps[1:]]
    return Ablation(final.n, draws, parts)


class Conflict(str):
    """The reason why a change cannot be removed, in place of a text without it."""


def without(workspace: Workspace, keeps: Sequence[Experiment], numbers: Sequence[int]) -> str:
    """Remove changes from the last keep. Raises UserError if later ones touch the same lines."""
    text = workspace.read(require(keeps[-1].sha))
    for before, keep in reversed(list(pairwise(keeps))):
        if keep.n in numbers:
            after, origin = workspace.read(require(keep.sha)), workspace.read(require(before.sha))
            if (merged := merge_versions(merge_texts, after, text, origin)) is None:
                raise UserError(f"experiment {keep.n} cannot be taken out: later changes stand on the same lines")
            text = merged
    return text


def _try_without(workspace: Workspace, keeps: Sequence[Experiment], n: int) -> str:
    try:
        return without(workspace, keeps, [n])
    except UserError as error:
        return Conflict(error)


def _part(row: Experiment, text: str, whole: list[float], scores: list[float], noise: judge.Noise) -> Part:
    change = row.hypothesis or row.change or ""
    if isinstance(text, Conflict):
        return Part(row.n, change, conflict=str(text))
    loss = fmean(scores) - fmean(whole)
    error = noise.sigma * (1 / len(scores) + 1 / len(whole)) ** 0.5
    p_idle = judge.p_below_zero(loss - rules.IDLE_LOSS_SIGMA * noise.sigma, error, noise.dof)
    return Part(row.n, change, loss, error, judge.p_below_zero(-loss, error, noise.dof), p_idle)
