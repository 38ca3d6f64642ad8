"""Lessons of earlier sessions in whole sessions: what is recorded, what stays in the brief, and what expires."""

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pools import good
from support.referees import FunctionReferee

from autoresearch.agents.base import Exhausted, Proposal
from autoresearch.brief.brief import Brief
from autoresearch.brief.lesson_choice import BLOCK_PROPOSALS, LessonChooser, state_of
from autoresearch.brief.lessons import Lessons
from autoresearch.ledger import Ledger
from autoresearch.ledger.lesson_uses import expired_lessons, lesson_uses
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session.context import SessionContext
from autoresearch.session.lesson_expiry import expire_lessons
from autoresearch.session.loop import SessionLoop
from autoresearch.session.run import LoopInputs, assemble
from autoresearch.workspace.workspace import Workspace

PROGRAM = (
    "def train(trial):\n    pass\n\n\ndef load(state, config, device):\n    return None\n\n\nLEVEL = 0\nJUNK = 0\n"
)
HELPS, HARMS, IDLE = "old#1", "old#2", "old#3"
FILE = f"""\
- use the schedule of last week
- keep (schedule): the one that helps [{HELPS}, 3 trials]
- keep (schedule): the one that harms [{HARMS}, 3 trials]
- keep (schedule): the one without effect [{IDLE}, 3 trials]
"""
LINE = "- discard (other): {} [old#{}, 1 trial]\n"


def measure(text: str, seed: int, plan: TrialPlan) -> Result:
    """Score a version: each level gains, junk loses."""
    level, junk = (int(number) for number in re.findall(r"= (\d+)$", text, re.M))
    return good(9.0 - 0.05 * level + (0.05 if junk else 0.0) + seed % 97 / 1e5)


class Reader:
    """Simulated researcher: how often it proposes a gain depends on the lessons in its brief."""

    name, repairs, proposes = "reader", 0, "instantly"
    model: str | None = "simulated"

    def __init__(self, count: int) -> None:
        self.count, self.rng, self.briefs = count, random.Random(3), list[Brief]()

    def check(self) -> None:
        """It can always work."""

    def propose(self, brief: Brief) -> Proposal:
        if len(self.briefs) == self.count:
            raise Exhausted("agent exhausted")
        self.briefs.append(brief)
        told = brief.stable[1]
        odds = 0.3 * (8.0 if f"[{HELPS}," in told else 1.0) * (0.1 if f"[{HARMS}," in told else 1.0)
        if self.rng.random() < odds / (1 + odds):
            level = int(re.findall(r"^LEVEL = (\d+)", brief.source, re.M)[0])
            return Proposal(brief.source.replace(f"LEVEL = {level}", f"LEVEL = {level + 1}"), "a level")
        return Proposal(brief.source.replace("JUNK = 0", f"JUNK = {brief.n}"), "junk")


class Nights:
    """Sessions of one repository, one after the other."""

    def __init__(self, root: Path, store: Ledger, settings: Settings) -> None:
        self.workspace, self.store, self.settings = Workspace(root), store, settings
        self.runs, self.lessons = root / "runs", Lessons.locate(root / "runs", {}, {})
        self.lessons.path.write_text(FILE + "".join(LINE.format("x" * 90, n) for n in range(4, 40)))

    def run(self, tag: str, agent: Reader) -> SessionLoop:
        head = self.workspace.head()
        row = self.store.create_session(tag, f"autoresearch/{tag}", head, "reader", "greedy", {}, {}, seed=len(tag))
        row = self.store.update_session(row.id, state="running", pid=os.getpid(), grade="STRONG")
        context = SessionContext(row.id, tag, self.store, self.workspace, self.runs)
        program = self.runs.parent / "program.md"
        referees = [FunctionReferee(measure, self.settings)]
        loop = assemble(context, LoopInputs(agent, PROGRAM, program, referees, {}, replicates=2, early_stop=False))
        assert loop.run() == "agent exhausted"
        expire_lessons(context, loop.lessons)
        self.store.update_session(row.id, state="ended")
        return loop

    def chooser(self) -> LessonChooser:
        """Return what a further session would choose with."""
        return LessonChooser(self.lessons, self.store, "later", None, seed=7)


@pytest.fixture
def nights(repository: Path, quick: Settings) -> Iterator[Nights]:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        yield Nights(repository, store, quick)


def test_the_ledger_says_which_lessons_each_brief_had(nights: Nights) -> None:
    agent = Reader(BLOCK_PROPOSALS + 1)
    loop = nights.run("t", agent)
    uses = lesson_uses(nights.store)
    assert len(uses) == len(agent.briefs) == BLOCK_PROPOSALS + 1
    for use, brief in zip(uses, agent.briefs, strict=True):
        told = brief.stable[1]
        assert use.shown and all(f"[{key}," in told for key in use.shown)
        assert use.left_out and not any(f"[{key}," in told for key in use.left_out)
        assert "# Lessons of the human\n\n- use the schedule of last week\n" in told
        assert use.block == brief.n // BLOCK_PROPOSALS
    blocks = {use.block: use.shown for use in uses}
    assert len({(use.block, use.shown) for use in uses}) == len(blocks) == 2
    assert not blocks[0] & blocks[1], "a new lesson is in one of two neighbouring blocks"
    kept = [row.n for row in nights.store.experiments(loop.context.id, verdict="keep") if row.n]
    assert sum(use.kept for use in uses) == len(kept) > 0


@pytest.mark.slow
def test_after_two_sessions_what_helps_is_in_the_brief_and_what_harms_is_not(nights: Nights) -> None:
    for tag in ("a", "ab"):
        nights.run(tag, Reader(60))
    chooser, lessons = nights.chooser(), {each.key: each for each in nights.lessons.read()}
    assert state_of(lessons[HELPS], chooser.records, chooser.restored) == "shown"
    briefs = [{each.key for each in chooser.choose(n, 1440).lines} for n in range(0, 200, BLOCK_PROPOSALS)]
    shares = {key: sum(key in keys for keys in briefs) / len(briefs) for key in (HELPS, HARMS, IDLE)}
    assert shares[HELPS] > 0.9 and shares[HARMS] < 0.1 and shares[IDLE] < 1, shares
    assert lessons[HARMS].is_marked and expired_lessons(nights.store) >= {HARMS}
    text = nights.lessons.path.read_text()
    assert re.search(rf"\[{HARMS}, 3 trials\] \(expired: kept \d+ of \d+ with it, \d+ of \d+ without\)\n", text)

    nights.lessons.path.write_text(re.sub(rf"(\[{HARMS}, .*\]) \(expired.*\)", r"\1", text))  # a person wants it back
    back = nights.chooser()
    assert all(HARMS in {each.key for each in back.choose(n, 1440).lines} for n in (1, 10, 20))
    nights.run("abc", Reader(1))
    assert HARMS in {each.key for each in nights.chooser().choose(1, 1440).lines}, "it is not marked again"
