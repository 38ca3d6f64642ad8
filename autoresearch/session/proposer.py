"""From a brief to a proposal that may cost GPU time: asked for, checked, sent back with the reason if refused.

An agent that is broken or away never ends the night: `sweep` proposes in its place until it is worth another try.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoresearch import ledger
from autoresearch.agents.base import Agent, BadProposal, Exhausted, Proposal, Spent, Unavailable, Unusable
from autoresearch.brief.brief import Brief
from autoresearch.errors import require
from autoresearch.judge import SIMPLER_MODES
from autoresearch.ledger import Experiment, Ledger, Session, duplicates
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.session import describe
from autoresearch.session.briefing import Briefing
from autoresearch.session.constraints import Constraints
from autoresearch.session.evidence import Evidence
from autoresearch.session.fallback import AgentHealth
from autoresearch.session.pipeline import SessionLock
from autoresearch.session.rebase import carried
from autoresearch.source.diff import unified_diff
from autoresearch.workspace.workspace import Workspace

BROKEN_LIMIT = 10  # proposals in a row that cannot even be recorded end a session without a stand-in
UNUSABLE_FOR = 3600.0  # s until an agent that cannot work is asked again: credit may have been bought
SAFE = "Several proposals in a row could not be used. Make one small change now, and check that it applies."


@dataclass(frozen=True)
class Refusal:
    """Why a proposal is not measured: `invalid` or `duplicate`, and the reason."""

    verdict: str
    reason: str


@dataclass(frozen=True)
class Obtained:
    """A proposal, whose it is, the brief that it answers, and why it is refused if it is.

    `trace` is how it came about, the attempts that came to nothing included.
    """

    proposal: Proposal
    agent: Agent
    brief: Brief
    refusal: Refusal | None
    trace: list[dict[str, Any]]


class _Again(Exception):
    """Nothing came of this turn; who proposes next may be another."""


class Proposer:
    """Asks the agent, or its stand-in, until there is something to record.

    `tell(kind, n, text, **data)` hears of every attempt, `refuses(proposal)` says why one must not be measured.
    Without a stand-in a broken agent ends the session.
    """

    def __init__(
        self,
        agent: Agent,
        stand_in: Agent | None,
        tell: Callable[..., None],
        refuses: Callable[[Proposal], Refusal | None],
    ) -> None:
        self.agent, self.stand_in, self.tell, self.refuses = agent, stand_in, tell, refuses
        self.standing = AgentHealth()
        self.broken = 0  # in a row, whoever proposed them

    def obtain(self, brief: Brief) -> Obtained:
        """A proposal that passed the checks, or the last refused one with the refusal. Raises Exhausted.

        An agent hears why it was refused (`brief.feedback`) and may try again `agent.repairs` times.
        """
        attempts = 0
        self.trace: list[dict[str, Any]] = []
        while True:
            agent = self._whose_turn(brief)
            told = brief if agent is self.agent else brief.without_direction()
            try:
                proposal, broken = self._ask(agent, told)
            except _Again:
                continue
            refusal = Refusal("invalid", broken) if broken else self.refuses(proposal)
            attempts += 1
            self.trace += proposal.trace
            if refusal is None or broken or attempts > agent.repairs:
                return Obtained(proposal, agent, told, refusal, self.trace)
            self._send_back(brief, f"{refusal.verdict}: {refusal.reason}")

    def _whose_turn(self, brief: Brief) -> Agent:
        turn = self.standing.turn(time.time())
        if turn == "stand-in" and self.stand_in is not None:
            return self.stand_in
        if turn == "other mode" and SAFE not in brief.feedback:
            brief.feedback.append(SAFE)
        return self.agent

    def _ask(self, agent: Agent, brief: Brief) -> tuple[Proposal, str | None]:
        """A proposal; with the reason where it is a broken one that the agent wants remembered."""
        started = time.time()
        try:
            proposal = _storable(agent.propose(brief))
        except BadProposal as bad:
            return self._take_broken(agent, brief, bad, started)
        except (Unavailable, Unusable, Spent) as away:
            self._take_absence(agent, brief, away, started)
            raise _Again from None
        self.broken = 0
        if agent is self.agent:
            self.standing = self.standing.after_good()
        self.tell("proposed", brief.n, proposal.hypothesis, **_took(started))
        return proposal, None

    def _take_broken(self, agent: Agent, brief: Brief, bad: BadProposal, started: float) -> tuple[Proposal, str]:
        self.tell("broken", brief.n, f"{agent.name}: {bad}", **_took(started))
        self.broken += 1
        if agent is self.agent and self.stand_in is not None:
            self.standing = self.standing.after_broken(time.time())
        elif self.broken >= BROKEN_LIMIT:
            raise Exhausted(f"{agent.name} gave {BROKEN_LIMIT} broken proposals in a row")
        if bad.params:
            return Proposal(brief.source, f"broken proposal: {bad}", params=bad.params, trace=bad.trace), str(bad)
        self.trace += bad.trace
        self._send_back(brief, str(bad))
        raise _Again

    def _send_back(self, brief: Brief, reason: str) -> None:
        brief.feedback.append(reason)
        self.trace.append({"kind": "sent back", "text": reason})

    def _take_absence(self, agent: Agent, brief: Brief, away: Exception, started: float) -> None:
        if agent is not self.agent or self.stand_in is None:
            raise away
        self.standing = self.standing.after_unavailable(_back_at(away))
        words = f"{agent.name} cannot be asked ({away}): {self.stand_in.name} proposes meanwhile"
        self.tell("absent", brief.n, words, **_took(started))


def refused(
    proposal: Proposal, ledger: Ledger, session_id: int, constraints: Constraints | None = None
) -> Refusal | None:
    """Why the text must not be measured; None if it may."""
    if constraints and (words := constraints.too_long(proposal.text)):
        return Refusal("invalid", words)
    if proposal.mode in SIMPLER_MODES:  # what it goes back to was measured once, against another incumbent
        return None
    try:
        twin = duplicates.find(ledger, session_id, proposal.text)
    except SyntaxError as error:
        return Refusal("invalid", f"train.py does not parse: line {error.lineno}: {error.msg}")
    return Refusal("duplicate", str(twin)) if twin else None


def _storable(proposal: Proposal) -> Proposal:
    """The proposal, if git and the ledger can hold its text. Raises BadProposal."""
    try:
        f"{proposal.text}{proposal.hypothesis}".encode()
    except UnicodeEncodeError:
        raise BadProposal("it holds characters that UTF-8 cannot") from None
    return proposal


def _back_at(away: Exception) -> float:
    """When an agent that cannot be asked is worth another try (unix seconds)."""
    if isinstance(away, Unavailable):
        return away.retry_at
    return math.inf if isinstance(away, Spent) else time.time() + UNUSABLE_FOR


def _took(started: float) -> dict[str, Any]:
    return {"seconds": round(time.time() - started, 3)}


@dataclass
class Candidates:
    """Makes the experiments of one session after the base; the baton is put down while an agent thinks.

    A number is given when there is something to record. The one that an agent was told may be another's by then.
    """

    row: Session
    ledger: Ledger
    workspace: Workspace
    runs: Path
    briefing: Briefing
    desk: Proposer
    refused: Callable[[Proposal], Refusal | None]
    baton: SessionLock

    def propose(self, evidence: Evidence) -> Experiment:
        """What the agent proposes next. Raises Exhausted."""
        began = time.time()
        brief = self.briefing.write(evidence, self._number())
        with self.baton.released():
            obtained = self.desk.obtain(brief)
        self.ledger.renumber(self.row.id, brief.n, self._number(), began)
        proposal, brief = obtained.proposal, obtained.brief
        about = describe.by_agent(proposal, brief) | {
            "parent": brief.parent,
            "agent": obtained.agent.name,
            "model": obtained.agent.model,
            "program_hash": hashlib.sha256(brief.program.encode()).hexdigest()[:16],
        }
        trace = [{"kind": "brief", "text": brief.render()}, *obtained.trace]
        return self._record(proposal.text, brief.source, obtained.refusal, trace, about)

    def carry_over(self, old: Experiment, evidence: Evidence) -> Experiment | None:
        """The change of a candidate made to what is the incumbent now; None where the two conflict."""
        if (n := ledger.merged(self.ledger, self.row, old.n)) is not None:
            return self._whole(n)
        best, base = (require(self._whole(row.n).text) for row in (evidence.incumbent(), evidence.rival(old)))
        text = carried(self.workspace, base, require(old.text), best)
        if text is None:
            return None
        refusal = self.refused(Proposal(text, require(old.hypothesis)))
        trace = [{"kind": "merged", "text": f"experiment {old.n} onto {evidence.incumbent().n}"}]
        about = describe.inherited(old) | {"origin": old.n, "parent": evidence.incumbent().n}
        return self._record(text, best, refusal, trace, about)

    def _record(
        self,
        text: str,
        parent: str,
        refusal: Refusal | None,
        trace: list[dict[str, Any]],
        about: dict[str, Any],
    ) -> Experiment:
        n, diff = self._number(), unified_diff(parent, text)
        Artefacts(self.runs / self.row.tag / str(n)).write_proposal(diff, trace)
        if refusal:
            about |= {"verdict": refusal.verdict, "reason": refusal.reason}
        return self.ledger.add_experiment(self.row.id, n, **describe.by_text(text, parent), **about)

    def _number(self) -> int:
        return 1 + require(ledger.newest(self.ledger, self.row))

    def _whole(self, n: int) -> Experiment:
        return require(self.ledger.experiment(self.row.id, n))
