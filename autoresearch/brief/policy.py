"""Where the next proposal starts, and what is asked for: a written rule, a pure function of the history.

The first of these that applies, for agents that can be told what to do:

1. repair    the last proposal crashed, and its line has not been repaired yet: mend it
2. refine    a near miss on top of the incumbent earns REFINEMENTS more tries in the same line of inquiry, the best
             near miss first. A line goes on without a pause while it improves; otherwise something else comes between
3. plateau   after PATIENCE experiments without a keep, every second proposal looks elsewhere, in turn: combine two
             near misses, a radical change in a category that was untried for longest, simplify, branch from an older
             keep, look for a bug
4. climb     one change to the incumbent

Most breakthroughs are chains whose first steps lose a little (the refinements); most nights end on a plateau that small
steps do not leave (the turns).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from autoresearch.brief.history import PastExperiment
from autoresearch.ledger.rows import CATEGORIES

REPAIRS = 1  # of one line
REFINEMENTS = 3  # of one line
PATIENCE = 8  # experiments without a keep
TURNS = ("combine", "radical", "simplify", "branch", "bug")


@dataclass(frozen=True)
class Direction:
    """What to ask for.

    `parent` is the experiment that the change is made to, `line` the one whose line of inquiry goes on, `about` are
    experiments to be told of: their words are data, `words` are ours.
    """

    mode: str
    parent: int
    line: int | None = None
    words: str = ""
    about: tuple[int, ...] = ()


def climb(incumbent: int) -> Direction:
    """One change to the incumbent."""
    return Direction("climb", incumbent, None, "Make one change to the incumbent.")


def direction(history: Sequence[PastExperiment], incumbent: int) -> Direction:
    """What to ask for next. `history` is oldest first; what is not settled yet has no verdict."""
    since = [past for past in history if past.n > incumbent]
    asked = [past for past in since if past.mode]
    return _repair(asked) or _refine(since, asked) or _turn(history, since, asked, incumbent) or climb(incumbent)


def _repair(asked: Sequence[PastExperiment]) -> Direction | None:
    last = asked[-1] if asked else None
    if last is None or last.verdict != "crash":
        return None
    line = _root(last)
    if sum(past.line == line and past.mode == "repair" for past in asked) >= REPAIRS:
        return None
    words = f"Experiment {last.n} crashed. train.py holds its code. Mend what failed, and keep its idea."
    return Direction("repair", last.n, line, words, (last.n,))


def _refine(since: Sequence[PastExperiment], asked: Sequence[PastExperiment]) -> Direction | None:
    """The best open line, unless the last refinement led nowhere: then something else comes first."""
    open_lines = _open_lines(since)
    if not open_lines:
        return None
    last = asked[-1] if asked else None
    if last is not None and last.mode == "refine" and not _improved(last, since):
        return None
    best = min(open_lines, key=_loss)
    words = (
        f"Experiment {best.n} was a near miss. train.py holds its code. Make the change that turns this line of inquiry"
        " into a gain: what does it still lack?"
    )
    return Direction("refine", best.n, _root(best), words, (best.n,))


def _open_lines(since: Sequence[PastExperiment]) -> list[PastExperiment]:
    """The best near miss of every line on top of the incumbent that has refinements left."""
    lines: dict[int, list[PastExperiment]] = {}
    for past in since:
        lines.setdefault(_root(past), []).append(past)
    found = []
    for line in lines.values():
        misses = [past for past in line if past.near_miss]
        if misses and sum(past.mode == "refine" for past in line) < REFINEMENTS:
            found.append(min(misses, key=_loss))
    return found


def _improved(last: PastExperiment, since: Sequence[PastExperiment]) -> bool:
    parent = next((past for past in since if past.n == last.parent), None)
    return last.near_miss and parent is not None and _loss(last) < _loss(parent)


def _turn(
    history: Sequence[PastExperiment], since: Sequence[PastExperiment], asked: Sequence[PastExperiment], incumbent: int
) -> Direction | None:
    if len(since) < PATIENCE or (asked and asked[-1].mode in TURNS):
        return None
    taken = [TURNS.index(past.mode) for past in asked if past.mode in TURNS]
    first = taken[-1] + 1 if taken else 0
    turns = (TURNS[(first + k) % len(TURNS)] for k in range(len(TURNS)))
    return next((found for mode in turns if (found := _elsewhere(mode, history, since, incumbent))), None)


def _elsewhere(
    mode: str, history: Sequence[PastExperiment], since: Sequence[PastExperiment], incumbent: int
) -> Direction | None:
    plateau = f"Nothing was kept in the last {len(since)} experiments."
    if mode == "combine":
        return _combine(since, incumbent)
    if mode == "branch":
        return _branch(history, since, incumbent)
    words = {
        "radical": f"Try something of another kind: no `{_untried(history)}` change was made for longest.",
        "simplify": "Take something out of train.py that carries nothing: at equal score, less code wins.",
        "bug": "Read train.py for a bug or for waste, line by line, and mend the worst.",
    }
    return Direction(mode, incumbent, None, f"{plateau} {words[mode]}")


def _combine(since: Sequence[PastExperiment], incumbent: int) -> Direction | None:
    lines = {_root(past): past for past in sorted(since, key=_loss, reverse=True) if past.near_miss}
    if len(lines) < 2:
        return None
    first, second = sorted(lines.values(), key=_loss)[:2]
    words = f"Experiments {first.n} and {second.n} were near misses. Make both changes at once."
    return Direction("combine", incumbent, None, words, (first.n, second.n))


def _branch(history: Sequence[PastExperiment], since: Sequence[PastExperiment], incumbent: int) -> Direction | None:
    """From the older keeps in turn, the newest first."""
    older = [past for past in history if past.verdict == "keep" and past.n < incumbent]
    if not older:
        return None
    branched = sum(past.mode == "branch" for past in since)
    parent = older[-1 - branched % len(older)]
    words = (
        f"train.py holds an older version, experiment {parent.n}. Go another way from there than the search did; it"
        " has to beat the incumbent."
    )
    return Direction("branch", parent.n, None, words, (parent.n,))


def _untried(history: Sequence[PastExperiment]) -> str:
    """The category whose last experiment is longest ago."""
    last = {past.category: past.n for past in history}
    names = [name for name in CATEGORIES if name not in ("other", "simplification", "bug")]
    return min(names, key=lambda name: last.get(name, -1))


def _root(past: PastExperiment) -> int:
    return past.n if past.line is None else past.line


def _loss(past: PastExperiment) -> float:
    """Distance to the incumbent, worst where it is not known."""
    return float("inf") if past.delta is None else past.delta
