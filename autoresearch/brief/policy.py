"""Choose the version that the next proposal changes, and its instruction: a pure function of the history.

For agents that follow instructions, the first of these rules that applies:

1. repair    the last proposal crashed, and its line of inquiry has not been repaired yet: repair it
2. refine    a near miss on top of the incumbent gets MAX_REFINEMENTS more proposals in the same line of inquiry, the
             best near miss first. A line continues at once while it improves; otherwise another proposal comes between
3. plateau   after PLATEAU_EXPERIMENTS experiments without a keep, every second proposal is one of these, in turn:
             combine two near misses, change something radically in the category that was tried least recently,
             simplify, branch from an older keep, look for a bug
4. climb     one change to the incumbent

Most large gains are chains whose first steps lose a little: hence the refinements. Most sessions end on a plateau that
small steps do not leave: hence the turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from autoresearch.brief.history import PastExperiment, in_sigmas
from autoresearch.ledger.rows import CATEGORIES
from autoresearch.ledger.statements import describe_odds

MAX_REPAIRS = 1  # of one line of inquiry
MAX_REFINEMENTS = 3  # of one line of inquiry
PLATEAU_EXPERIMENTS = 8  # without a keep
TURNS = ("combine", "radical", "simplify", "branch", "bug")


History = Sequence[PastExperiment]


@dataclass(frozen=True)
class Direction:
    """Instruction for one proposal.

    `parent` is the experiment whose version is changed, `line` the first experiment of the line of inquiry, `about` are
    experiments to show: their texts are data, `words` is the instruction.
    """

    mode: str
    parent: int
    line: int | None = None
    words: str = ""
    about: tuple[int, ...] = ()


def climb(incumbent: int) -> Direction:
    return Direction("climb", incumbent, None, "Make one change to the incumbent.")


def direction(history: History, incumbent: int) -> Direction:
    """Choose the next direction. `history` is oldest first; experiments that are not settled have no verdict."""
    since = [past for past in history if past.n > incumbent]
    return _repair(since) or _refine(since) or _turn(history, since, incumbent) or climb(incumbent)


def _last_directed(since: History) -> PastExperiment | None:
    return next((past for past in reversed(since) if past.mode), None)


def _repair(since: History) -> Direction | None:
    last = _last_directed(since)
    if last is None or last.verdict != "crash":
        return None
    line = _root(last)
    if sum(past.line == line and past.mode == "repair" for past in since) >= MAX_REPAIRS:
        return None
    words = f"Experiment {last.n} crashed. train.py holds its code. Repair what failed and keep its idea."
    return Direction("repair", last.n, line, words, (last.n,))


def _refine(since: History) -> Direction | None:
    """Continue the best open line; if the last refinement did not improve its line, another proposal comes first."""
    open_lines, last = _open_lines(since), _last_directed(since)
    if not open_lines or (last is not None and last.mode == "refine" and not _is_improvement(last, since)):
        return None
    best = min(open_lines, key=_loss)
    words = (
        f"Experiment {best.n} {_describe_miss(best)}. train.py holds its code. Make the change that turns this line of"
        " inquiry into a gain: what is still missing?"
    )
    return Direction("refine", best.n, _root(best), words, (best.n,))


def _open_lines(since: History) -> list[PastExperiment]:
    """Return the best near miss of every line on top of the incumbent that has refinements left."""
    lines: dict[int, list[PastExperiment]] = {}
    for past in since:
        lines.setdefault(_root(past), []).append(past)
    near_misses = []
    for line in lines.values():
        misses = [past for past in line if past.near_miss]
        if misses and sum(past.mode == "refine" for past in line) < MAX_REFINEMENTS:
            near_misses.append(min(misses, key=_loss))
    return near_misses


def _is_improvement(last: PastExperiment, since: History) -> bool:
    parent = next((past for past in since if past.n == last.parent), None)
    return last.near_miss and parent is not None and _loss(last) < _loss(parent)


def _turn(history: History, since: History, incumbent: int) -> Direction | None:
    last = _last_directed(since)
    if len(since) < PLATEAU_EXPERIMENTS or (last is not None and last.mode in TURNS):
        return None
    used = [TURNS.index(past.mode) for past in since if past.mode in TURNS]
    first = used[-1] + 1 if used else 0
    turns = (TURNS[(first + k) % len(TURNS)] for k in range(len(TURNS)))
    return next((found for mode in turns if (found := _leave_plateau(mode, history, since, incumbent))), None)


def _leave_plateau(mode: str, history: History, since: History, incumbent: int) -> Direction | None:
    if mode == "combine":
        return _combine(since, incumbent)
    if mode == "branch":
        return _branch(history, since, incumbent)
    words = {
        "radical": f"Try a different kind of change: `{_oldest_category(history)}` was tried least recently.",
        "simplify": "Remove something from train.py that contributes nothing: at equal score, less code wins.",
        "bug": "Read train.py line by line, look for bugs and wasted work, and correct the worst.",
    }
    return Direction(mode, incumbent, None, f"Nothing was kept in the last {len(since)} experiments. {words[mode]}")


def _combine(since: History, incumbent: int) -> Direction | None:
    lines = {_root(past): past for past in sorted(since, key=_loss, reverse=True) if past.near_miss}
    if len(lines) < 2:
        return None
    first, second = sorted(lines.values(), key=_loss)[:2]
    both = " and ".join(f"experiment {past.n} {_describe_miss(past)}" for past in (first, second))
    words = f"{both[0].upper()}{both[1:]}. Make both changes at once."
    return Direction("combine", incumbent, None, words, (first.n, second.n))


def _branch(history: History, since: History, incumbent: int) -> Direction | None:
    """Start from one of the older keeps, in turn, the newest first."""
    older = [past for past in history if past.verdict == "keep" and past.n < incumbent]
    if not older:
        return None
    branches = sum(past.mode == "branch" for past in since)
    parent = older[-1 - branches % len(older)]
    words = (
        f"train.py holds an older version, experiment {parent.n}. Develop it in another direction than the search did;"
        " the result has to beat the incumbent."
    )
    return Direction("branch", parent.n, None, words, (parent.n,))


def _oldest_category(history: History) -> str:
    last = {category: past.n for past in history if not past.unmeasured for category in past.categories}
    names = [name for name in CATEGORIES if name not in ("other", "simplification", "bug")]
    return min(names, key=lambda name: last.get(name, -1))


def _describe_miss(past: PastExperiment) -> str:
    """Say how near a near miss came."""
    if past.delta is None:
        return "was a near miss"
    side = "better" if past.delta < 0 else "worse"
    odds = "" if past.p_gain is None else f", odds of a gain {describe_odds(past.p_gain)}"
    return f"came near the incumbent ({in_sigmas(past.delta, past.sigma)}, {side}{odds})"


def _root(past: PastExperiment) -> int:
    """Return the first experiment of a line of inquiry."""
    return past.n if past.line is None else past.line


def _loss(past: PastExperiment) -> float:
    """Return the distance to the incumbent, infinite if it is unknown."""
    return float("inf") if past.delta is None else past.delta
