"""Simulate how many proposals it takes to learn what a lesson is worth.

    PYTHONPATH=tests python benchmarks/lessons.py [--runs 200] [--nights 8] [--blocks | --prefix] [--rates 0.1 0.3]

A night has 90 proposals. At first the file has 60 lessons; one of them multiplies the odds of a keep by `ratio`, the
others have no effect. Each night adds 90 without effect, as many keeps among them as the keep rate says. The odds of a
keep fall over a night to a sixth, as in recorded sessions. Choice, records and expiry are those of the program.
`--blocks` compares numbers of proposals that get the same lessons, in a file with a lesson of 3 and one without effect:
standard deviation of the log of the odds ratio that the program believes in, its actual error, and how often it calls
an effect more probable than 95 % after two nights. `--prefix` measures which share of the briefs of the recorded night
(tests/fixtures/recorded-night) equals the brief before from the start, so that a prompt cache finds it again.
"""

import argparse
import math
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoresearch.brief import lesson_choice
from autoresearch.brief.brief import MAX_BRIEF_TOKENS, MAX_SHARES
from autoresearch.brief.lesson_choice import UNTRIED, Records, choose, read_records
from autoresearch.brief.lessons import Lesson
from autoresearch.brief.tokens import count_tokens, take_fitting
from autoresearch.judge.lesson_effect import LessonEffect
from autoresearch.ledger.lesson_uses import LessonUse

PROPOSALS, FIRST_LESSONS = 90, 60
FALL = 6.0  # of the odds of a keep, over a night
MAX_TOKENS = int(MAX_SHARES["lessons"] * MAX_BRIEF_TOKENS)
PLANTED, IDLE = "planted#1", "idle#1"
WORDS = "x" * 180  # a line has about 220 characters


@dataclass
class World:
    """Nights of one project; `ratio` is what the planted lesson does to the odds of a keep."""

    ratio: float
    rate: float  # of keeps, in the middle of a night
    rng: random.Random
    grows: bool = True
    lessons: list[Lesson] = field(default_factory=list)
    uses: list[LessonUse] = field(default_factory=list)
    night: int = 0

    def __post_init__(self) -> None:
        self.lessons = [Lesson(f"- keep: {WORDS} [{PLANTED}, 3 trials]", PLANTED)]
        if self.grows:
            self._add(FIRST_LESSONS - 1)

    def _add(self, count: int) -> None:
        new = [Lesson(f"- {self._verdict()}: {WORDS}", f"night{self.night}#{n}") for n in range(count)]
        self.lessons = sorted([*new, *self.lessons], key=lambda lesson: not lesson.line.startswith("- keep"))

    def _verdict(self) -> str:
        return "keep" if self.rng.random() < self.rate else "discard"

    def run(self, records: Records | None = None) -> float:
        """Run a night, by other records if given; return the share of the briefs that had the planted lesson."""
        self.night += 1
        records = read_records(self.uses) if records is None else records
        seed, shown = self.rng.getrandbits(31), 0
        for n in range(1, PROPOSALS + 1):
            if n == 1 or n % lesson_choice.BLOCK_PROPOSALS == 0:
                choice = choose(self.lessons, records, set(), seed, n, MAX_TOKENS)
                fitting = take_fitting([each.line for each in choice.lines], MAX_TOKENS)
                use = choice.use(choice.lines[: len(fitting)])
                names = frozenset(use["shown"]), frozenset(use["left_out"])
            kept = self._is_kept(n, PLANTED in names[0])
            self.uses.append(LessonUse(self.night, use["block"], *names, kept))
            shown += PLANTED in names[0]
        if self.grows:
            self._add(PROPOSALS)
        return shown / PROPOSALS

    def _is_kept(self, n: int, is_planted: bool) -> bool:
        odds = self.rate / (1 - self.rate) * FALL ** (0.5 - n / PROPOSALS) * (self.ratio if is_planted else 1.0)
        return self.rng.random() < odds / (1 + odds)


