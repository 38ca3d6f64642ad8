"""Measurements before a first session: noise, a version without effect, versions that are broken."""

import math
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from autoresearch.errors import UserError
from autoresearch.measure.result import Result
from autoresearch.metric import AUTO, EXACT, NOISY, TIME, Metric
from autoresearch.source_tree import SourceTree

SEEDS = (1, 1, 2, 3, 4)  # of the trials of the base; the first two show whether the seed explains the noise
SLOW_S = 60.0  # of a run, from which on the base is measured three times and nothing is attacked
TIE_SIGMA = 4.0  # a comment may change the number by so much
MAX_BROKEN = 4  # files that are broken, one at a time
TIMES = {"seconds", "secs", "sec", "s", "ms", "us", "ns", "time", "elapsed", "latency"}
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
    proposed: Metric

    @property
    def raw(self) -> list[float]:
        """Return the numbers of the base as they were measured."""
        return [score for result in self.base if (score := result.val_bpb) is not None]

    @property
    def metric(self) -> Metric:
        """Return the metric, with its kind as the numbers show it."""
        if self.proposed.kind != AUTO:
            return self.proposed
        if len(set(self.raw)) == 1:
            return replace(self.proposed, kind=EXACT)
        is_time = set(re.split(r"[\W_]+", self.proposed.name.lower())) & TIMES and min(self.raw) > 0
        return replace(self.proposed, kind=TIME if is_time else NOISY)

    @property
    def mean(self) -> float:
        """Return the mean of the base, as a number that could be measured."""
        return self.metric.from_scale(statistics.fmean(self._scores))

    @property
    def _scores(self) -> list[float]:
        return [self.metric.to_scale(score) for score in self.raw]

    @property
    def follows_seed(self) -> bool:
        """Return whether the seed of a trial decides its number, as far as two trials of one seed show."""
        return self.raw[0] == self.raw[1] and len(set(self.raw)) > 1

    @property
    def draws(self) -> list[float]:
        """Return the independent scores, on the scale of the judge."""
        return self._scores[1:] if self.follows_seed else self._scores

    @property
    def sigma(self) -> float:
        return statistics.stdev(self.draws)

    @property
    def seconds(self) -> float:
        """Return the mean duration of a trial."""
        return statistics.fmean(result.total_seconds for result in self.base)

    def loss_of(self, result: Result) -> float | None:
        """Return by how much a result is worse than the base; None where it has no number.

        Infinitely much, in the direction of the metric, where a logarithmic one has no logarithm.
        """
        if result.val_bpb is None:
            return None
        if self.metric.is_log and result.val_bpb <= 0:
            return self.metric.sign(-math.inf)
        return self.metric.difference(result.val_bpb, self.mean)

    @property
    def tie(self) -> float:
        """Return the largest difference that the noise explains."""
        return TIE_SIGMA * self.sigma + 1e-9 * abs(self.mean)

    @property
    def ties(self) -> bool:
        """Return whether a comment changes nothing."""
        loss = None if self.commented is None else self.loss_of(self.commented)
        return self.commented is None or (loss is not None and abs(loss) <= self.tie)

    @property
    def unmoved(self) -> list[str]:
        """Return the files that can be broken without an effect on the number."""
        return [path for path, loss in self._losses.items() if abs(loss) <= self.tie]

    @property
    def rewarded(self) -> list[str]:
        """Return the files whose breaking gives a better number."""
        return [path for path, loss in self._losses.items() if loss < -self.tie]

    @property
    def _losses(self) -> dict[str, float]:
        losses = {path: self.loss_of(result) for path, result in self.broken.items()}
        return {path: loss for path, loss in losses.items() if loss is not None}


def seeds_for(seconds: float) -> Sequence[int]:
    """Return the seeds of the base's trials, by the duration of one."""
    return SEEDS if seconds < SLOW_S else SEEDS[:3]


def calibrate(text: str, measure: Measure, seeds: Sequence[int], metric: Metric) -> Calibration:
    """Measure the base with seeds, a comment, and broken files. Raises UserError if the base has no number."""
    base = []
    for k, seed in enumerate(seeds):
        base.append(require_number(measure(f"base, {k + 1} of {len(seeds)}", text, seed)))
    version = add_comment(text)
    commented = None if version is None else measure("one more comment", version, SEEDS[0])
    broken = {path: measure(f"{path} broken", each, SEEDS[0]) for path, each in break_files(text)}
    return Calibration(tuple(base), commented, broken, metric)


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
