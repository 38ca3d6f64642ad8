"""Read somebody else's log of experiments: TSV, CSV or JSON lines, one entry a line.

Columns are found by name: the metric, a status (keep, discard, crash ...), a commit, a description. Without a status
an entry counts as kept if it is the best so far. Entries with one commit are repeats of a version; so are those with
one description while one version stood, and those that are called like the base.
"""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from autoresearch.errors import UserError
from autoresearch.files import JsonObject, read_text
from autoresearch.judge.kept_levels import Opinion, Stage, judge_log, pooled_sigma

METRICS = ("val_bpb", "metric", "score", "val_loss", "loss", "value", "result")
STATUSES = ("status", "verdict", "decision", "outcome")
COMMITS = ("commit", "sha", "hash", "version")
DESCRIPTIONS = ("description", "hypothesis", "change", "idea", "message", "notes")
KEPT = frozenset({"keep", "kept", "accept", "accepted", "best", "improved", "baseline", "base"})
FAILED = frozenset({"crash", "crashed", "fail", "failed", "error", "oom", "nan", "timeout", "invalid", "checks_failed"})
GUESSES = (0.25, 0.5, 1.0, 2.0)  # of the median step between keeps: sigmas to try where none is known


@dataclass(frozen=True)
class LogEntry:
    """One line of a log; `score` is as it was written."""

    line: int
    score: float
    kept: bool
    commit: str = ""
    description: str = ""


@dataclass(frozen=True)
class LogOpinion:
    """What a log shows if `sigma` is the standard deviation of one entry."""

    sigma: float
    source: str  # of sigma, in words
    opinion: Opinion


@dataclass(frozen=True)
class ForeignLog:
    """The entries with a score, and how many had none; `sign` is -1 where higher is better."""

    metric: str
    entries: Sequence[LogEntry]
    failed: int
    sign: int = 1

    @cached_property
    def versions(self) -> list[tuple[LogEntry, Stage]]:
        """Return the kept versions with their scores, lower is better: the base, then each keep.

        An entry belongs to the version that stood when it was tried. A repeat of that version is a score of its own.
        """
        found = list[tuple[LogEntry, list[float], list[float]]]()
        for entry in self.entries:
            again = bool(found) and self._is_repeat(entry, found[-1][0])
            if not found or (entry.kept and not again):
                found.append((entry, [], []))
            _, scores, others = found[-1]
            (scores if entry.kept or again else others).append(self.sign * entry.score)
        return [(entry, Stage(scores, others)) for entry, scores, others in found]

    @cached_property
    def repeated_commits(self) -> frozenset[str]:
        counts = Counter(entry.commit for entry in self.entries if entry.commit)
        return frozenset(commit for commit, number in counts.items() if number > 1)

    def _is_repeat(self, entry: LogEntry, version: LogEntry) -> bool:
        """Return whether an entry is a version again: with its commit, or called like the base."""
        is_base = version is self.entries[0] and not entry.kept and bool(entry.description)
        return (entry.commit != "" and entry.commit == version.commit) or (
            is_base and entry.description == version.description
        )

    @property
    def claimed(self) -> float:
        """Return the last keep minus the base, as they were written."""
        return self.versions[-1][0].score - self.versions[0][0].score


def read_log(path: Path, metric: str | None = None, goal: str = "min") -> ForeignLog:
    """Read a log. Raises UserError where no metric is found, or fewer than two keeps."""
    columns, rows = _read_rows(path)
    name = _find(columns, (metric,) if metric else METRICS)
    if name is None:
        wanted = f"no column {metric!r}" if metric else "no column with a known metric"
        raise UserError(f"{path}: {wanted}; give --metric, one of: {', '.join(map(str, columns)) or 'none'}")
    status = _find(columns, STATUSES)
    sign = 1 if goal == "min" else -1
    entries, best, failed = list[LogEntry](), math.inf, 0
    for number, row in enumerate(rows, 1):
        word = str(row.get(status, "") if status else "").strip().lower()
        score = _number(row.get(name))
        if score is None or word in FAILED or (score == 0 and word not in KEPT):  # logs give 0 to a crash
            failed += 1
            continue
        kept = word in KEPT if status else sign * score < best
        entries.append(LogEntry(number, score, kept or not entries, *_texts(row, columns)))
        best = min(best, sign * score)
    log = ForeignLog(name, entries, failed, sign)
    if len(log.versions) < 2:
        raise UserError(f"{path}: nothing was kept after the first of {len(entries)} entries with {name}")
    return log


