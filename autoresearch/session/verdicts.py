"""Verdicts of experiments as columns of the ledger."""

from collections.abc import Sequence
from statistics import fmean

from autoresearch import judge
from autoresearch.errors import UserError, require
from autoresearch.ledger import Experiment, Trial
from autoresearch.ledger.rows import STOPPED
from autoresearch.ledger.statements import is_near_miss
from autoresearch.ledger.unmeasured import SUPERSEDED
from autoresearch.session import describe, kinds
from autoresearch.session.base_retry import MEND
from autoresearch.session.describe import Columns
from autoresearch.session.evidence import NEXT_PURPOSE, Evidence
from autoresearch.session.guard_odds import P_DROPPED, P_REFUSED

VERDICT_OF = {"suspect": "suspect", "invalid": "invalid"}  # of other outcomes without a score: crash


def verdict_columns(evidence: Evidence, experiment: Experiment) -> Columns:
    """Return the columns of a verdict after the last trial. Raises UserError if the base itself fails."""
    if (found := evidence.verdict_elsewhere(experiment)) is not None:
        return found
    trials = evidence.trials(experiment)
    failed = next((trial for trial in trials if trial.outcome != "ok"), None)
    if experiment.n == 0:
        return _of_base(evidence, trials, failed)
    if failed is not None:
        return _of_failure(evidence, experiment, failed)
    if (violation := evidence.violation(trials)) is not None:
        return {"verdict": "invalid", "reason": violation}
    if not trials:
        return {"verdict": "discard", "reason": _why_unmeasured(evidence, experiment)}
    decision = evidence.decide(experiment)
    most = P_REFUSED if decision.action == "keep" else P_DROPPED
    if (broken := evidence.broken_guard(experiment, most)) is not None:
        return {"verdict": "invalid", "reason": broken}
    return _of_decision(evidence, experiment, decision) | {
        "val_bpb": evidence.raw_score(experiment),
        "delta": decision.delta,
        "p_gain": decision.p_gain,
        "sigma": evidence.sigma(experiment),
    }


def _of_failure(evidence: Evidence, experiment: Experiment, failed: Trial) -> Columns:
    if failed.outcome == STOPPED:
        columns = describe.stopped_columns(failed, evidence.noise().sigma)
        if evidence.rival(experiment).found_later:  # the curve that it was behind was withdrawn
            columns["reason"] = _why_unmeasured(evidence, experiment)
        return columns
    verdict, why = VERDICT_OF.get(failed.outcome or "", "crash"), failed.result.get("reason", "")
    return {"verdict": verdict, "reason": why if failed.outcome == verdict else f"{failed.outcome}: {why}"}


def _of_decision(evidence: Evidence, experiment: Experiment, decision: judge.Decision) -> Columns:
    unconfirmed = decision.action in NEXT_PURPOSE  # the time was up
    is_withdrawn = evidence.rival(experiment).found_later  # the score with which it was compared
    if evidence.is_superseded(experiment) and (unconfirmed or is_withdrawn or decision.action == "keep"):
        return {"verdict": "discard", "reason": _why_unmeasured(evidence, experiment)}
    if unconfirmed:
        why = f"the session ended before it was confirmed: {decision.reason}"
        return {"verdict": "discard", "reason": why, "near_miss": is_near_miss(decision.p_gain)}
    near = decision.action == "discard" and is_near_miss(decision.p_gain)
    return {"verdict": decision.action, "reason": decision.reason, "near_miss": near}


def _why_unmeasured(evidence: Evidence, experiment: Experiment) -> str:
    if evidence.is_superseded(experiment):
        rival = evidence.rival(experiment)
        why = f" (experiment {rival.n}, on which it was built, is suspect)" if rival.found_later else ""
        return f"{SUPERSEDED} {evidence.incumbent().n}{why}"
    return "it was not measured: the session ended"


def _of_base(evidence: Evidence, trials: Sequence[Trial], failed: Trial | None) -> Columns:
    base, metric = f"the base {evidence.constraints.what}", evidence.metric
    if failed is not None:
        why = f"{failed.outcome}: {failed.result.get('reason', '')}"
        raise UserError(f"{base} fails ({why}): {MEND}")
    if (violation := evidence.violation(trials)) is not None:
        raise UserError(f"{base} {violation}: change it, or the limit")
    if (broken := evidence.broken_guard(evidence.context.experiment(0), P_REFUSED)) is not None:
        raise UserError(f"{base} breaks a limit ({broken}): change it, or the limit")
    kinds.check_exact(metric, [require(trial.val_bpb) for trial in trials])
    score = metric.from_scale(fmean(metric.to_scale(require(trial.val_bpb)) for trial in trials))
    return {"verdict": "keep", "reason": "the base", "val_bpb": score, "sigma": evidence.sigma()}
