"""From a brief to a proposal that may cost GPU time: asked for, checked, sent back with the reason if refused."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autoresearch import source
from autoresearch.agents import Agent, BadProposal, Exhausted, Proposal
from autoresearch.brief import Brief
from autoresearch.ledger import Experiment

BROKEN_LIMIT = 10  # proposals in a row that cannot even be recorded end the session


@dataclass(frozen=True)
class Refusal:
    """Why a proposal is not measured: `invalid` or `duplicate`, and the reason."""

    verdict: str
    reason: str


def obtain(
    agent: Agent, brief: Brief, earlier: list[Experiment], tell: Callable[..., None]
) -> tuple[Proposal, Refusal | None]:
    """A proposal that passed the checks, or the last refused one with the refusal. Raises Exhausted.

    An agent hears why it was refused (`brief.feedback`) and may try again `agent.repairs` times. `tell(kind, n,
    text, **data)` hears of every attempt.
    """
    for _ in range(agent.repairs + 1):
        proposal, broken = _ask(agent, brief, tell)
        refusal = Refusal("invalid", broken) if broken else refused(proposal, earlier)
        if refusal is None or broken:
            break
        brief.feedback.append(f"{refusal.verdict}: {refusal.reason}")
    return proposal, refusal


def refused(proposal: Proposal, earlier: list[Experiment]) -> Refusal | None:
    """Why the text must not be measured; None if it may."""
    try:
        fingerprint = source.fingerprint_without_seed(proposal.text)
    except SyntaxError as error:
        return Refusal("invalid", f"train.py does not parse: line {error.lineno}: {error.msg}")
    for other in earlier:
        if other.fingerprint == fingerprint and other.verdict != "duplicate":
            reason = f"the same program as experiment {other.n}, seeds aside: they are the referee's"
            return Refusal("duplicate", reason)
    return None


def _ask(agent: Agent, brief: Brief, tell: Callable[..., None]) -> tuple[Proposal, str | None]:
    """A proposal; with the reason where it is a broken one that the agent wants remembered."""
    for _ in range(BROKEN_LIMIT):
        started = time.time()
        try:
            proposal = agent.propose(brief)
        except BadProposal as bad:
            tell("broken", brief.n, str(bad), **_took(started))
            if bad.params:
                return Proposal(brief.source, f"broken proposal: {bad}", params=bad.params), str(bad)
            brief.feedback.append(str(bad))
            continue
        tell("proposed", brief.n, proposal.hypothesis, **_took(started))
        return proposal, None
    raise Exhausted(f"{agent.name} gave {BROKEN_LIMIT} broken proposals in a row")


def _took(started: float) -> dict[str, Any]:
    return {"seconds": round(time.time() - started, 3)}
