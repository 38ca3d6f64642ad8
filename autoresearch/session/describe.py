"""Columns, trial lines and commit messages of an experiment."""

import math
from contextlib import suppress
from dataclasses import dataclass

from autoresearch.agents.base import Proposal
from autoresearch.brief import ideas, openings
from autoresearch.brief.brief import Brief
from autoresearch.errors import require
from autoresearch.ledger import Experiment, Session, Trial
from autoresearch.ledger.rows import ARCHIVED, ARCHIVED_BRANCH, CONVERSATION, POOL, POOLED, SAME_AS, kept_as
from autoresearch.measure.result import Result
from autoresearch.metric import VAL_BPB, Metric, read_metric
from autoresearch.source import diff, fingerprint

Columns = dict[str, object]  # of an experiment in the ledger
MEASURED_BY = {  # trailers of a keep that hold the settings by which it was measured
    "budget": "Budget",
    "device": "Device",
    "data": "Data",
    "eval_rows": "Eval-Rows",
    "judge": "Judge",
    "metric": "Metric",
    "goal": "Goal",
    "unit": "Unit",
    "kind": "Kind",
    "belief": "Belief",
    "evaluator": "Evaluator",
}
POOLED_TRAILER = "Near-Misses"  # trailer of a kept pool that names its parts
SCORES = {"delta": "Delta", "sigma": "Sigma"}  # trailers of a keep that hold columns, beside its score


def text_columns(text: str, parent: str) -> Columns:
    """Return the text, its fingerprints, and its difference from the parent."""
    change, (added, removed) = diff.summary(parent, text), diff.lines_changed(parent, text)
    columns: Columns = {"text": text, "change": change, "lines_added": added, "lines_removed": removed}
    with suppress(SyntaxError):
        shape, numbers = fingerprint.outline(text)
        columns |= {"fingerprint": fingerprint.fingerprint_without_seed(text), "shape": shape, "numbers": numbers}
    return columns


def base_columns(text: str, session: Session) -> Columns:
    """Return the columns of experiment 0."""
    hypothesis = f"the base, {session.started_from}" if session.started_from else "the base"
    return text_columns(text, text) | {"hypothesis": hypothesis, "change": None}


def proposal_columns(proposal: Proposal, brief: Brief) -> Columns:
    """Return the agent's claims on its change, and the opening that it took."""
    idea = ideas.find_cited(str(proposal.params.get("source") or ""), brief.ideas)
    known = {"idea": idea, "opening": proposal.opening, SAME_AS: proposal.same_as}
    params = {name: value for name, value in proposal.params.items() if name != SAME_AS}
    return {
        "category": proposal.category,
        "hypothesis": proposal.hypothesis,
        "predicted": None if proposal.predicted is None else brief.metric.delta(proposal.predicted),
        "params": params | {name: value for name, value in known.items() if value is not None},
        "cost_usd": proposal.cost_usd,
        **_origin_columns(proposal, brief),
    }


def _origin_columns(proposal: Proposal, brief: Brief) -> Columns:
    """Return parent, mode and line, from the opening that the agent took and the version that it changed.

    The mode is that of a branch wherever the version is not built on the incumbent: it has to beat the incumbent.
    """
    known = {past.n for past in brief.history}
    parent = proposal.start_from if proposal.start_from in known else brief.source_n
    if parent != brief.incumbent and brief.parent is not None:
        is_built_on_it = openings.built_on(brief.history, parent) == brief.incumbent
        mode = ARCHIVED if is_built_on_it else ARCHIVED_BRANCH
        return {"parent": parent, "mode": mode, "line": openings.line_of(brief.history, parent)}
    if not brief.openings:  # the agent takes none
        return {"parent": parent, "mode": proposal.mode, "line": None}
    taken = openings.find_taken(brief.openings, proposal.opening)
    mode, line = (taken.mode, taken.line) if taken else (openings.OWN_WAY, openings.line_of(brief.history, parent))
    if openings.built_on(brief.history, parent) != brief.incumbent:
        mode = openings.BRANCH
    elif mode == openings.BRANCH:  # it took the idea of an older keep to the incumbent
        mode = openings.OWN_WAY
    return {"parent": parent, "mode": mode, "line": line}


