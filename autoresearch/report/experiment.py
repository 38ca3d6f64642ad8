"""Lay out one experiment, and the trace of its proposal."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from autoresearch.analysis.experiment_details import ExperimentDetails
from autoresearch.files import JsonObject
from autoresearch.hardware import peak_tflops
from autoresearch.ledger import Review, Trial
from autoresearch.ledger.guard_values import guard_means, has_passed
from autoresearch.ledger.rows import FILLER, TRANSFER
from autoresearch.ledger.statements import describe_odds, has_wrong_sign
from autoresearch.measure.facts import describe_speed
from autoresearch.metric import VAL_BPB, Metric
from autoresearch.report.blocks import Block, Code, Curve, Curves, Heading, Pairs, Paragraph, Table, Verbatim
from autoresearch.report.format import change, count, duration, name_score, outcome, score_label, short_count, tone
from autoresearch.sandbox.grade import describe
from autoresearch.text import one_line, plain_text, plausible

BRIEF = ("by", "predicted", "measured", "probability", "guards", "review", "ablation")  # facts in a report
MIN_PREDICTION = 5e-5  # bits per byte; less is written as +0.0000
OWN_CURVES = 3  # of the newest trials
MAX_FILLERS = 6  # rows of a table; more become one
OPENING_CHARS = 60  # of the opening that an agent says it took
TRACE_CHARS = 2000  # of one entry of a trace
RANKS = {"grade": 1, "pool": 1, "seed": 2, "holdout": 3, "training": 4, "scoring": 5, "setup": 6, "why": 7}


def layout(details: ExperimentDetails) -> Iterator[Block]:
    """Lay out everything that is known of an experiment."""
    experiment = details.experiment
    origin = f"derived from {experiment.parent}" if experiment.n else "the base"
    if details.baseline and details.is_chained:
        origin += f", compared with {details.baseline.n}"
    yield Heading(f"experiment {experiment.n}, {origin}, {(experiment.sha or 'no commit')[:12]}", 1)
    yield verdict(details)
    yield Pairs(facts(details))
    if details.trials:
        yield trials(details)
    shown = curves(details)
    if any(len(curve.points) > 1 for curve in shown):
        yield Heading("training loss, as train.py reports it", 3)
        yield Curves(shown, "seconds of training", "loss", "curves")
    if details.patch:
        yield Heading(change_title(details), 3)
        yield Code(details.patch, "diff")
    if prints := details.prints:
        program = "train.py" if details.metric == VAL_BPB else "the command"
        yield Heading(f"what {program} printed last", 3)
        yield Code("\n".join(f"> {line}" for line in prints))


def change_title(details: ExperimentDetails) -> str:
    """Return a title for the change, with its baseline if it was derived from another version."""
    return f"the change to experiment {details.baseline.n}" if details.baseline and details.is_chained else "the change"


def brief(details: ExperimentDetails) -> Iterator[Block]:
    """Lay out the verdict and its evidence, for a report on many experiments."""
    yield replace(verdict(details), tone="")
    hidden = "probability" if details.experiment.simpler else ""
    pairs = {**_proposal(details), **_scores(details), **_resources(details)}
    yield Pairs({name: pairs[name] for name in BRIEF if pairs[name] and name != hidden})
    yield trials(details)


def trace(entries: Sequence[JsonObject]) -> Iterator[Block]:
    """Lay out how a proposal came about, entry by entry."""
    if not entries:
        yield Paragraph(["no trace: the base has none, nor have proposals of older versions of autoresearch"])
    for entry in entries:
        rest = {name: value for name, value in entry.items() if name not in ("kind", "text")}
        parts = [str(entry["text"])] if "text" in entry else []
        text = "\n".join([*parts, *([json.dumps(rest, indent=1, ensure_ascii=False)] if rest else [])])
        more = f"\n[... {len(text) - TRACE_CHARS} more characters: --json has them]" if len(text) > TRACE_CHARS else ""
        yield Heading(f"--- {one_line(str(entry.get('kind')), 200)}", 3)
        yield Code(plain_text(text[:TRACE_CHARS]) + more)


def verdict(details: ExperimentDetails) -> Paragraph:
    """Lay out the verdict with its reason, or the state of an unsettled experiment."""
    experiment = details.experiment
    if experiment.verdict is None:
        return Paragraph([experiment.state], "large")
    near = " (a near miss)" if experiment.near_miss else ""
    return Paragraph(
        [f"{experiment.verdict}{near}: {one_line(experiment.reason)}"], f"large {tone(experiment.verdict)}"
    )


def facts(details: ExperimentDetails) -> dict[str, str]:
    """Return what is known of an experiment by name; names without a value are left out."""
    cost = details.experiment.cost_usd
    costs = {"size": _size(details), "code": _code(details), "cost": f"${cost:.3f}" if cost else ""}
    pairs = {**_proposal(details), **_scores(details), **costs, **_resources(details)}
    return {name: value for name, value in name_score(pairs, details.metric).items() if value}


def _proposal(details: ExperimentDetails) -> dict[str, str]:
    experiment = details.experiment
    who = " ".join(filter(None, (experiment.agent, experiment.model)))
    who = f"{experiment.arm} ({who})" if experiment.arm not in (None, who) else who
    line = f", line of experiment {experiment.line}" if experiment.line is not None else ""
    said = one_line(str(experiment.params.get("opening") or ""), OPENING_CHARS)
    opening = f" (its agent said: {said})" if said else ""
    return {
        "hypothesis": one_line(experiment.hypothesis),
        "made of": f"the changes of experiments {', '.join(map(str, experiment.pooled))}" if experiment.pooled else "",
        "changed": _changed(details) if experiment.model or details.is_chained else "",
        "by": one_line(", ".join((who, *experiment.categories))) if who else "",
        "mode": f"{one_line(experiment.mode)}{line}{opening}" if experiment.mode else "",
        "program.md": Verbatim((experiment.program_hash or "")[:8]),
        "review": review(details.review) if details.review else "",
        "ablation": one_line(details.part.describe(details.metric)) if details.part else "",
    }


def _changed(details: ExperimentDetails) -> str:
    since = f", against experiment {details.baseline.n}" if details.baseline and details.is_chained else ""
    return f"{one_line(details.change)}{since}" if details.change else ""


def _scores(details: ExperimentDetails) -> dict[str, str]:
    experiment = details.experiment
    return {
        "score": _score(experiment.val_bpb, details.metric),
        "predicted": _prediction(details),
        "measured": _measured(details),
        "rows": _rows(details),
        "tasks": _tasks(details),
        "probability": "" if experiment.p_gain is None else f"{describe_odds(experiment.p_gain)} that it is better",
        "guards": _guards(details),
    }


def _guards(details: ExperimentDetails) -> str:
    """Return the numbers that have a limit beside the baseline's, and whether the commands were passed."""
    before = guard_means(details.baseline.judging_trials) if details.baseline else {}
    than = {name: f" (before: {value:.4g})" for name, value in before.items()}
    parts = [f"{name} {mean:.4g}{than.get(name, '')}" for name, mean in guard_means(details.judging_trials).items()]
    return ", ".join([*parts, *(["all commands passed"] if has_passed(details.judging_trials) else [])])


