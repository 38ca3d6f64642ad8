"""Which kept changes carry the total: each is taken out of the final version in turn, and both are measured.

Changes are taken out of the text by a three-way merge (the final version, the change, what it was made from), as
`git revert` does. Final and the versions without one change run in turns with the same fresh seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from autoresearch import judge
from autoresearch.analysis.lineage import stack
from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.errors import UserError, require
from autoresearch.ledger import Event, Experiment
from autoresearch.workspace.workspace import Workspace

PURPOSE = "ablate"
CARRIES = 0.8  # probability that the final version is better with a change than without it


@dataclass(frozen=True)
class Part:
    """A kept change: what the final version would lose without it, bits per byte, and the standard error of that.

    `conflict` says why it cannot be taken out; then nothing was measured. `p_carries` is the probability that it is worth anything.
    """

    n: int
    change: str
    loss: float | None = None
    error: float | None = None
    p_carries: float | None = None
    conflict: str | None = None

    @property
    def carries(self) -> bool:
        """Whether to leave it in: it helps, or it cannot be taken out."""
        return self.p_carries is None or self.p_carries >= CARRIES

    @property
    def words(self) -> str:
        """What came of taking it out."""
        if self.loss is None or self.error is None:
            return f"not measured: {self.conflict or 'unknown why'}"
        nothing = "" if self.carries else ": nothing that shows"
        return f"{self.loss:+.4f} ± {self.error:.4f} without it{nothing}"


@dataclass(frozen=True)
class Ablation:
    """The kept changes of the final version, oldest first, measured on `draws` seeds."""

    final: int
    draws: int
    parts: list[Part]

    @property
    def idle(self) -> list[int]:
        """The experiments whose changes carry nothing that shows."""
        return [part.n for part in self.parts if not part.carries]


def recorded(events: Sequence[Event]) -> Ablation | None:
    """The newest ablation that a session's events tell of; one of another version of this program is none."""
    data = next((event.data for event in reversed(events) if event.kind == "ablation"), {})
    try:
        return Ablation(data["final"], data["draws"], [Part(**part) for part in data["parts"]])
    except (KeyError, TypeError):
        return None


def part_of(events: Sequence[Event], n: int) -> Part | None:
    """What the newest ablation says of one kept change."""
    found = recorded(events)
    return next((part for part in found.parts if part.n == n), None) if found else None


def ablate(again: Remeasurer, draws: int) -> Ablation:
    """Measure every leave-one-out. Raises UserError where nothing was kept, or where the final version fails."""
    keeps = stack(again.ledger, again.session)
    final = keeps[-1]
    texts = {row.n: _without_one(again.workspace, keeps, row.n) for row in keeps[1:]}
    scores: dict[int, list[float]] = {n: [] for n, text in texts.items() if not isinstance(text, Conflict)}
    whole: list[float] = []
    first = again.done(final, PURPOSE)
    for k in range(first, first + draws):
        whole.append(require(again.trial(final, k, PURPOSE).val_bpb))
        for row in keeps[1:]:
            text = texts[row.n]
            if not isinstance(text, Conflict):
                scores[row.n].append(require(again.trial(row, k, PURPOSE, text).val_bpb))
    noise = judge.noise(
        [[judge.Draw(score, k) for k, score in enumerate(group)] for group in (whole, *scores.values())]
    )
    parts = [_part(row, texts[row.n], whole, scores.get(row.n, []), noise) for row in keeps[1:]]
    return Ablation(final.n, draws, parts)


class Conflict(str):
    """Why a change cannot be taken out."""


def without(workspace: Workspace, keeps: Sequence[Experiment], numbers: Sequence[int]) -> str:
    """The text of the last keep without some of the changes. Raises UserError where later ones stand on them."""
    text = workspace.read(require(keeps[-1].sha))
    for before, keep in reversed(list(pairwise(keeps))):
        if keep.n in numbers:
            after, origin = workspace.read(require(keep.sha)), workspace.read(require(before.sha))
            text, conflicts = workspace.merge(after, text, origin)
            if conflicts:
                raise UserError(f"experiment {keep.n} cannot be taken out: later changes stand on the same lines")
    return text


def _without_one(workspace: Workspace, keeps: Sequence[Experiment], n: int) -> str:
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
    return Part(row.n, change, loss, error, judge.p_below_zero(-loss, error, noise.dof))
