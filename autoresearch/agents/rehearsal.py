"""A dry proposal: can this agent make an edit that applies? Asked before a night is spent on it; nothing is trained."""

import time
from dataclasses import dataclass

from autoresearch.agents.base import Agent, BadProposal, Exhausted, Proposal, Unavailable, Unusable
from autoresearch.brief.brief import Brief
from autoresearch.files import JsonObject
from autoresearch.source import contract, diff
from autoresearch.source.fingerprint import fingerprint_without_seed

NOTE = "This is a rehearsal: your change is checked, but not trained."


@dataclass(frozen=True)
class Rehearsal:
    """What came of it: a proposal that could be measured, or the reason why there is none."""

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
        """The proposal. Raises Unusable (exit code 3) if there is none."""
        if self.proposal is None:
            raise Unusable(f"the agent cannot produce an edit that applies: {self.reason}")
        return self.proposal


def rehearse(agent: Agent, text: str, program: str = "") -> Rehearsal:
    """Ask for one change to `text`, with as many repairs as a session would allow."""
    brief = Brief(
        n=1, seed=0, program=program, source=text, incumbent=0, incumbent_bpb=1.0, sigma=0.001, history=[], notes=[NOTE]
    )
    started = time.monotonic()
    trace: list[JsonObject] = []
    try:
        agent.check()
        for _ in range(1 + agent.repairs):
            reason, proposal = _ask(agent, brief, trace)
            if reason is None:
                break
            brief.feedback.append(reason)
    except (Exhausted, Unavailable, Unusable) as away:
        reason, proposal = str(away), None
    lines = diff.lines_changed(text, proposal.text) if proposal else (0, 0)
    return Rehearsal(proposal, reason, time.monotonic() - started, lines, tuple(trace))


def _ask(agent: Agent, brief: Brief, trace: list[JsonObject]) -> tuple[str | None, Proposal | None]:
    """Why there is no usable proposal, or the proposal."""
    try:
        proposal = agent.propose(brief)
    except BadProposal as bad:
        trace += bad.trace
        return str(bad), None
    trace += proposal.trace
    reason = _wrong(proposal.text, brief.source)
    return reason, None if reason else proposal


def _wrong(text: str, before: str) -> str | None:
    if complaint := contract.complaint(text):
        return complaint
    if fingerprint_without_seed(text) == fingerprint_without_seed(before):
        return "train.py is the same program as before, seeds and comments aside"
    return None