def rows(options: argparse.Namespace) -> Iterator[list[str]]:
    """Yield a row of the table for each rate and ratio: share of the briefs, and of the runs in which it expired."""
    for rate in options.rates:
        for ratio in (0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0):
            shares = [[0.0] * options.nights for _ in range(options.runs)]
            expired = [0] * options.nights
            for k in range(options.runs):
                world = World(ratio, rate, random.Random(f"{ratio} {rate} {k}"))
                for night in range(options.nights):
                    shares[k][night] = world.run()
                    expired[night] += read_records(world.uses).get(PLANTED, UNTRIED).is_useless
            means = [sum(column) / options.runs for column in zip(*shares, strict=True)]
            cells = [f"{means[k]:.0%} / {expired[k] / options.runs:.0%}" for k in nights(options)]
            yield [f"{rate:.0%}", f"{ratio:g}", *cells]


def nights(options: argparse.Namespace) -> list[int]:
    return [k for k in (0, 1, 3, 7, 15) if k < options.nights]


def block_rows(options: argparse.Namespace) -> Iterator[list[str]]:
    """Yield a row for each size of a block: what two nights say of a lesson of 3 and of one without effect."""
    for size in (1, 5, 10, 20, 45):
        lesson_choice.BLOCK_PROPOSALS = size
        found = [_two_lessons(random.Random(f"{size} {k}"), options.rates[0]) for k in range(options.runs)]
        helps, idle = ([pair[k] for pair in found] for k in (0, 1))
        widths = [(each.quantile(0.84) - each.quantile(0.16)) / 2 for each in idle]
        errors = [each.quantile(0.5) ** 2 for each in idle]
        sure = sum(each.p_above(1.0) > 0.95 for each in helps) / options.runs
        wrong = sum(not 0.05 < each.p_above(1.0) < 0.95 for each in idle) / options.runs
        spread = math.sqrt(sum(errors) / options.runs)
        yield [str(size), f"{sum(widths) / options.runs:.2f}", f"{spread:.2f}", f"{sure:.0%}", f"{wrong:.0%}"]


def _two_lessons(rng: random.Random, rate: float) -> tuple[LessonEffect, LessonEffect]:
    """Return what two nights say of a lesson of 3, and of another without effect, which chance decides on alone."""
    world = World(3.0, rate, rng, grows=False)
    world.lessons.append(Lesson(f"- keep: {WORDS} [{IDLE}, 3 trials]", IDLE))
    for _ in range(2):
        world.run(records={})
    records = read_records(world.uses)
    return records[PLANTED].effect, records[IDLE].effect


def prefix_rows(options: argparse.Namespace) -> Iterator[list[str]]:
    """Yield a row for each size of a block; the first row always has the same lessons."""
    from brief_prefix import shares
    from support.recorded_night import brief_before

    lessons = World(1.0, options.rates[0], random.Random(1)).lessons
    briefs = []
    for n in range(10, 51):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy("program.md", folder)
            briefs.append(brief_before(Path(folder), n))
    for size in (1000, 1, 5, 10, 20, 45):
        lesson_choice.BLOCK_PROPOSALS = size
        chosen = [replace(each, lessons=choose(lessons, {}, set(), 5, each.n, MAX_TOKENS)) for each in briefs]
        found = shares([brief.render() for brief in chosen])
        yield ["always the same" if size == 1000 else str(size), f"{sum(found) / len(found):.1%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--nights", type=int, default=8)
    parser.add_argument("--blocks", action="store_true")
    parser.add_argument("--prefix", action="store_true")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.3])
    options = parser.parse_args()
    print(f"lines that fit: {MAX_TOKENS // count_tokens(f'- keep: {WORDS} [{PLANTED}, 3 trials]')}")
    heads = {
        rows: ["rate", "ratio", *(f"night {k + 1}" for k in nights(options))],
        block_rows: ["proposals in a block", "sd, no effect", "error, no effect", "sure of 3", "wrongly sure of none"],
        prefix_rows: ["proposals in a block", "of a brief equal to the one before"],
    }
    made = prefix_rows if options.prefix else block_rows if options.blocks else rows
    print(f"| {' | '.join(heads[made])} |\n{'|---' * len(heads[made])}|")
    for row in made(options):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
