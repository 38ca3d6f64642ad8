"""Lay out the state of a session."""

from autoresearch.hardware import EVALUATOR
from autoresearch.ledger.session_status import SessionStatus
from autoresearch.metric import EXACT, VAL_BPB, describe_gain
from autoresearch.report.blocks import Pairs
from autoresearch.report.format import between, count, dollars, duration, moment, money, name_score, shares, trial_words
from autoresearch.text import one_line

STATES = {
    "interrupted": "interrupted (its process is gone); `autoresearch run --tag {tag}` continues it",
    "paused": "paused; `autoresearch unpause` continues it",
}
UNMEASURED = "replaced by the same change to a newer incumbent, in conflict with it, or late"
GRADES = {"WEAK": "WEAK: not everything is protected, see `autoresearch doctor`"}


def facts(status: SessionStatus) -> dict[str, str]:
    """Return single facts by name, `-` for unknown ones."""
    total, metric, scores = status.total, status.metric, [status.base_bpb, status.best_bpb if status.best else None]
    base, best = ("-" if score is None else metric.score(score) for score in scores)
    return {
        "state": status.state,
        "agent": one_line(status.agent, 40),
        "judge": one_line(status.judge, 20),
        "budget": one_line(status.budget or "-", 20),
        "experiments": str(status.experiments),
        "kept": str(status.kept) + (f", {status.simpler} at the same score" if status.simpler else ""),
        "base": base,
        "score": f"{base} → {best}" if status.best else base,
        "honest total": f"{metric.change(total.mean)}, {between(total, metric.change)}" if total else "not measured",
        "noise of one trial": _noise(status),
        "time": duration(status.seconds),
        "never measured": str(status.unmeasured),
        "money": dollars(status.cost_usd),
        "protection": status.grade or "-",
    }


def _noise(status: SessionStatus) -> str:
    if status.metric.kind == EXACT:
        return "none"
    return "-" if status.sigma is None else status.metric.spread(status.sigma)


def confirmation(status: SessionStatus) -> str:
    """Return whether fresh seeds confirmed the gain of the incumbent; empty without a keep."""
    total = status.total
    if not status.best:
        return ""
    if total is None:
        return ", not confirmed yet"
    if total.final != status.best:
        return f", not confirmed yet: the total is that of {total.final}"
    if total.high < 0:
        return ", confirmed"
    return ", not confirmed: worse" if total.low > 0 else ", not confirmed: no difference is shown"


def layout(status: SessionStatus, now: float) -> Pairs:
    """Lay out the state at `now`, suspects first; names without a value are left out."""
    suspects = status.verdicts.get("suspect", 0)
    slots = f" on {status.slots} slots" if status.slots > 1 else ""
    ended = status.state == "ended"
    pairs = {
        "suspects": f"{suspects}: read them first, `autoresearch log` lists them" if suspects else "",
        "session": f"{status.tag} on branch {status.branch}",
        "base": str(status.started_from or ""),
        "evaluator": _evaluator(status),
        "state": _reason(status) if ended else _state(status),
        "now": _trial(status, now),
        "setup": f"agent {status.agent}, judge {status.judge}, budget {status.budget or '-'}",
        "number": status.belief or "",
        "started": moment(status.started, now) if status.started else "",
        "deadline": moment(status.deadline, now) if status.deadline and not ended else "",
        "ended": moment(status.ended, now) if status.ended else "",
        "experiments": _experiments(status),
        "score": _score(status),
        "total": _total(status),
        "holdout": _holdout(status),
        "target": describe_target(status),
        "power": describe_power(status),
        "reviews": _reviews(status),
        "machine": _machine(status, now),
        "nodes": "; ".join(node.describe() for node in status.nodes),
        "grade": GRADES.get(status.grade or "", status.grade or ""),
        "cost": money(status) if status.cost_usd != 0 else "",
        "time": f"{duration(status.seconds)}{slots}: {shares(status.time_split)}".removesuffix(": "),
    }
    return Pairs({name: value for name, value in name_score(pairs, status.metric).items() if value})


def is_current(status: SessionStatus) -> bool:
    """Return whether this program's evaluator measured the session, so that it can be measured further."""
    return status.evaluator == EVALUATOR


def _state(status: SessionStatus) -> str:
    words = STATES.get(status.state, status.state).format(tag=status.tag)
    return words if is_current(status) else words.partition(";")[0]


