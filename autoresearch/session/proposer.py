"""From a brief to an experiment: proposals are asked for, checked, sent back, recorded.

An agent that is broken or away never ends a session that has a stand-in (`sweep`), which then proposes in its place.
"""

import hashlib
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
from autoresearch.errors import describe_failure, format_traceback, is_unexpected, require
from autoresearch.files import JsonObject
from autoresearch.judge import SIMPLER_MODES
from autoresearch.ledger import Experiment, duplicates, find_merge
from autoresearch.ledger.lesson_uses import LESSONS
from autoresearch.session import describe
from autoresearch.session.briefing import Briefing
from autoresearch.session.checked_proposal import CheckedProposal, Refusal
from autoresearch.session.constraints import Constraints
from autoresearch.session.context import SessionContext
from autoresearch.session.delivery import Delivery
from autoresearch.session.describe import Columns
from autoresearch.session.evidence import Evidence
from autoresearch.session.fallback import AgentHealth
from autoresearch.session.optional_part import OptionalPart
from autoresearch.session.pooling import PoolFinder
from autoresearch.session.tool_access import note_same
from autoresearch.source.contract import syntax_complaint
from autoresearch.source.diff import unified_diff
from autoresearch.source.parsing import explain
from autoresearch.source.rebase import rebase_change
from autoresearch.tools.model_tools import ModelTools
from autoresearch.workspace.texts import merge_texts

MAX_BROKEN = 10  # broken proposals in a row that end a session without a stand-in
UNUSABLE_RETRY_S = 3600.0  # until an agent that cannot work is asked again: the user may have bought credit
Record = Callable[[CheckedProposal], None]
Answer = tuple[Proposal, str | None]  # a proposal, and its defect if it is broken and belongs in the history
SAFE = "Several proposals in a row could not be used. Make one small change now, and check that it applies."


@dataclass
class Proposer:
    """Ask the agent, or its stand-in, until there is a proposal to record."""

    context: SessionContext
    agent: Agent
    stand_in: Agent | None
    constraints: Constraints = field(default_factory=Constraints)
    health: AgentHealth = field(default_factory=AgentHealth)
    broken_in_a_row: int = 0  # by any agent
    attempts: Attempts = field(default_factory=Attempts)  # at the newest proposal
    tools: ModelTools | None = None

    def obtain(self, brief: Brief, record: Record | None = None) -> CheckedProposal | Conversed:
        """Return a proposal that passed, or the last one with its refusal. Raises Exhausted.

        An agent is told why it was refused (`brief.feedback`) and may try again `agent.repairs` times. With `record`,
        an agent that can make several changes in one conversation has each recorded when it is made.
        """
        tries, self.attempts = 0, Attempts()
        while True:
            agent = self._next_agent(brief)
            shown = brief if agent is self.agent else brief.without_openings()
            if (answer := self._ask(agent, shown, record)) is None:
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
        """Return whether the stand-in proposes in the agent's place."""
        return self.stand_in is not None and self.health.turn(time.time()) == "stand-in"

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

    def _next_agent(self, brief: Brief) -> Agent:
        turn = self.health.turn(time.time())
        if turn == "stand-in" and self.stand_in is not None:
            return self.stand_in
        if turn == "other mode" and SAFE not in brief.feedback:
            brief.feedback.append(SAFE)
        return self.agent

    def _ask(self, agent: Agent, brief: Brief, record: Record | None) -> Answer | Conversed | None:
        """Ask an agent once; return None if another attempt is needed."""
        started = time.time()
        try:
            if record is not None and isinstance(agent, Conversational):
                made: Proposal | Conversed = self._converse(agent, brief, record)
            else:
                made = self.attempts.ask(agent, brief)
        except BadProposal as bad:
            return self._handle_broken(agent, brief, bad, started)
        except (Unavailable, Unusable, Spent) as away:
            self._handle_absence(agent, brief, away, started)
            return None
        self.broken_in_a_row = 0
        if agent is self.agent:
            self.health = self.health.after_good()
        if isinstance(made, Conversed):
            return made
        self._emit("proposed", brief, made.hypothesis, started)
        return made, None

    def _handle_broken(self, agent: Agent, brief: Brief, bad: BadProposal, started: float) -> Answer | None:
        self._emit("broken", brief, f"{agent.name}: {bad}", started)
        self.broken_in_a_row += 1
        if agent is self.agent and self.stand_in is not None:
            before, self.health = self.health, self.health.after_broken(time.time())
            if self.health.until > before.until:
                row = f"{self.health.broken} broken proposal{'s in a row' if self.health.broken > 1 else ''}"
                words = f"{agent.name} gave {row} (the last: {bad}): {self.stand_in.name} proposes meanwhile"
                self._emit("absent", brief, words, started)
        elif self.broken_in_a_row >= MAX_BROKEN:
            raise Exhausted(f"{agent.name} gave {MAX_BROKEN} broken proposals in a row")
        if bad.params:
            return Proposal(brief.source, f"broken proposal: {bad}", params=bad.params), str(bad)
        self.attempts.send_back(brief, str(bad))
        return None

    def _handle_absence(self, agent: Agent, brief: Brief, away: Exception, started: float) -> None:
        if agent is not self.agent or self.stand_in is None:
            raise away
        self.health = self.health.after_unavailable(_retry_at(away))
        words = f"{agent.name} cannot be asked ({away}): {self.stand_in.name} proposes meanwhile"
        self._emit("absent", brief, words, started)

    def _emit(self, kind: str, brief: Brief, text: str, started: float) -> None:
        self.context.emit(kind, brief.n, text, seconds=round(time.time() - started, 3))


