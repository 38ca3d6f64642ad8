"""Export a session: a clean branch for review, and all experiments as JSON lines.

Text of agents is quoted safely in commit messages: after a prefix of ours or indented, so that it cannot act as a
trailer, a `fixup!`, the start of a patch, or a reference to an issue or a person.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from autoresearch import ledger as package
from autoresearch.analysis.lineage import stack
from autoresearch.analysis.total import Total, recorded_totals
from autoresearch.analysis.transfer import Transfer, VersionGain, newest_transfer
from autoresearch.errors import require
from autoresearch.files import JsonObject
from autoresearch.ledger import Experiment, Ledger, Review, Session, Trial
from autoresearch.ledger.rows import TRANSFER, kept_as
from autoresearch.ledger.statements import describe_odds
from autoresearch.ledger.trials import by_experiment, judging
from autoresearch.metric import VAL_BPB, Metric
from autoresearch.text import one_line
from autoresearch.workspace.workspace import Workspace

MAX_SUBJECT_CHARS, LINE_CHARS, MAX_HYPOTHESIS_CHARS, MAX_AGENT_CHARS = 72, 76, 2000, 200


@dataclass(frozen=True)
class Branch:
    """An exported branch, with the numbers of its keeps, oldest first."""

    name: str
    sha: str
    base: str
    experiments: list[int]
    unreviewed: list[int]  # of `experiments`
    rejected: list[int]  # of `experiments`
    suspects: list[int]  # that were kept, and are not on it


@dataclass(frozen=True)
class Lineage:
    """Keeps from the base to the incumbent, with their trials and reviews."""

    session: Session
    base: Experiment
    keeps: list[Experiment]
    trials: dict[int, list[Trial]]  # judging ones, by experiment id
    beside: dict[int, list[tuple[int, Trial]]]  # incumbents' trials beside a keep, with their numbers; by keep
    reviews: dict[int, Review]  # by number
    suspects: list[int]  # keeps that were found suspect later
    total: Total | None  # newest one of base against incumbent
    transfer: Transfer | None  # the newest one, if it is of the incumbent


def read_lineage(store: Ledger, session: Session) -> Lineage:
    """Read the keeps from the base to the incumbent. Raises UserError if there are none."""
    base, *keeps = stack(store, session)
    events = store.events(session.id, kind="total")
    totals = [total for total in recorded_totals(events) if total.final == keeps[-1].n]
    transfer = newest_transfer(store.events(session.id, kind=TRANSFER))
    return Lineage(
        session,
        base,
        keeps,
        trials=by_experiment(judging(store.trials(session.id))),
        beside=package.sentinels_of(store, session, [keep.n for keep in keeps]),
        reviews=package.reviews(store, session.id),
        suspects=[row.n for row in store.experiments(session.id, verdict="suspect") if row.found_later],
        total=totals[-1] if totals else None,
        transfer=transfer if transfer and transfer.whole.n == keeps[-1].n else None,
    )


def create_branch(
    lineage: Lineage, workspace: Workspace, name: str, squash: bool = False, force: bool = False
) -> Branch:
    """Create a branch on the user's base, with one commit for each keep or, squashed, for all.

    If the session's base differs from the user's text (constants of a CPU profile), it gets the first commit.
    Raises UsageError and UserError as `Workspace.set_branch` does.
    """
    keeps, tip = lineage.keeps, lineage.session.base_sha
    text = workspace.read(require(lineage.base.sha))
    if text != workspace.read(tip):
        tip = workspace.write(tip, text, _base_message(lineage))
    if squash:
        tip = workspace.write(tip, workspace.read(require(keeps[-1].sha)), _squash_message(lineage))
    else:
        for keep in keeps:
            tip = workspace.write(tip, workspace.read(require(keep.sha)), message(lineage, keep))
    workspace.set_branch(name, tip, force)
    numbers = [keep.n for keep in keeps]
    unreviewed = [n for n in numbers if n not in lineage.reviews]
    rejected = [n for n in numbers if n in lineage.reviews and not lineage.reviews[n].accepted]
    return Branch(name, tip, lineage.session.base_sha, numbers, unreviewed, rejected, lineage.suspects)


def lines(store: Ledger, session: Session) -> Iterator[str]:
    """Yield each experiment with its text and its trials as a line of JSON."""
    trials = by_experiment(store.trials(session.id))
    for row in store.experiments(session.id):
        experiment = require(store.experiment(session.id, row.n))
        yield json.dumps(record(experiment, trials.get(experiment.id, [])), allow_nan=False) + "\n"


def record(experiment: Experiment, trials: Sequence[Trial]) -> JsonObject:
    """Return an experiment with its trials in the shape of docs/json.md."""
    own = {name: value for name, value in asdict(experiment).items() if name not in ("id", "session_id")}
    return {**own, "trials": [trial_record(trial, experiment.blob) for trial in trials]}


def trial_record(trial: Trial, blob: str | None) -> JsonObject:
    """Return a trial in the shape of docs/json.md; `blob` is the hash of its experiment's text."""
    hidden = ("id", "session_id", "experiment_id", "blob")
    return {name: value for name, value in asdict(trial).items() if name not in hidden} | {"own": trial.blob == blob}


