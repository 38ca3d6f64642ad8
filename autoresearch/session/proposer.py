"""From a brief to an experiment: proposals are asked for, checked, sent back, recorded.

An agent that is broken or away never ends a session that has other arms, or a stand-in (`sweep`), which then propose.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from autoresearch.agents.attempts import Attempts
from autoresearch.agents.base import (
    Agent,
    BadProposal,
    Conversational,
    Conversed,
    Exhausted,
    Proposal,
    Spent,
    Unavailable,
    Unusable,
)
from autoresearch.brief.brief import Brief
from autoresearch.errors import describe_failure, is_unexpected, require
from autoresearch.judge import SIMPLER_MODES
from autoresearch.ledger import duplicates
from autoresearch.measure.clock import since_boot
from autoresearch.session import describe
from autoresearch.session.arms import Arm, ArmAway, Arms, NobodyAble
from autoresearch.session.checked_proposal import CheckedProposal, Refusal
from autoresearch.session.constraints import Constraints
from autoresearch.session.context import SessionContext
from autoresearch.session.delivery import NotTaken
from autoresearch.session.tool_access import note_same
from autoresearch.source.contract import syntax_complaint
from autoresearch.source.parsing import explain
from autoresearch.tools.model_tools import ModelTools

MAX_BROKEN = 10  # broken proposals in a row that end a session without a stand-in
UNUSABLE_RETRY_S = 3600.0  # until an agent that cannot work is asked again: the user may have bought credit
Record = Callable[[CheckedProposal], None]
Answer = tuple[Proposal, str | None]  # a proposal, and its defect if it is broken and belongs in the history
SAFE = "Several proposals in a row could not be used. Make one small change now, and check that it applies."


@dataclass
class Proposer:
    """Ask an arm, or the stand-in, until there is a proposal to record."""

    context: SessionContext
    arms: Arms
    stand_in: Agent | None
    constraints: Constraints = field(default_factory=Constraints)
    broken_in_a_row: int = 0  # by any agent
    attempts: Attempts = field(default_factory=Attempts)  # at the newest proposal
    tools: ModelTools | None = None

    def obtain(self, brief: Brief, record: Record | None = None) -> CheckedProposal | Conversed:
        """Return a proposal that passed, or the last one with its refusal. Raises Exhausted, ArmAway, NobodyAble.

        An agent is told why it was refused (`brief.feedback`) and may try again `agent.repairs` times. With `record`,
        an agent that can make several changes in one conversation has each recorded when it is made.
        """
        tries, self.attempts, arm = 0, Attempts(), self.arms.find(brief.arm)
        while True:
            agent = self._next_agent(arm, brief)
            shown = brief if agent is arm.agent else replace(brief.without_openings(), arm=None)
            if (answer := self._ask(arm, agent, shown, record)) is None:
                continue
            if isinstance(answer, Conversed):
                return answer
            proposal, defect = answer
            refusal = Refusal("invalid", defect) if defect else self.refusal(proposal)
            if refusal is None:
                known = len(proposal.trace)
                proposal = self._note_same(proposal, shown.incumbent)
                self.attempts.trace += proposal.trace[known:]
            tries += 1
            if refusal is None or defect or tries > agent.repairs:
                return CheckedProposal(proposal, agent, shown, refusal, self.attempts.trace)
            self.attempts.send_back(brief, str(refusal))

    def _converse(self, agent: Conversational, brief: Brief, record: Record) -> Conversed:
        """Have the proposals of one conversation recorded; `agent.repairs` of them may be refused within it."""
        refused = 0

        def deliver(proposal: Proposal) -> str | None:
            nonlocal refused
            refusal = self.refusal(proposal)
            if refusal is not None and refused < agent.repairs:
                refused += 1
                return str(refusal)
            if refusal is None:
                proposal = self._note_same(proposal, brief.incumbent)
            record(CheckedProposal(proposal, agent, brief, refusal, [*self.attempts.trace, *proposal.trace]))
            return None

        conversed = self.attempts.converse(agent, brief, deliver)
        return replace(conversed, trace=self.attempts.trace)

    def _note_same(self, proposal: Proposal, incumbent: int) -> Proposal:
        """Note whether a proposal that is not meant as a gain computes the same function; an error leaves it open."""
        try:
            return note_same(proposal, incumbent, self.tools)
        except Exception as error:
            if not is_unexpected(error):
                raise
            self.attempts.note_failure(error)
            return proposal

    @property
    def is_agent_away(self) -> bool:
        """Return whether the stand-in proposes in the place of all arms."""
        return self.stand_in is not None and not self.arms.can_ask()

    def refusal(self, proposal: Proposal) -> Refusal | None:
        """Return why a proposal must not be measured; None if it may."""
        try:
            return self._check(proposal)
        except Exception as error:
            if not is_unexpected(error):
                raise
            self.attempts.note_failure(error)
            return Refusal("invalid", describe_failure(error))

    def _check(self, proposal: Proposal) -> Refusal | None:
        if words := self.constraints.text_violation(proposal.text):
            return Refusal("invalid", words)
        if self.constraints.files and (words := self._syntax_complaint(proposal.text)):
            return Refusal("invalid", words)
        if proposal.mode in SIMPLER_MODES:  # the version that it goes back to was measured against another incumbent
            return None
        try:
            with self.context.lock:
                duplicate = duplicates.find(self.context.ledger, self.context.id, proposal.text)
        except SyntaxError as error:
            return Refusal("invalid", f"train.py does not parse: {explain(error)}")
        return Refusal("duplicate", str(duplicate)) if duplicate else None

    def _syntax_complaint(self, text: str) -> str | None:
        """Return which of several files cannot be read that could be in the base."""
        return syntax_complaint(text, require(self.context.experiment(0).text))

    def _next_agent(self, arm: Arm, brief: Brief) -> Agent:
        """Return the agent of an arm, or the stand-in. Raises ArmAway if another arm can be asked instead."""
        turn = arm.health.turn(since_boot())
        if turn == "stand-in" and self.arms.can_ask(without=arm):
            raise ArmAway(arm.title)
        if turn == "stand-in" and self.stand_in is not None:
            return self.stand_in
        if turn == "other mode" and SAFE not in brief.feedback:
            brief.feedback.append(SAFE)
        return arm.agent

    def _ask(self, arm: Arm, agent: Agent, brief: Brief, record: Record | None) -> Answer | Conversed | None:
        """Ask an agent once; return None if another attempt is needed."""
        started = time.time()
        try:
            if record is not None and isinstance(agent, Conversational):
                made: Proposal | Conversed = self._converse(agent, brief, record)
            else:
                made = self.attempts.ask(agent, brief)
        except NotTaken:
            raise
        except BadProposal as bad:
            return self._handle_broken(arm, agent, brief, bad, started)
        except (Unavailable, Unusable, Exhausted) as away:
            self._handle_absence(arm, agent, brief, away, started)
            return None
        self.broken_in_a_row = 0
        if agent is arm.agent:
            arm.health = arm.health.after_good()
        if isinstance(made, Conversed):
            return made
        self._emit("proposed", brief, describe.with_arm(made.hypothesis, brief.arm), started)
        return made, None

    def _handle_broken(self, arm: Arm, agent: Agent, brief: Brief, bad: BadProposal, started: float) -> Answer | None:
        self._emit("broken", brief, f"{brief.arm or agent.name}: {bad}", started)
        self.broken_in_a_row += 1
        relief = self._relief(arm)
        if agent is arm.agent and relief is not None:
            before, arm.health = arm.health, arm.health.after_broken(since_boot())
            if arm.health.until > before.until:
                row = f"{arm.health.broken} broken proposal{'s in a row' if arm.health.broken > 1 else ''}"
                self._emit("absent", brief, f"{arm.title} gave {row} (the last: {bad}): {relief} meanwhile", started)
        elif self.broken_in_a_row >= MAX_BROKEN:
            raise Exhausted(
                f"{arm.title if agent is arm.agent else agent.name} gave {MAX_BROKEN} broken proposals in a row"
            )
        if bad.params:
            return Proposal(brief.source, f"broken proposal: {bad}", params=bad.params), str(bad)
        self.attempts.send_back(brief, str(bad))
        return None

    def _handle_absence(self, arm: Arm, agent: Agent, brief: Brief, away: Exception, started: float) -> None:
        """Let others propose; raise the reason where there are none, or it is the end of a session with one agent.

        Raises NobodyAble if the stand-in has nothing to propose, and an arm comes back.
        """
        if agent is self.stand_in and isinstance(away, Exhausted) and self.arms.back_at < math.inf:
            raise NobodyAble(self.arms.back_at)
        relief, is_end = self._relief(arm), isinstance(away, Exhausted) and not isinstance(away, Spent)
        if agent is not arm.agent or relief is None or (is_end and arm.name is None):
            raise away
        arm.health = arm.health.after_unavailable(_retry_at(away))
        self._emit("absent", brief, f"{arm.title} cannot be asked ({away}): {relief} meanwhile", started)

    def _relief(self, arm: Arm) -> str | None:
        """Say who proposes while an arm does not; None if nobody does."""
        if self.arms.can_ask(without=arm):
            return "the other arms propose"
        return f"{self.stand_in.name} proposes" if self.stand_in is not None else None

    def _emit(self, kind: str, brief: Brief, text: str, started: float) -> None:
        self.context.emit(kind, brief.n, text, seconds=round(time.time() - started, 3), **describe.arm_data(brief.arm))


def _retry_at(away: Exception) -> float:
    """Return when an agent that cannot be asked is worth another try (as `since_boot`)."""
    if isinstance(away, Unavailable):
        return since_boot() + away.retry_at - time.time()
    return math.inf if isinstance(away, Exhausted) else since_boot() + UNUSABLE_RETRY_S
