"""Simulate how many proposals it takes to learn what a lesson is worth.

    python benchmarks/lessons.py [--runs 200] [--nights 8] [--blocks] [--rates 0.1 0.3]

A night has 90 proposals. At first the file has 60 lessons; one of them multiplies the odds of a keep by `ratio`, the
others have no effect. Each night adds 90 without effect, as many keeps among them as the keep rate says. The odds of a
keep fall over a night to a sixth, as in recorded sessions. Choice, records and expiry are those of the program.
`--blocks` compares numbers of proposals that get the same lessons, in a file with that one lesson only.
"""

import argparse
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from autoresearch.brief import lesson_choice
from autoresearch.brief.brief import MAX_BRIEF_TOKENS, MAX_SHARES
from autoresearch.brief.lesson_choice import UNTRIED, choose, read_records
from autoresearch.brief.lessons import Lesson
from autoresearch.brief.tokens import count_tokens, take_fitting
from autoresearch.ledger.lesson_uses import LessonUse

PROPOSALS, FIRST_LESSONS = 90, 60
FALL = 6.0  # of the odds of a keep, over a night
MAX_TOKENS = int(MAX_SHARES["lessons"] * MAX_BRIEF_TOKENS)
PLANTED = "planted#1"
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

    def run(self) -> float:
        """Run a night; return the share of the briefs that had the planted lesson."""
        self.night += 1
        records, seed, shown = read_records(self.uses), self.rng.getrandbits(31), 0
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
    """Yield a row for each size of a block: what four nights say on lessons with no effect and with one of 3."""
    rate = options.rates[0]
    for size in (1, 5, 10, 20, 45):
        lesson_choice.BLOCK_PROPOSALS = size
        widths, errors, wrong = list[float](), list[float](), 0
        for ratio in (1.0, 3.0):
            for k in range(options.runs):
                world = World(ratio, rate, random.Random(f"{size} {ratio} {k}"), grows=False)
                for _ in range(4):
                    world.run()
                effect = read_records(world.uses).get(PLANTED, UNTRIED).effect
                if ratio == 1.0:
                    wrong += effect.p_above(1.0) > 0.95 or effect.p_above(1.0) < 0.05
                    widths.append((effect.quantile(0.84) - effect.quantile(0.16)) / 2)
                    errors.append(effect.quantile(0.5) ** 2)
                else:
                    widths.append((effect.quantile(0.84) - effect.quantile(0.16)) / 2)
                    errors.append((effect.quantile(0.5) - math.log(ratio)) ** 2)
        spread = math.sqrt(sum(errors) / len(errors))
        yield [str(size), f"{sum(widths) / len(widths):.2f}", f"{spread:.2f}", f"{wrong / options.runs:.0%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--nights", type=int, default=8)
    parser.add_argument("--blocks", action="store_true")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.3])
    options = parser.parse_args()
    print(f"lines that fit: {MAX_TOKENS // count_tokens(f'- keep: {WORDS} [{PLANTED}, 3 trials]')}")
    head = ["rate", "ratio", *(f"night {k + 1}" for k in nights(options))]
    if options.blocks:
        head = ["proposals in a block", "posterior sd", "error of the median", "wrongly sure of no effect"]
    print("\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|"]))
    for row in block_rows(options) if options.blocks else rows(options):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