# --- messages


def message(lineage: Lineage, keep: Experiment) -> str:
    """Return the commit message of a keep: change, measurement, and trailers from the ledger."""
    metric = lineage.session.metric
    trailers = {
        "Session": lineage.session.tag,
        "Experiment": keep.n,
        metric.trailer: metric.exact_score(require(keep.val_bpb)),
        "Delta": "-" if keep.delta is None else f"{metric.sign(keep.delta):+.6f}",
        "Sigma": f"{keep.sigma or 0.0:.6f}",
        "Kept-As": kept_as(keep),
        "Agent": one_line(" ".join(filter(None, (keep.agent, keep.model))), MAX_AGENT_CHARS),
        **({"Near-Misses": ", ".join(map(str, keep.pooled))} if keep.pooled else {}),
        "Grade": lineage.session.grade or "-",
        "Reviewed": _review_words(lineage.reviews.get(keep.n)),
    }
    if keep is lineage.keeps[-1]:
        trailers["Honest-Total"] = _total_words(lineage.total, metric)
    trailers |= _transfer_trailer(lineage.transfer, keep.n)
    own = [_trial_line(trial.purpose, trial, metric) for trial in lineage.trials.get(keep.id, [])]
    trials = "\n".join([*own, *(_trial_line(f"of {n}", trial, metric) for n, trial in lineage.beside[keep.n])])
    parts = [
        _shorten_subject(f"Experiment {keep.n}: {_clean(keep.hypothesis)}"),
        _indent_hypothesis(keep),
        _evidence(keep, metric),
    ]
    return "\n\n".join([*parts, *([f"Trials:\n{trials}"] if trials else []), _trailers(trailers)])


def _squash_message(lineage: Lineage) -> str:
    keeps, metric = lineage.keeps, lineage.session.metric
    scores = [metric.exact_score(require(row.val_bpb)) for row in (lineage.base, keeps[-1])]
    subject = f"{len(keeps)} kept change{'s' if len(keeps) > 1 else ''} of session {lineage.session.tag}"
    parts = [f"Experiment {keep.n}\n{_indent_hypothesis(keep)}\n{_evidence(keep, metric)}" for keep in keeps]
    trailers = {
        "Session": lineage.session.tag,
        "Experiments": ", ".join(str(keep.n) for keep in keeps),
        metric.trailer: f"{' -> '.join(scores)}, as the search saw it",
        "Honest-Total": _total_words(lineage.total, metric),
        "Grade": lineage.session.grade or "-",
        "Reviewed": _reviews_words(lineage),
        **_transfer_trailer(lineage.transfer, keeps[-1].n, whole=True),
    }
    return "\n\n".join([_shorten_subject(subject), *parts, _trailers(trailers)])