def _retry_at(away: Exception) -> float:
    """Return when an agent that cannot be asked is worth another try (unix seconds)."""
    if isinstance(away, Unavailable):
        return away.retry_at
    return math.inf if isinstance(away, Spent) else time.time() + UNUSABLE_RETRY_S


@dataclass
class CandidateMaker:
    """Make the experiments after the base; the lock is released while an agent works.

    A number is assigned when there is something to record: the one in the brief may be taken by then.
    """

    context: SessionContext
    evidence: Evidence
    briefing: Briefing
    proposer: Proposer
    pools: PoolFinder | None = None  # None: no pools
    _pooling: OptionalPart = field(init=False)

    def __post_init__(self) -> None:
        self._pooling = OptionalPart(self.context, "pools")

    def propose(self, take: Callable[[Experiment], None], wanted: int = 1) -> None:
        """Record what comes next: a pool, or what the agent proposes, up to `wanted` changes; `take` gets each.

        Raises Exhausted.
        """
        if pooled := self.pool():
            take(*pooled)
            return
        context, started = self.context, time.time()
        brief = replace(self.briefing.write(context.next_number()), proposals=wanted)
        delivery = Delivery(context, brief.n, self._add, take)
        try:
            with context.lock.released():
                made = self.proposer.obtain(brief, delivery.record if wanted > 1 else None)
        finally:
            if delivery.failure is not None:
                raise delivery.failure
        if isinstance(made, Conversed):
            delivery.end(made)
            return
        context.ledger.renumber(context.id, brief.n, context.next_number(), started)
        take(self._add(made, made.whole_trace(made.trace), {}))

    def pool(self) -> list[Experiment]:
        """Record a pool of near misses, if enough have gathered; no agent is asked."""
        if (pools := self.pools) is None:
            return []
        found = self._pooling.run(lambda: pools.find(self.proposer.is_agent_away), None)
        if found is None:
            return []
        refusal = self.proposer.refusal(Proposal(found.text, found.hypothesis))
        experiment = self._record(found.text, require(found.parent.text), refusal, found.trace, found.columns)
        self.context.emit("pooled", experiment.n, found.hypothesis)
        return [experiment]

    def _add(self, checked: CheckedProposal, trace: list[JsonObject], shared: JsonObject) -> Experiment:
        """Record a proposal with a trace; `shared` is added to its params, and the lessons of a model's brief."""
        if checked.agent.model is not None and (use := checked.brief.lesson_use):
            shared = {**shared, LESSONS: use}
        proposal, brief = checked.proposal, self._brief_of(checked.proposal, checked.brief)
        columns = describe.proposal_columns(replace(proposal, params=proposal.params | shared), brief) | {
            "agent": checked.agent.name,
            "model": checked.agent.model,
            "program_hash": hashlib.sha256(brief.program.encode()).hexdigest()[:16],
        }
        return self._record(proposal.text, brief.source, checked.refusal, trace, columns)

    def _brief_of(self, proposal: Proposal, brief: Brief) -> Brief:
        """Return the brief that a proposal answers; the one of now if it changes a version that is newer than it."""
        n = proposal.start_from
        if n is None or n <= max((past.n for past in brief.history), default=0):
            return brief
        newer = self.briefing.write(brief.n)
        return replace(newer, openings=brief.openings) if n in {past.n for past in newer.history} else brief

    def rebase(self, old: Experiment) -> Experiment | None:
        """Record a superseded change, made to the incumbent; None if they conflict."""
        context, evidence = self.context, self.evidence
        if (n := find_merge(context.ledger, context.row, old.n)) is not None:
            return context.experiment(n)
        incumbent = context.experiment(evidence.incumbent().n)
        best, base = require(incumbent.text), require(context.experiment(evidence.rival(old).n).text)
        text = rebase_change(merge_texts, base, require(old.text), best)
        if text is None:
            return None
        refusal = self.proposer.refusal(Proposal(text, require(old.hypothesis)))
        trace = [{"kind": "merged", "text": f"experiment {old.n} onto {incumbent.n}"}]
        columns = describe.inherited_columns(old) | {"origin": old.n, "parent": incumbent.n}
        return self._record(text, best, refusal, trace, columns)

    def _record(
        self, text: str, parent: str, refusal: Refusal | None, trace: list[JsonObject], columns: Columns
    ) -> Experiment:
        n = self.context.next_number()
        if refusal:
            columns |= {"verdict": refusal.verdict, "reason": refusal.reason}
        try:
            diff = unified_diff(parent, text)
            columns |= describe.text_columns(text, parent)
        except Exception as error:
            if not is_unexpected(error):
                raise
            diff, trace = "", [*trace, {"kind": "failed", "text": format_traceback(error)}]
            columns |= {"text": text, "verdict": "invalid", "reason": describe_failure(error)}
        self.context.artefacts(n).write_proposal(diff, trace)
        return self.context.ledger.add_experiment(self.context.id, n, **columns)