def inherited_columns(old: Experiment) -> Columns:
    """Return what still holds of a change when it is made to another version."""
    names = ("arm", "agent", "model", "category", "hypothesis", "predicted", "mode", "line", "program_hash")
    of_its_own = (CONVERSATION, SAME_AS)  # the check was of another text
    params = {name: value for name, value in old.params.items() if name not in of_its_own}
    return {**{name: getattr(old, name) for name in names}, "params": params}


def stopped_columns(trial: Trial, sigma: float) -> Columns:
    """Return the verdict of a candidate whose screening was stopped early: it has odds of a gain, and no score."""
    odds = (trial.result.get("behind") or {}).get("odds", 0.0)
    return {"verdict": "discard", "reason": trial.reason, "sigma": sigma, "p_gain": odds}


def trial_line(result: Result, metric: Metric) -> str:
    if result.ended_early:
        return "ended early"
    if result.val_bpb is None:
        return f"{result.outcome} {result.reason}"
    claimed = " (a losing claim, not audited)" if result.claimed else ""
    return f"{result.outcome} {metric.score(result.val_bpb)}{claimed}"


def with_arm(text: str, arm: str | None) -> str:
    """Return a line that says the arm, in a session with several."""
    return text if arm is None else f"{arm}: {text}"


def arm_data(arm: str | None) -> dict[str, str]:
    """Return what an event records of the arm; nothing in a session with one researcher."""
    return {} if arm is None else {"arm": arm}


def proposal_message(experiment: Experiment) -> str:
    return experiment.hypothesis or f"experiment {experiment.n}"


def keep_message(experiment: Experiment, trials: int, session: Session) -> str:
    """Return the commit message of a keep: hypothesis and reason, and as trailers the evidence and how it was found."""
    metric = session.metric
    trailers = {
        "Experiment": experiment.n,
        metric.trailer: metric.exact_score(require(experiment.val_bpb)),
        "Delta": f"{metric.sign(require(experiment.delta)):+.6f}",
        "Sigma": f"{require(experiment.sigma):.6f}",
        "Kept-As": kept_as(experiment),
        "Trials": trials,
        "Agent": experiment.agent,
        **({POOLED_TRAILER: ", ".join(map(str, experiment.pooled))} if experiment.pooled else {}),
        "Grade": session.grade,
        **{MEASURED_BY[name]: value for name, value in how_measured(session).items()},
    }
    lines = "".join(f"{name}: {value}\n" for name, value in trailers.items())
    return f"{experiment.hypothesis}\n\n{experiment.reason}\n\n{lines}"


def how_measured(session: Session) -> dict[str, str]:
    """Return what two scores must have in common to be compared, as far as the session says it."""
    facts = session.settings | {"judge": session.judge, "evaluator": session.identity.get("evaluator")}
    return {name: str(facts[name]) for name in MEASURED_BY if facts.get(name) is not None}


@dataclass(frozen=True)
class Kept:
    """A keep as its commit message tells it; `measured` is how its scores were found."""

    n: int
    columns: Columns
    measured: dict[str, str]


def read_keep_message(message: str) -> Kept | None:
    """Return number, claim and scores of a keep from its commit message; None if it is not the message of a keep."""
    *words, reason, trailers = ["", "", *message.rstrip("\n").split("\n\n")]
    values = dict(line.partition(": ")[::2] for line in trailers.splitlines())
    try:
        n, scores = int(values["Experiment"]), {name: float(values[trailer]) for name, trailer in SCORES.items()}
        metric = read_metric({name: values.get(trailer) for name, trailer in MEASURED_BY.items()})
        score = float(values.get(metric.trailer) or values[VAL_BPB.trailer])
        scores |= {"val_bpb": score, "delta": metric.sign(scores["delta"])}
    except (KeyError, ValueError):
        return None
    if n < 1 or not all(map(math.isfinite, scores.values())):
        return None
    claim: Columns = {"hypothesis": "\n\n".join(words).strip(), "reason": reason, "agent": values.get("Agent")}
    if parts := [int(part) for part in values.get(POOLED_TRAILER, "").split(", ") if part.isdecimal()]:
        claim |= {"mode": POOL, "params": {POOLED: parts}}
    measured = {name: values[trailer] for name, trailer in MEASURED_BY.items() if trailer in values}
    return Kept(n, {**claim, **scores}, measured)