def _base_message(lineage: Lineage) -> str:
    words = "The constants that the session chose for this device before anything was measured."
    return f"Base of session {lineage.session.tag}\n\n{words}\n"


def _indent_hypothesis(keep: Experiment) -> str:
    lines = textwrap.wrap(_clean(keep.hypothesis), LINE_CHARS - 4, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines or ["(no hypothesis)"]), "    ")


def _review_words(review: Review | None) -> str:
    return "no" if review is None else f"{review.word} by {_clean(review.by, 60) or 'somebody'}"


def _reviews_words(lineage: Lineage) -> str:
    """Return the review of each keep, rejected ones first."""
    found = [(keep.n, lineage.reviews.get(keep.n)) for keep in lineage.keeps]
    found.sort(key=lambda each: each[1] is None or each[1].accepted)
    return "; ".join(f"{n} {_review_words(review)}" for n, review in found)


def _evidence(keep: Experiment, metric: Metric) -> str:
    gain = keep.p_gain is not None and not keep.simpler
    sure = f", {describe_odds(keep.p_gain)} sure to be better" if gain else ""
    foreseen = "" if keep.predicted is None else f"; expected {metric.change(keep.predicted)}"
    score, delta = metric.score(require(keep.val_bpb)), "-" if keep.delta is None else _change(keep.delta, metric)
    words = f"Measured {score} ({delta}{sure}{foreseen}). {_clean(keep.reason)}."
    return textwrap.fill(words, LINE_CHARS, break_on_hyphens=False)


def _change(delta: float, metric: Metric) -> str:
    """Return a difference, with six decimals where it is in bits per byte."""
    return f"{delta:+.6f}" if metric == VAL_BPB else metric.change(delta)


def _trial_line(name: str, trial: Trial, metric: Metric) -> str:
    score = "-" if trial.val_bpb is None else metric.exact_score(trial.val_bpb)
    return f"  {name:8} seed {trial.seed:<10} {score}"


def _total_words(total: Total | None, metric: Metric) -> str:
    if total is None:
        return "not measured"
    mean, low, high = (_change(value, metric) for value in (total.val.mean, total.val.low, total.val.high))
    interval = f"{mean}, 95 % between {low} and {high}"
    return f"{interval}, base against {total.final}"


def _transfer_trailer(transfer: Transfer | None, n: int, whole: bool = False) -> dict[str, str]:
    """Return the trailers of a keep on a longer budget: its own share, and at the end that of all keeps."""
    if transfer is None:
        return {}
    own, last = transfer.step_of(n), n == transfer.whole.n
    named = {"Transfer": None if whole else own, "Transfer-Total": transfer.whole if last else None}
    return {name: _transfer_words(transfer, step) for name, step in named.items() if step is not None}


def _transfer_words(transfer: Transfer, step: VersionGain) -> str:
    change = f"{step.short:+.6f} at {transfer.budget} becomes {step.longer:+.6f} at {transfer.longer}"
    share = step.survival
    if share is None:
        return f"{change}, share not clear"
    return f"{change}, {share.share:.0%}, 95 % between {share.low:.0%} and {share.high:.0%}"


def _trailers(values: Mapping[str, object]) -> str:
    return "".join(f"{name}: {_clean(str(value), None)}\n" for name, value in values.items())


def _shorten_subject(words: str) -> str:
    return words if len(words) <= MAX_SUBJECT_CHARS else f"{words[: MAX_SUBJECT_CHARS - 3].rstrip()}..."


def _clean(text: str | None, most: int | None = MAX_HYPOTHESIS_CHARS) -> str:
    """Put text on one line; `#1` and `@name` no longer refer to issues or people."""
    return re.sub(r"#(?=\d)|@(?=\w)", lambda match: f"{match[0]} ", one_line(text, most))
