"""Openings that a brief offers: near misses, failures and conflicts worth repairing, untried categories, older keeps.

They are offers. An agent takes one or goes its own way, and says which (`find_taken`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autoresearch.brief.history import PastExperiment
from autoresearch.ledger.categories import possible_categories
from autoresearch.ledger.statements import describe_odds
from autoresearch.metric import VAL_BPB

MAX_NEAR_MISSES, MAX_FAILURES, MAX_KEEPS = 4, 3, 3  # that are offered at once
MAX_REFINEMENTS = 3  # of one near miss
RECENT_EXPERIMENTS = 20  # in which a failure is worth repairing
PLATEAU_EXPERIMENTS = 8  # without a keep that are worth mentioning
OWN_WAY = "climb"  # the mode of a change that took no opening
REPAIR = "repair"  # the mode of a change that repairs a failure, or a conflict with a newer incumbent
BRANCH = "branch"  # the mode of a change to a version that is not built on the incumbent


_LABEL = re.compile(r"\b(refine|repair|untried|branch)\b(?:\D{0,20}(\d{1,9}))?", re.I)

History = Sequence[PastExperiment]


@dataclass(frozen=True)
class Opening:
    """One offer: `mode` is its name in the ledger, `n` the experiment that it continues.

    `line` is the first experiment of that line of inquiry, `words` are ours, `quote` was written by an agent.
    """

    mode: str
    words: str
    n: int | None = None
    line: int | None = None
    quote: str = ""

    @property
    def label(self) -> str:
        """Return the name by which an agent takes it."""
        return self.mode if self.n is None else f"{self.mode} {self.n}"


def find_openings(history: History, incumbent: int, near_misses: Sequence[int]) -> list[Opening]:
    """Return the openings after a history, oldest first; unsettled experiments in it have no verdict.

    `near_misses` are the numbers of those whose change no keep contains, those with the best odds first.
    """
    by_n = {past.n: past for past in history}
    return [
        *_near_misses(history, by_n, incumbent, near_misses),
        *_failures(history),
        *_categories(history),
        *_older_keeps(history, incumbent),
    ]


def find_taken(openings: Sequence[Opening], said: str | None) -> Opening | None:
    """Return the opening that an agent named; None if it went its own way."""
    for match in _LABEL.finditer(said or ""):
        mode, n = match[1].lower(), int(match[2]) if match[2] else None
        for opening in openings:
            if opening.mode == mode and opening.n in (None, n):
                return opening
    return None


def describe_plateau(history: History, incumbent: int) -> str:
    """Say how long nothing was kept, if that is long."""
    since = sum(past.n > incumbent and bool(past.verdict) and not past.unmeasured for past in history)
    return f"Nothing was kept in the last {since} experiments." if since >= PLATEAU_EXPERIMENTS else ""


def built_on(history: History, n: int) -> int:
    """Return the nearest kept version up the line of parents of experiment `n`, itself included."""
    by_n = {past.n: past for past in history}
    past = by_n.get(n)
    while past is not None and past.verdict != "keep" and past.parent is not None and past.parent < past.n:
        past = by_n.get(past.parent)
    return 0 if past is None else past.n


def line_of(history: History, n: int) -> int | None:
    """Return the first experiment of the line of inquiry that a change to experiment `n` continues."""
    past = next((past for past in history if past.n == n), None)
    return None if past is None or past.verdict == "keep" else _line(past)


def _near_misses(
    history: History, by_n: Mapping[int, PastExperiment], incumbent: int, near_misses: Sequence[int]
) -> Iterator[Opening]:
    found = 0
    for n in near_misses:
        past = by_n.get(n)
        if past is None or found == MAX_NEAR_MISSES or _count_refinements(history, past) >= MAX_REFINEMENTS:
            continue
        found += 1
        delta = "" if past.delta is None else f"{past.metric.change(past.delta)}, "
        base = built_on(history, n)
        where = "" if base == incumbent else f"; it is built on experiment {base}, not on the incumbent"
        odds = f"odds of a gain {describe_odds(past.p_gain)}"
        words = f"near miss ({delta}{odds}{where}): what is missing, or does it hold on the incumbent?"
        yield Opening("refine", words, n, _line(past), past.hypothesis)


def _failures(history: History) -> Iterator[Opening]:
    newest = history[-1].n if history else 0
    found = 0
    for past in reversed(history):
        if past.n <= newest - RECENT_EXPERIMENTS or found == MAX_FAILURES:
            return
        if (words := _what_failed(past)) and not _is_taken_up(history, past):
            found += 1
            yield Opening(REPAIR, words, past.n, _line(past), f"{past.hypothesis} -- {past.reason}")


def _what_failed(past: PastExperiment) -> str:
    """Say why an experiment is worth a repair; "" if it is not."""
    if past.verdict == "crash":
        return "it failed: keep its idea, mend what failed"
    if past.conflicts:
        return "never measured, as its change conflicts with a newer incumbent: make it anew on the incumbent"
    return ""


def _is_taken_up(history: History, failed: PastExperiment) -> bool:
    """Return whether a later proposal repaired a failure, or names it in its hypothesis or as its source."""
    name = re.compile(rf"\bexperiments? {failed.n}\b", re.I)
    later = [past for past in history if past.n > failed.n]
    repaired = any(past.mode == REPAIR and past.line == _line(failed) for past in later)
    return repaired or any(name.search(f"{past.hypothesis} {past.params.get('source') or ''}") for past in later)


def _categories(history: History) -> Iterator[Opening]:
    """Offer the categories without a measured experiment, or the one that was tried least recently."""
    last = {category: past.n for past in history if not past.unmeasured for category in past.categories}
    metric = history[0].metric if history else VAL_BPB
    names = [name for name in possible_categories(metric, last) if name != "other"]
    if never := [name for name in names if name not in last]:
        yield Opening("untried", f"no experiment yet in these categories: {', '.join(never)}")
    elif names:
        yield Opening("untried", f"the category that was tried least recently: {min(names, key=last.__getitem__)}")


def _older_keeps(history: History, incumbent: int) -> Iterator[Opening]:
    keeps = [past for past in history if past.verdict == "keep" and past.n < incumbent]
    for past in reversed(keeps[-MAX_KEEPS:]):
        score = "" if past.val_bpb is None else f" ({past.metric.score(past.val_bpb)})"
        words = f"an older version{score} to develop differently; the result has to beat the incumbent"
        yield Opening(BRANCH, words, past.n, None, past.hypothesis)


def _count_refinements(history: History, near_miss: PastExperiment) -> int:
    later = [past for past in history if past.n > near_miss.n and not past.unmeasured]
    return sum(past.mode == "refine" and past.line == _line(near_miss) for past in later)


def _line(past: PastExperiment) -> int:
    return past.n if past.line is None else past.line
