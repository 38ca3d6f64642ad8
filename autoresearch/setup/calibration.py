"""Measurements before a first session: noise, a version without effect, versions that are broken."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from autoresearch.errors import UserError
from autoresearch.measure.result import Result
from autoresearch.setup.triplet import Goal
from autoresearch.source_tree import SourceTree

SEEDS = (1, 1, 2, 3, 4)  # of the trials of the base; the first two show whether the seed explains the noise
SLOW_S = 60.0  # of a run, from which on the base is measured three times and nothing is attacked
TIE_SIGMA = 4.0  # a comment may change the number by so much
MAX_BROKEN = 4  # files that are broken, one at a time
EXACT, NOISY = "exact", "noisy"
COMMENTS = {
    **dict.fromkeys((".py", ".sh", ".yaml", ".yml", ".toml", ".jl", ".r", ".rb", ".mk"), "# {}"),
    **dict.fromkeys((".c", ".cc", ".cpp", ".h", ".hpp", ".cu", ".rs", ".go", ".js", ".ts", ".java", ".sv"), "// {}"),
    **dict.fromkeys((".md", ".html", ".xml"), "<!-- {} -->"),
}
PROSE = (".md", ".txt", ".rst")

Measure = Callable[[str, str, int], Result]  # label, text of a version, seed


@dataclass(frozen=True)
class Calibration:
    """Results of the base, of a version with one more comment, and of versions by the file that is broken in them."""

    base: tuple[Result, ...]
    commented: Result | None
    broken: Mapping[str, Result]
    goal: Goal = "min"

    @property
    def scores(self) -> list[float]:
        return [score for result in self.base if (score := result.val_bpb) is not None]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def kind(self) -> str:
        """Return whether the number of a version is always the same."""
        return EXACT if len(set(self.scores)) == 1 else NOISY

    @property
    def follows_seed(self) -> bool:
        """Return whether the seed of a trial decides its number, as far as two trials of one seed show."""
        return self.kind == NOISY and self.scores[0] == self.scores[1]

    @property
    def draws(self) -> list[float]:
        """Return the independent scores."""
        return self.scores[1:] if self.follows_seed else self.scores

    @property
    def sigma(self) -> float:
        return statistics.stdev(self.draws)

    @property
    def seconds(self) -> float:
        """Return the mean duration of a trial."""
        return statistics.fmean(result.total_seconds for result in self.base)

    def loss_of(self, result: Result) -> float | None:
        """Return by how much a result is worse than the base; None where it has no number."""
        if result.val_bpb is None:
            return None
        return (result.val_bpb - self.mean) * (1 if self.goal == "min" else -1)

    @property
    def ties(self) -> bool:
        """Return whether a comment changes nothing."""
        loss = None if self.commented is None else self.loss_of(self.commented)
        return self.commented is None or (loss is not None and abs(loss) <= TIE_SIGMA * self.sigma)

    @property
    def unmoved(self) -> list[str]:
        """Return the files that can be broken without an effect on the number."""
        losses = {path: self.loss_of(result) for path, result in self.broken.items()}
        return [path for path, loss in losses.items() if loss is not None and abs(loss) <= TIE_SIGMA * self.sigma]

    @property
    def rewarded(self) -> list[str]:
        """Return the files whose breaking gives a better number."""
        losses = {path: self.loss_of(result) for path, result in self.broken.items()}
        return [path for path, loss in losses.items() if loss is not None and loss < -TIE_SIGMA * self.sigma]


def seeds_for(seconds: float) -> Sequence[int]:
    """Return the seeds of the base's trials, by the duration of one."""
    return SEEDS if seconds < SLOW_S else SEEDS[:3]


def calibrate(text: str, measure: Measure, seeds: Sequence[int], goal: Goal = "min") -> Calibration:
    """Measure the base with seeds, a comment, and broken files. Raises UserError if the base has no number."""
    base = []
    for k, seed in enumerate(seeds):
        base.append(require_number(measure(f"base, {k + 1} of {len(seeds)}", text, seed)))
    version = add_comment(text)
    commented = None if version is None else measure("one more comment", version, SEEDS[0])
    broken = {path: measure(f"{path} broken", each, SEEDS[0]) for path, each in break_files(text)}
    return Calibration(tuple(base), commented, broken, goal)


def count_trials(text: str, seeds: Sequence[int]) -> int:
    """Return the number of trials of a calibration."""
    return len(seeds) + 1 + min(MAX_BROKEN, len(SourceTree.parse(text).files))


def require_number(result: Result) -> Result:
    """Raise UserError unless a trial of the base has a number."""
    if result.outcome != "ok":
        raise UserError(f"the base has no number: {result.outcome}: {result.reason}")
    return result


def add_comment(text: str) -> str | None:
    """Return a version with one more comment; None if no file has a known kind."""
    files = dict(SourceTree.parse(text).files)
    path = next((path for path in files if _suffix(path) in COMMENTS), None)
    if path is None:
        return None
    gap = "" if files[path].endswith("\n") or not files[path] else "\n"
    files[path] += f"{gap}{COMMENTS[_suffix(path)].format('without effect')}\n"
    return SourceTree(files).text


def break_files(text: str) -> Iterator[tuple[str, str]]:
    """Yield the first files, each with the version in which it cannot work."""
    files = SourceTree.parse(text).files
    for path in list(files)[:MAX_BROKEN]:
        content = "" if _suffix(path) in PROSE else f")(\n{files[path]}"
        yield path, SourceTree({**files, path: content}).text


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