def _evaluator(status: SessionStatus) -> str:
    if is_current(status):
        return ""
    anew = f"`autoresearch run --from {status.tag}` starts a new session from its best version"
    return f"{status.evaluator}, not {EVALUATOR} as this program has: it can only be read; {anew}"


def _reason(status: SessionStatus) -> str:
    error = f": {one_line(status.error)}" if status.error else ""
    return f"ended: {status.stop_reason}{error}"


def _trial(status: SessionStatus, now: float) -> str:
    if (trial := status.trial) is None:
        return ""
    more = f", and {trial.others} more" if trial.others else ""
    return f"experiment {trial.n}, {trial_words(trial.purpose)}, for {duration(now - trial.started)}{more}"


def _experiments(status: SessionStatus) -> str:
    counts = status.verdicts
    if status.unmeasured:
        counts = counts | {"discard": counts["discard"] - status.unmeasured, "never measured": status.unmeasured}
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    parts = [f"{number} {verdict}" for verdict, number in ranked if number]
    notes = [f"{status.simpler} of the kept: no gain, at the same score"] if status.simpler else []
    notes += [f"never measured: {UNMEASURED}"] if status.unmeasured else []
    explained = f" ({'; '.join(notes)})" if notes else ""
    return str(status.experiments) + (f": {', '.join(parts)}{explained}" if parts else "")


def describe_power(status: SessionStatus) -> str:
    """Say which gain the session can show, in how many experiments; empty if that is not known."""
    if (power := status.power) is None:
        return ""
    many = "" if power.experiments is None else f", {count(power.experiments, 'experiment')}"
    how = "" if status.metric.kind == EXACT else " with a probability of 80 %"
    return f"{describe_gain(power.gain, status.metric)} is kept{how}{many}"


def _reviews(status: SessionStatus) -> str:
    """Return the reviews of a session that has ended, or that has some."""
    if not status.kept or not (status.state == "ended" or any(status.reviews.values())):
        return ""
    words = ", ".join(f"{number} {word}" for word, number in status.reviews.items() if number) or "none"
    hint = "" if sum(status.reviews.values()) >= status.kept else ": `autoresearch review N`"
    return f"{words} of {status.kept} kept{hint}"


def _machine(status: SessionStatus, now: float) -> str:
    """Return the last drift of the scores, and how many trials were lost."""
    drift = f"{moment(status.drift.at, now)} {one_line(status.drift.text)}" if status.drift else ""
    lost = f"{count(status.lost, 'trial')} lost, and run again" if status.lost else ""
    return "; ".join(filter(None, (drift, lost)))


def _score(status: SessionStatus) -> str:
    base, best, metric = status.base_bpb, status.best_bpb, status.metric
    if base is None:
        return ""
    noise = f", sigma {metric.spread(status.sigma)}" if status.sigma else ""
    direction = "" if metric == VAL_BPB else f"; {metric.direction}"
    if best is None or not status.best:
        return f"{metric.score(base)}, the base{noise}{direction}"
    where = f"experiment {status.best}, {(status.best_sha or '')[:7]}"
    gain = metric.change(metric.difference(best, base))
    return f"{metric.score(base)} -> {metric.score(best)} ({gain} as the search saw it{noise}{direction}), {where}"


def _total(status: SessionStatus) -> str:
    total = status.total
    if total is None:
        hint = status.state == "ended" and status.best and is_current(status)
        words = "not measured yet: `autoresearch total`" if status.has_holdout else "none: there is no holdout"
        return words if hint else ""
    change = status.metric.change
    against = f"(experiment {total.final} against the base, measured again)"
    return f"{change(total.mean)}, {between(total, change)} {against}"


def describe_target(status: SessionStatus) -> str:
    """Return the target, and how long it took; empty without one."""
    target = status.target
    if target is None:
        return ""
    score = status.metric.score(target.val_bpb)
    if target.n is None or target.seconds is None or target.experiments is None:
        return f"{score}, not reached{'' if status.state == 'ended' else ' yet'}"
    spent = f"{duration(target.seconds)}, {count(target.experiments, 'experiment')}"
    return f"{score}, reached by experiment {target.n}; time to target: {spent}"


def _holdout(status: SessionStatus) -> str:
    """Return the honest total on the text by which nothing was chosen."""
    holdout = status.total.holdout if status.total else None
    change = status.metric.change
    return f"{change(holdout.mean)}, {between(holdout, change)}" if holdout else ""