def judge_entries(log: ForeignLog, sigma: float | None = None) -> list[LogOpinion]:
    """Return the opinion on a log; several, for a range of noise, where no entry was repeated and none is given."""
    if sigma is not None:
        return [_judge(log, sigma, math.inf, "given")]
    groups = _repeats(log)
    if (pooled := pooled_sigma(groups)) is not None and pooled[0] > 0:
        repeated = sum(len(group) for group in groups if len(group) > 1)
        return [_judge(log, pooled[0], pooled[1], f"from {repeated} repeated entries")]
    scores = [entry.score for entry, _ in log.versions]
    steps = sorted(abs(after - before) for before, after in pairwise(scores) if after != before)
    if not steps:
        raise UserError("all keeps have one score: there is no gain to judge")
    typical = steps[len(steps) // 2]
    return [_judge(log, share * typical, math.inf, f"{share:g} of a typical step") for share in GUESSES]


def as_json(log: ForeignLog, opinions: Sequence[LogOpinion]) -> JsonObject:
    """Return the opinions, in the units and the direction of the log."""
    return {
        "metric": log.metric,
        "entries": len(log.entries),
        "without_score": log.failed,
        "claimed": log.claimed,
        "opinions": [_opinion(log, one) for one in opinions],
    }


def _opinion(log: ForeignLog, one: LogOpinion) -> JsonObject:
    found, entries = one.opinion, [entry for entry, _ in log.versions]
    low, high = sorted((log.sign * found.low, log.sign * found.high))
    keeps = [
        {"entry": entry.line, "score": entry.score, "effect": log.sign * odds.effect, "p_gain": odds.p_gain}
        for entry, odds in zip(entries[1:], found.keeps, strict=True)
    ]
    noise = {"sigma": one.sigma, "source": one.source}
    real = {"real": found.real, "real_low": found.real_low, "real_high": found.real_high}
    return {**noise, **real, "gain": log.sign * found.gain, "low": low, "high": high, "keeps": keeps}


def _judge(log: ForeignLog, sigma: float, dof: float, source: str) -> LogOpinion:
    return LogOpinion(sigma, source, judge_log([stage for _, stage in log.versions], sigma, dof))


def _repeats(log: ForeignLog) -> list[list[float]]:
    """Group the scores of one version: of one commit, or of one description while one version stood."""
    groups: dict[tuple[str, int], list[float]] = {}
    base, stage = log.entries[0].description, 0
    starts = {entry.line for entry, _ in log.versions[1:]}
    for entry in log.entries:
        stage += entry.line in starts
        name = entry.commit if entry.commit in log.repeated_commits else entry.description
        at = 0 if name in log.repeated_commits or name == base else stage
        groups.setdefault((name, at) if name else ("", -entry.line), []).append(entry.score)
    return list(groups.values())


def _read_rows(path: Path) -> tuple[list[str], list[dict[str, object]]]:
    """Return the names of the columns, and the lines. Raises UserError for a file that cannot be read."""
    try:
        text = read_text(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if text is None:
        raise UserError(f"there is no file {path}: name a log of experiments, such as results.tsv")
    numbered = {number: line for number, line in enumerate(text.split("\n"), 1) if line.strip()}
    lines = list(numbered.values())
    if lines and lines[0].lstrip().startswith("{"):
        rows = [row for line in lines if (row := _json_row(line)) is not None]
        return list(dict.fromkeys(name for row in rows for name in row)), rows
    if lines and "\t" in lines[0]:
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.DictReader(lines, strict=True)
    try:
        return list(reader.fieldnames or []), [dict(row) for row in reader]
    except csv.Error as error:  # of an open quotation mark, among others
        raise UserError(f"{path}: line {[*numbered][reader.line_num]} cannot be read: {error}") from None


def _json_row(line: str) -> dict[str, object] | None:
    """Return the values of a line by name; None if it is no object, or is nested too deeply."""
    try:
        value = json.loads(line)
        return _flat(value) if isinstance(value, dict) else None
    except (ValueError, RecursionError):
        return None


def _flat(value: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return nested values under names with dots."""
    flat: dict[str, object] = {}
    for name, each in value.items():
        flat |= _flat(each, f"{prefix}{name}.") if isinstance(each, dict) else {f"{prefix}{name}": each}
    return flat


def _find(columns: Iterable[str | None], names: Sequence[str]) -> str | None:
    by_name = {str(column).strip().lower(): column for column in columns if column}
    return next((by_name[name.lower()] for name in names if name.lower() in by_name), None)


def _texts(row: Mapping[str, object], columns: Sequence[str]) -> tuple[str, str]:
    names = _find(columns, COMMITS), _find(columns, DESCRIPTIONS)
    commit, description = (str(row.get(name) or "").strip() if name else "" for name in names)
    return ("" if set(commit) <= {"-", "?"} else commit), description.lower()


def _number(value: object) -> float | None:
    """Return a score; None for words and for what is not finite."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
