"""From a brief to an experiment: proposals are asked for, checked, sent back, recorded.

An agent that is broken or away never ends a session that has a stand-in (`sweep`), which then proposes in its place.
"""

import hashlib
import math
import time
from dataclasses import dataclass, field, replace

from autoresearch.agents.attempts import Attempts
from autoresearch.agents.base import Agent, BadProposal, Exhausted, Proposal, Spent, Unavailable, Unusable
from autoresearch.brief.brief import Brief
from autoresearch.errors import describe_failure, format_traceback, is_unexpected, require
from autoresearch.files import JsonObject
from autoresearch.judge import SIMPLER_MODES
from autoresearch.ledger import Experiment, duplicates, find_merge, newest
from autoresearch.ledger.rows import CONVERSATION
from autoresearch.session import describe
from autoresearch.session.briefing import Briefing
from autoresearch.session.constraints import Constraints
from autoresearch.session.context import SessionContext
from autoresearch.session.describe import Columns
from autoresearch.session.evidence import Evidence
from autoresearch.session.fallback import AgentHealth
from autoresearch.session.tool_access import note_same
from autoresearch.source.contract import syntax_complaint
from autoresearch.source.diff import unified_diff
from autoresearch.source.parsing import explain
from autoresearch.source.rebase import rebase_change
from autoresearch.tools.model_tools import ModelTools
from autoresearch.workspace.texts import merge_texts

MAX_BROKEN = 10  # broken proposals in a row that end a session without a stand-in
UNUSABLE_RETRY_S = 3600.0  # until an agent that cannot work is asked again: the user may have bought credit
Answer = tuple[Proposal, str | None]  # a proposal, and its defect if it is broken and belongs in the history
SAFE = "Several proposals in a row could not be used. Make one small change now, and check that it applies."


@dataclass(frozen=True)
class Refusal:
    """The verdict (`invalid` or `duplicate`) and the reason for a proposal not to be measured."""

    verdict: str
    reason: str


@dataclass(frozen=True)
class CheckedProposal:
    """A proposal, its agent, the brief that it answers, and the refusal if it is refused."""

    proposal: Proposal
    agent: Agent
    brief: Brief
    refusal: Refusal | None
    trace: list[JsonObject]  # how it was made, with the attempts that failed


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

    def obtain(self, brief: Brief) -> CheckedProposal:
        """Return a proposal that passed, or the last one with its refusal. Raises Exhausted.

        An agent is told why it was refused (`brief.feedback`) and may try again `agent.repairs` times.
        """
        tries, self.attempts = 0, Attempts()
        while True:
            agent = self._next_agent(brief)
            shown = brief if agent is self.agent else brief.without_openings()
            if (answer := self._ask(agent, shown)) is None:
                continue
            proposal, defect = answer
            if defect:
                refusal: Refusal | None = Refusal("invalid", defect)
            else:
                proposal, refusal = self._choose(proposal, shown.incumbent)
            tries += 1
            if refusal is None or defect or tries > agent.repairs:
                return CheckedProposal(proposal, agent, shown, refusal, self.attempts.trace)
            self.attempts.send_back(brief, f"{refusal.verdict}: {refusal.reason}")

    def _choose(self, proposal: Proposal, incumbent: int) -> tuple[Proposal, Refusal | None]:
        """Return the first proposal of a conversation that passes, with the others as `more`; if none, the first."""
        proposals = [replace(proposal, more=()), *proposal.more]
        refusals = [self.refusal(each) for each in proposals]
        noted = [
            each if refused else self._note_same(each, incumbent)
            for each, refused in zip(proposals, refusals, strict=True)
        ]
        k = refusals.index(None) if None in refusals else 0
        known = len(proposal.trace) if k == 0 else 0  # entries that are in the trace of the attempts already
        self.attempts.trace += noted[k].trace[known:]
        return replace(noted[k], more=tuple(noted[:k] + noted[k + 1 :])), refusals[k]

    def _note_same(self, proposal: Proposal, incumbent: int) -> Proposal:
        """Note whether a proposal that is not meant as a gain computes the same function; an error leaves it open."""
        try:
            return note_same(proposal, incumbent, self.tools)
        except Exception as error:
            if not is_unexpected(error):
                raise
            self.attempts.note_failure(error)
            return proposal

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

    def _ask(self, agent: Agent, brief: Brief) -> Answer | None:
        """Ask an agent once; return None if another attempt is needed."""
        started = time.time()
        try:
            proposal = self.attempts.ask(agent, brief)
        except BadProposal as bad:
            return self._handle_broken(agent, brief, bad, started)
        except (Unavailable, Unusable, Spent) as away:
            self._handle_absence(agent, brief, away, started)
            return None
        self.broken_in_a_row = 0
        if agent is self.agent:
            self.health = self.health.after_good()
        self._emit("proposed", brief, proposal.hypothesis, started)
        return proposal, None

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

    def propose(self, wanted: int = 1) -> list[Experiment]:
        """Record what the agent proposes next, one change or up to `wanted`. Raises Exhausted."""
        context, started = self.context, time.time()
        brief = replace(self.briefing.write(self._next_number()), proposals=wanted)
        with context.lock.released():
            checked = self.proposer.obtain(brief)
        first = self._next_number()
        context.ledger.renumber(context.id, brief.n, first, started)
        more = checked.proposal.more[: wanted - 1]
        shared = {CONVERSATION: first} if more else {}
        with context.ledger.transaction():  # all of a conversation, or nothing
            trace = [{"kind": "brief", "text": checked.brief.render()}, *checked.trace]
            rows = [self._add(checked, checked.proposal, checked.refusal, trace, shared)]
            rows += [self._add_another(checked, proposal, first) for proposal in more]
        return rows

    def _add_another(self, checked: CheckedProposal, proposal: Proposal, first: int) -> Experiment:
        """Record a further proposal of the conversation of experiment `first`."""
        self.context.emit("proposed", self._next_number(), proposal.hypothesis, conversation=first)
        trace = [{"kind": CONVERSATION, "text": f"made in the conversation of experiment {first}"}, *proposal.trace]
        return self._add(checked, proposal, self.proposer.refusal(proposal), trace, {CONVERSATION: first})

    def _add(
        self,
        checked: CheckedProposal,
        proposal: Proposal,
        refusal: Refusal | None,
        trace: list[JsonObject],
        shared: JsonObject,
    ) -> Experiment:
        brief = self._brief_of(proposal, checked.brief)
        columns = describe.proposal_columns(replace(proposal, params=proposal.params | shared), brief) | {
            "agent": checked.agent.name,
            "model": checked.agent.model,
            "program_hash": hashlib.sha256(brief.program.encode()).hexdigest()[:16],
        }
        return self._record(proposal.text, brief.source, refusal, trace, columns)

    def _brief_of(self, proposal: Proposal, brief: Brief) -> Brief:
        """Return the brief that a proposal answers; the one of now if it changes a version that is newer than it."""
        n = proposal.start_from
        if n is None or n <= max(past.n for past in brief.history):
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
        n = self._next_number()
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

    def _next_number(self) -> int:
        return 1 + require(newest(self.context.ledger, self.context.row))
