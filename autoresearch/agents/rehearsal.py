"""Rehearsal: find out before a session if an agent can make an edit that applies. Nothing is trained."""

import time
from dataclasses import dataclass, replace

from autoresearch.agents.attempts import Attempts
from autoresearch.agents.base import Agent, BadProposal, Exhausted, Proposal, Unavailable, Unusable
from autoresearch.brief.brief import Brief
from autoresearch.files import JsonObject
from autoresearch.source import contract, diff
from autoresearch.source.fingerprint import fingerprint_without_seed

NOTE = "This is a rehearsal: your change is checked, but not trained."


@dataclass(frozen=True)
class Rehearsal:
    """A proposal that could be measured, or the reason why there is none."""

    proposal: Proposal | None
    reason: str | None
    seconds: float
    lines: tuple[int, int] = (0, 0)
    trace: tuple[JsonObject, ...] = ()

    def __str__(self) -> str:
        if self.proposal is None:
            return f"no proposal after {self.seconds:.0f} s: {self.reason}"
        added, removed = self.lines
        cost = "" if self.proposal.cost_usd is None else f", ${self.proposal.cost_usd:.3f}"
        facts = f"+{added} -{removed} lines, {self.seconds:.0f} s{cost}"
        return f"an edit that applies ({facts}): {self.proposal.hypothesis}"

    def require(self) -> Proposal:
        """Return the proposal. Raises Unusable (exit code 3) if there is none."""
        if self.proposal is None:
            raise Unusable(f"the agent cannot produce an edit that applies: {self.reason}")
        return self.proposal


def bare_brief(text: str, program: str = "") -> Brief:
    """Return a brief that holds a text and what the human wants, and nothing else."""
    return Brief(n=1, seed=0, program=program, source=text, incumbent=0, incumbent_score=None, sigma=0.0, history=[])


def rehearse(agent: Agent, brief: Brief) -> Rehearsal:
    """Ask for one change, with as many repairs as in a session."""
    brief = replace(brief, notes=[*brief.notes, NOTE])
    started, attempts = time.monotonic(), Attempts()
    proposal: Proposal | None = None
    reason: str | None = None
    try:
        agent.check()
        for _ in range(1 + agent.repairs):
            proposal, reason = _try_once(agent, brief, attempts)
            if reason is None:
                break
            attempts.send_back(brief, reason)
    except (Exhausted, Unavailable, Unusable) as error:
        proposal, reason = None, str(error)
    lines = diff.lines_changed(brief.source, proposal.text) if proposal else (0, 0)
    return Rehearsal(proposal, reason, time.monotonic() - started, lines, tuple(attempts.trace))


def _try_once(agent: Agent, brief: Brief, attempts: Attempts) -> tuple[Proposal | None, str | None]:
    """Return a proposal that could be measured, or the reason why there is none."""
    try:
        proposal = attempts.ask(agent, brief)
    except BadProposal as bad:
        return None, str(bad)
    reason = contract.complaint(proposal.text, brief.source)
    if reason is None and fingerprint_without_seed(proposal.text) == fingerprint_without_seed(brief.source):
        reason = "train.py is the same program as before, seeds and comments aside"
    return (None, reason) if reason else (proposal, None)
