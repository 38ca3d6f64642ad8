"""Choose the lessons of a brief by what they were worth in earlier sessions, and leave some out to learn it.

Lessons are chosen for a block of proposals, so that the start of the prompt stays the same. Two neighbouring blocks
make a pair. The chance of a lesson is the probability that it does no harm (Thompson, Biometrika 25, 1933): one number
is drawn for each pair, and its opposite counts in the second block. So a lesson of which nothing is known is in one of
the two, and what changes during a session hardly looks like the effect of a lesson. Chances do not change within a
session.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from autoresearch.brief.lessons import Lesson, Lessons
from autoresearch.brief.tokens import count_tokens
from autoresearch.files import JsonObject
from autoresearch.judge.lesson_effect import LessonEffect, Stratum, lesson_effect
from autoresearch.ledger.lesson_uses import LessonUse, expired_lessons, lesson_uses
from autoresearch.ledger.rows import derive_seed
from autoresearch.ledger.store import Ledger

BLOCK_PROPOSALS = 10  # that get the same lessons; a divisor of STABLE_EXPERIMENTS (benchmarks/lessons.py)
USEFUL_RATIO = 1.25  # of the odds of a keep: a lesson that helps raises them at least so much
MIN_P_HELPS = 0.05  # a lesson expires below it
FAIR_TRIES = 30  # measured proposals with a lesson, and without it, before it may expire
POOL_TRIES = 120  # measured proposals before a lesson that was shown may lose its place in the pool
POOL_BUDGETS = 2.0  # lessons are chosen from so many times the tokens that are shown
OPTIMISM = 0.75  # quantile of the effect by which lessons enter the pool
SEEDS = 2**31


@dataclass(frozen=True)
class LessonRecord:
    """What was measured with a lesson in the brief, and without it by chance."""

    total: Stratum
    effect: LessonEffect

    @property
    def is_begun(self) -> bool:
        """Return whether it is being tried, and keeps its place in the pool."""
        return 0 < self.total.tried_with + self.total.tried_without < POOL_TRIES

    @cached_property
    def p_helps(self) -> float:
        return self.effect.p_above(USEFUL_RATIO)

    @cached_property
    def best_case(self) -> float:
        """Return a high quantile of the log of the odds ratio: of two equal means, the less known has the higher."""
        return self.effect.quantile(OPTIMISM)

    @property
    def is_useless(self) -> bool:
        is_fair = min(self.total.tried_with, self.total.tried_without) >= FAIR_TRIES
        return is_fair and self.p_helps < MIN_P_HELPS


UNTRIED = LessonRecord(Stratum(), lesson_effect([]))
Records = Mapping[str, LessonRecord]


def read_records(uses: Sequence[LessonUse]) -> dict[str, LessonRecord]:
    """Return the record of each lesson by its key."""
    counts: dict[str, dict[tuple[int, int], list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0, 0]))
    for use in uses:
        pair = use.session_id, use.block // 2
        for keys, at in ((use.shown, 0), (use.left_out, 2)):
            for key in keys:
                counts[key][pair][at] += 1
                counts[key][pair][at + 1] += use.kept
    return {key: _record([Stratum(*each) for each in pairs.values()]) for key, pairs in counts.items()}


def _record(strata: Sequence[Stratum]) -> LessonRecord:
    rows = [(s.tried_with, s.kept_with, s.tried_without, s.kept_without) for s in strata]
    return LessonRecord(Stratum(*map(sum, zip(*rows, strict=True))), lesson_effect(strata))


@dataclass(frozen=True)
class LessonChoice:
    """The lessons of a brief. `own` are a person's words, `lines` quotes of the ledger, the most promising first.

    `pool` are the keys among which chance decided.
    """

    own: list[str] = field(default_factory=list)
    lines: list[Lesson] = field(default_factory=list)
    pool: list[str] = field(default_factory=list)
    block: int = 0

    def use(self, shown: Sequence[Lesson]) -> JsonObject:
        """Return the record of a brief that has the lessons `shown`."""
        keys = [lesson.key for lesson in shown if lesson.key in self.pool]
        return {"block": self.block, "shown": keys, "left_out": [key for key in self.pool if key not in keys]}


@dataclass
class LessonChooser:
    """Choose the lessons of each brief of a session by the records of other sessions, which are read once.

    Without a ledger there are no records; `session_id` is None before the first session.
    """

    lessons: Lessons
    ledger: Ledger | None
    tag: str = ""
    session_id: int | None = None
    seed: int = 0

    @cached_property
    def records(self) -> dict[str, LessonRecord]:
        uses = lesson_uses(self.ledger) if self.ledger else []
        return read_records([use for use in uses if use.session_id != self.session_id])

    @cached_property
    def restored(self) -> set[str]:
        return expired_lessons(self.ledger) if self.ledger else set()

    def choose(self, n: int, max_tokens: int) -> LessonChoice:
        """Choose the lessons for the brief of experiment `n`."""
        return choose(self.lessons.read(self.tag), self.records, self.restored, self.seed, n, max_tokens)


def choose(
    lessons: Sequence[Lesson], records: Records, restored: set[str], seed: int, n: int, max_tokens: int
) -> LessonChoice:
    """Choose lessons for the brief of experiment `n` of the session with this seed."""
    states = [(lesson, state_of(lesson, records, restored)) for lesson in lessons]
    own = [lesson for lesson, state in states if state == "yours"]
    others = [lesson for lesson, state in states if state in ("new", "shown")]
    pool = _take_pool(others, records, int(POOL_BUDGETS * max_tokens))
    block = n // BLOCK_PROPOSALS
    draws = {lesson.key: _draw(lesson.key, records, seed, block) for lesson in pool}
    chosen = sorted((lesson for lesson in pool if draws[lesson.key] > 0), key=lambda lesson: -draws[lesson.key])
    words = [lesson.line for lesson in own if not lesson.key]
    return LessonChoice(words, [*filter(lambda each: each.key, own), *chosen], [each.key for each in pool], block)


def state_of(lesson: Lesson, records: Records, restored: set[str]) -> str:
    """Return yours, expired, shown or new; `restored` are keys that expired once."""
    record = records.get(lesson.key, UNTRIED)
    if not lesson.key or (lesson.key in restored and not lesson.is_marked):
        return "yours"
    if lesson.is_marked or record.is_useless:
        return "expired"
    return "shown" if record.total.tried_with else "new"


def describe_record(record: LessonRecord) -> str:
    """Return what was kept with a lesson and without it."""
    total = record.total
    without = f"{total.kept_without} of {total.tried_without} without"
    return f"kept {total.kept_with} of {total.tried_with} with it, {without}"


def _take_pool(lessons: Sequence[Lesson], records: Records, max_tokens: int) -> list[Lesson]:
    """Return those that may be shown in a session: first what has begun, then what could be worth most."""

    def rank(lesson: Lesson) -> tuple[bool, float]:
        record = records.get(lesson.key, UNTRIED)
        return not record.is_begun, -record.best_case

    pool = []
    for lesson in sorted(lessons, key=rank):
        max_tokens -= count_tokens(f"{lesson.line}\n")
        if max_tokens < 0:
            break
        pool.append(lesson)
    return pool


def _draw(key: str, records: Records, seed: int, block: int) -> float:
    """Draw the log of the odds ratio of a lesson in a block, opposite in the two blocks of a pair."""
    place = (derive_seed(seed, "lesson", key, block // 2) + 0.5) / SEEDS
    return records.get(key, UNTRIED).effect.quantile(1 - place if block % 2 else place)