def _resources(details: ExperimentDetails) -> dict[str, str]:
    ended = [trial for trial in details.search_trials if trial.result.get("layers")]
    good = [trial for trial in ended if trial.outcome == "ok"]
    result = (good or ended)[-1].result if ended else {}
    later = f", and {_total_time(details.later_trials)} to measure it again" if details.later_trials else ""
    peaks = [trial.peak_mb for trial in details.search_trials if trial.peak_mb]
    speed = describe_speed(result, peak_tflops((result.get("identity") or {}).get("gpu"))) if result else ""
    grades = {trial.grade for trial in details.search_trials if trial.grade}
    audit = result.get("audit")
    return {
        "time": f"{_total_time(details.search_trials)}{later}" if details.trials else "",
        "memory": f"{max(peaks) / 1024:.1f} GiB of the card at the peak" if peaks else "",
        "training": f"{speed}, as train.py says" if speed else "",
        "margin": _margin(details.search_trials),
        "audit": f"{audit['n']:.0f} positions, {audit['d_mean']:+.1e} nats from the claim" if audit else "",
        "protection": f"{' and '.join(sorted(grades))}: {describe(result['layers'])}" if grades and result else "",
        "unprotected": "; ".join(map(one_line, result.get("weaknesses") or [])),
    }


def _margin(trials: Sequence[Trial]) -> str:
    """Return the smallest share of the budget that was left when a trial had saved."""
    margins = [found for trial in trials if (found := plausible(trial.result.get("margin"))) is not None]
    return f"at least {100 * min(margins):.1f} % of the budget was left when it had saved" if margins else ""


def _measured(details: ExperimentDetails) -> str:
    """Return the difference with its error, its baseline, and the sigma by which it was judged."""
    experiment, error = details.experiment, details.error
    if experiment.delta is None:
        return ""
    metric = details.metric
    parts = [change(experiment, metric), *([f"give or take {metric.spread(error)}"] if error else [])]
    against = f" against the mean of experiment {details.baseline.n}" if details.baseline else ""
    sigma = f"; sigma was {metric.spread(experiment.sigma)} then" if experiment.sigma else ""
    return f"{', '.join(parts)}{against}{sigma}"


def _prediction(details: ExperimentDetails) -> str:
    predicted, delta, error = details.experiment.predicted, details.experiment.delta, details.error
    if predicted is None:
        return ""
    if abs(predicted) < (MIN_PREDICTION if details.metric == VAL_BPB else sys.float_info.min):
        return "no change"
    wrong = delta is not None and has_wrong_sign(predicted, delta, error)
    return f"{details.metric.change(predicted)}{': the sign was wrong' if wrong else ''}"


def _rows(details: ExperimentDetails) -> str:
    rows = details.rows
    if rows is None:
        return ""
    before = details.baseline.n if details.baseline else None
    better = f"{rows.better} of {rows.count} are better than in experiment {before}"
    return f"{better}: {rows.delta:+.4f}, give or take {rows.error:.4f} by the choice of rows"


