"""What is written down of an experiment: what its text says, by our own reading, what its agent claims, what was found."""

from typing import Any

from autoresearch.agents.base import Proposal
from autoresearch.brief import ideas
from autoresearch.brief.brief import Brief
from autoresearch.errors import require
from autoresearch.ledger import Experiment
from autoresearch.ledger.rows import kept_as
from autoresearch.measure.result import Result
from autoresearch.source import diff, fingerprint


def by_text(text: str, parent: str) -> dict[str, Any]:
    """The text, what tells it from others, and how it differs from the version that it was made from."""
    added, removed = diff.lines_changed(parent, text)
    known: dict[str, Any] = {}
    try:
        known["fingerprint"] = fingerprint.fingerprint_without_seed(text)
        known["shape"], known["numbers"] = fingerprint.outline(text)
    except SyntaxError:
        known = {}
    change = diff.summary(parent, text)
    return known | {"text": text, "change": change, "lines_added": added, "lines_removed": removed}


def by_agent(proposal: Proposal, brief: Brief) -> dict[str, Any]:
    """What the agent says of its change, and what it was asked for."""
    idea = ideas.find_cited(str(proposal.params.get("source") or ""), brief.ideas)
    return {
        "category": proposal.category,
        "hypothesis": proposal.hypothesis,
        "predicted": proposal.predicted,
        "params": proposal.params | ({"idea": idea} if idea else {}),
        "cost_usd": proposal.cost_usd,
        "mode": brief.direction.mode if brief.direction else proposal.mode,
        "line": brief.direction.line if brief.direction else None,
    }


def inherited(old: Experiment) -> dict[str, Any]:
    """What a change keeps of what was said about it when it is made to another version."""
    names = ("agent", "model", "category", "hypothesis", "predicted", "params", "mode", "line", "program_hash")
    return {name: getattr(old, name) for name in names}


def measured(result: Result) -> str:
    """What came of a trial."""
    if result.val_bpb is None:
        return f"{result.outcome} {result.reason}"
    return f"{result.outcome} {result.val_bpb:.4f}" + (" (a losing claim, not audited)" if result.claimed else "")


def proposed(experiment: Experiment) -> str:
    """The message of the commit of a proposal."""
    return experiment.hypothesis or f"experiment {experiment.n}"


def keep(experiment: Experiment, trials: int, grade: str | None) -> str:
    """The message of a kept commit: hypothesis and reason, and the evidence as trailers."""
    trailers = {
        "Experiment": experiment.n,
        "Val-Bpb": f"{require(experiment.val_bpb):.6f}",
        "Delta": f"{require(experiment.delta):+.6f}",
        "Sigma": f"{require(experiment.sigma):.6f}",
        "Kept-As": kept_as(experiment),
        "Trials": trials,
        "Agent": experiment.agent,
        "Grade": grade,
    }
    lines = "".join(f"{name}: {value}\n" for name, value in trailers.items())
    return f"{experiment.hypothesis}\n\n{experiment.reason}\n\n{lines}"