def _tasks(details: ExperimentDetails) -> str:
    tasks = details.tasks
    if tasks is None:
        return ""
    before = f"experiment {details.baseline.n}" if details.baseline else "before"
    return f"{tasks.better} of {tasks.count} are solved better than in {before}, {tasks.worse} worse"


def _size(details: ExperimentDetails) -> str:
    lines = details.lines_changed
    parts = [f"+{lines[0]} -{lines[1]} lines"] if lines is not None else []
    params, before = _params(details), _params(details.baseline)
    if params:
        more = f" ({short_count(params - before)})" if before and params != before else ""
        parts.append(f"{params / 1e6:.3g}M parameters{more}")
    return ", ".join(parts)


def _code(details: ExperimentDetails) -> str:
    """Return lines and tokens of code, and the differences to the baseline's."""
    size, before = details.size, details.baseline.size if details.baseline else None
    if size is None:
        return ""
    differs = before is not None and (before.lines, before.tokens) != (size.lines, size.tokens)
    more = f" ({size.lines - before.lines:+d}, {size.tokens - before.tokens:+d})" if before and differs else ""
    return f"{size.lines:,} lines and {size.tokens:,} tokens{more}"


def _params(details: ExperimentDetails | None) -> float:
    return max((trial.num_params or 0.0 for trial in details.search_trials), default=0.0) if details else 0.0


def _total_time(trials: Sequence[Trial]) -> str:
    lasted = [trial.ended - trial.started for trial in trials if trial.ended is not None]
    return f"{duration(sum(lasted))} in {count(len(lasted), 'trial')}"


def review(record: Review) -> str:
    note = f": {one_line(record.note)}" if record.note else ""
    return f"{record.word} by {one_line(record.by) or 'somebody'}{note}"


def _score(value: float | None, metric: Metric) -> str:
    return "" if value is None else metric.exact_score(value)


def trials(details: ExperimentDetails) -> Table:
    """Lay out the trials of the search, those of incumbents beside them, and later ones; many fillers in one row."""
    fillers = [trial for trial in details.search_trials if trial.purpose == FILLER]
    grouped = fillers if len(fillers) > MAX_FILLERS else []
    named = [(trial.purpose, trial) for trial in details.search_trials if trial not in grouped]
    named += [(f"of {n}, beside it", trial) for n, trial in details.beside]
    blob = details.experiment.blob  # of this version; others are the final version without its change
    named += [(_later_name(trial) if trial.blob == blob else "without it", trial) for trial in details.later_trials]
    metric = details.metric
    rows = [_cells(name, trial, metric) for name, trial in named]
    rows += [_sum_up(grouped, metric)] if grouped else []
    head = [name for name in rows[0] if any(row[name] for row in rows)] if rows else []
    label = score_label((*RANKS, "trial", "outcome"), metric)
    titles = [label if name == "score" else name for name in head]
    numbers = frozenset({"seed", label, "holdout", "training", "setup", "scoring"})
    return Table(titles, [[row[name] for name in head] for row in rows], numbers, RANKS)


def _later_name(trial: Trial) -> str:
    return f"{TRANSFER} at {trial.result.get('budget', '-')}" if trial.purpose == TRANSFER else trial.purpose


def _sum_up(fillers: Sequence[Trial], metric: Metric) -> dict[str, str]:
    """Return one row for fillers: how many there are, and the mean of those with a score."""
    scores = [metric.to_scale(trial.val_bpb) for trial in fillers if trial.val_bpb is not None]
    words = f"{len(scores)} with a score, of which this is the mean" if scores else "none with a score"
    mean = _score(metric.from_scale(fmean(scores)), metric) if scores else ""
    return dict.fromkeys(RANKS, "") | {"trial": count(len(fillers), "filler"), "outcome": words, "score": mean}


def _cells(name: str, trial: Trial, metric: Metric) -> dict[str, str]:
    def time(seconds: float | None) -> str:
        return duration(seconds) if trial.outcome == "ok" and seconds is not None else ""

    return {
        "trial": name,
        "pool": str(trial.result.get("pool") or ""),
        "seed": str(trial.seed),
        "outcome": outcome(trial),
        "score": _score(trial.val_bpb, metric),
        "holdout": _score(trial.holdout_bpb, metric),
        "training": time(trial.train_seconds),
        "setup": time(trial.setup_seconds),
        "scoring": time(trial.score_seconds),
        "grade": trial.grade or "",
        "why": one_line(trial.reason, 80),
    }


def curve(trial: Trial, name: str = "") -> Curve:
    """Return the loss of a trial over the seconds of its training."""
    return Curve(name or f"{trial.purpose}, seed {trial.seed}", trial.losses)


def curves(details: ExperimentDetails) -> list[Curve]:
    """Return the curves of the newest good trials, newest first, and one of the baseline."""
    before = details.baseline
    newest = sorted(details.judging_trials, key=lambda trial: (trial.outcome != "ok", -trial.id))
    own = [curve(trial) for trial in newest[:OWN_CURVES]]
    return [*own, *([curve(trial, f"experiment {before.n}") for trial in before.good_trials[-1:]] if before else [])]
