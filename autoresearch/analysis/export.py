"""A session taken home: a clean branch for review, and everything as lines of JSON.

The words of agents come into commit messages as plain text: behind a subject of ours, or indented, so that none of
them can be a trailer, a `fixup!`, the beginning of a patch, or name an issue or a person.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from autoresearch import ledger as package
from autoresearch.analysis.lineage import stack
from autoresearch.analysis.total import Total, recorded
from autoresearch.errors import require
from autoresearch.ledger import Experiment, Ledger, Review, Session, Trial
from autoresearch.ledger.rows import kept_as
from autoresearch.ledger.trials import by_experiment, judging
from autoresearch.text import one_line
from autoresearch.workspace.workspace import Workspace

SUBJECT, WIDTH, LONGEST = 72, 76, 2000  # characters: of a first line, of a line, of a hypothesis


@dataclass(frozen=True)
class Branch:
    """What was exported: `experiments` are the keeps on it, oldest first; nobody has reviewed the `unreviewed`."""

    name: str
    sha: str
    base: str
    experiments: list[int]
    unreviewed: list[int]
    rejected: list[int]


@dataclass(frozen=True)
class Lineage:
    """The kept changes that the incumbent is made of, with what is known of them."""

    session: Session
    base: Experiment
    keeps: list[Experiment]
    trials: dict[int, list[Trial]]  # that may judge, by experiment id
    beside: dict[int, list[tuple[int, Trial]]]  # of incumbents, held against them, with their numbers; by number
    reviews: dict[int, Review]  # by number
    total: Total | None  # of base against the incumbent, the newest


def lineage(store: Ledger, session: Session) -> Lineage:
    """From the base to the incumbent. Raises UserError where nothing was kept."""
    base, *chosen = stack(store, session)
    trials = by_experiment(judging(store.trials(session.id)))
    totals = [total for total in recorded(store.events(session.id, kind="total")) if total.final == chosen[-1].n]
    beside, said = package.beside(store, session, [keep.n for keep in chosen]), package.reviews(store, session.id)
    return Lineage(session, base, chosen, trials, beside, said, totals[-1] if totals else None)


def branch(found: Lineage, workspace: Workspace, name: str, squash: bool = False, force: bool = False) -> Branch:
    """Make the branch: on the user's base one commit for each keep, or one for all of them with `squash`.

    Where the session's base was not the user's text to the byte (constants of a CPU profile), a commit of its own comes first.
    Raises UsageError and UserError as `Workspace.set_branch` does.
    """
    keeps, tip = found.keeps, found.session.base_sha
    text = workspace.read(require(found.base.sha))
    if text != workspace.read(tip):
        tip = workspace.write(tip, text, _base_message(found))
    if squash:
        tip = workspace.write(tip, workspace.read(require(keeps[-1].sha)), _squashed(found))
    else:
        for keep in keeps:
            tip = workspace.write(tip, workspace.read(require(keep.sha)), message(found, keep))
    workspace.set_branch(name, tip, force)
    numbers = [keep.n for keep in keeps]
    unreviewed = [n for n in numbers if n not in found.reviews]
    rejected = [n for n in numbers if n in found.reviews and not found.reviews[n].accepted]
    return Branch(name, tip, found.session.base_sha, numbers, unreviewed, rejected)


def lines(store: Ledger, session: Session) -> Iterator[str]:
    """Every experiment with its text and its trials, one JSON object a line."""
    trials = by_experiment(store.trials(session.id))
    for row in store.experiments(session.id):
        experiment = require(store.experiment(session.id, row.n))
        yield json.dumps(record(experiment, trials.get(experiment.id, [])), allow_nan=False) + "\n"


def record(experiment: Experiment, trials: Sequence[Trial]) -> dict[str, Any]:
    """An experiment with its trials as JSON has them."""
    own = {name: value for name, value in asdict(experiment).items() if name not in ("id", "session_id")}
    return {**own, "trials": [trial_record(trial, experiment.blob) for trial in trials]}


def trial_record(trial: Trial, blob: str | None) -> dict[str, Any]:
    """A trial as JSON has it; `blob` is of the experiment that it belongs to."""
    hidden = ("id", "session_id", "experiment_id", "blob")
    return {name: value for name, value in asdict(trial).items() if name not in hidden} | {"own": trial.blob == blob}


# --- messages


def message(found: Lineage, keep: Experiment) -> str:
    """What was changed and why, how it was measured, and as trailers what the ledger knows."""
    trailers = {
        "Session": found.session.tag,
        "Experiment": keep.n,
        "Val-Bpb": f"{require(keep.val_bpb):.6f}",
        "Delta": _number(keep.delta),
        "Sigma": f"{keep.sigma or 0.0:.6f}",
        "Kept-As": kept_as(keep),
        "Agent": " ".join(filter(None, (keep.agent, keep.model))),
        "Grade": found.session.grade or "-",
        "Reviewed": _reviewed(found.reviews.get(keep.n)),
    }
    if keep is found.keeps[-1]:
        trailers["Honest-Total"] = _total(found.total)
    own = [_trial(trial.purpose, trial) for trial in found.trials.get(keep.id, [])]
    trials = "\n".join([*own, *(_trial(f"of {n}", trial) for n, trial in found.beside[keep.n])])
    parts = [_subject(f"Experiment {keep.n}: {_words(keep.hypothesis)}"), _quoted(keep), _evidence(keep)]
    return "\n\n".join([*parts, *([f"Trials:\n{trials}"] if trials else []), _trailers(trailers)])


def _squashed(found: Lineage) -> str:
    keeps, base = found.keeps, require(found.base.val_bpb)
    subject = f"{len(keeps)} kept change{'s' if len(keeps) > 1 else ''} of session {found.session.tag}"
    parts = [f"Experiment {keep.n}\n{_quoted(keep)}\n{_evidence(keep)}" for keep in keeps]
    trailers = {
        "Session": found.session.tag,
        "Experiments": ", ".join(str(keep.n) for keep in keeps),
        "Val-Bpb": f"{base:.6f} -> {require(keeps[-1].val_bpb):.6f}, as the search saw it",
        "Honest-Total": _total(found.total),
        "Grade": found.session.grade or "-",
        "Reviewed": "; ".join(f"{keep.n} {_reviewed(found.reviews.get(keep.n))}" for keep in keeps),
    }
    return "\n\n".join([_subject(subject), *parts, _trailers(trailers)])


def _base_message(found: Lineage) -> str:
    words = "The constants that the session chose for this device before anything was measured."
    return f"Base of session {found.session.tag}\n\n{words}\n"


def _quoted(keep: Experiment) -> str:
    lines = textwrap.wrap(_words(keep.hypothesis), WIDTH - 4, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines or ["(no hypothesis)"]), "    ")


def _reviewed(review: Review | None) -> str:
    return "no" if review is None else f"{review.word} by {_words(review.by, 60) or 'somebody'}"


def _evidence(keep: Experiment) -> str:
    gain = keep.p_gain is not None and not package.simpler(keep.verdict, keep.reason)
    sure = f", {100 * require(keep.p_gain):.0f} % sure to be better" if gain else ""
    foreseen = "" if keep.predicted is None else f"; expected {keep.predicted:+.4f}"
    words = f"Measured {require(keep.val_bpb):.4f} ({_number(keep.delta)}{sure}{foreseen}). {_words(keep.reason)}."
    return textwrap.fill(words, WIDTH, break_on_hyphens=False)


def _trial(name: str, trial: Trial) -> str:
    score = "-" if trial.val_bpb is None else f"{trial.val_bpb:.6f}"
    return f"  {name:8} seed {trial.seed:<10} {score}"


def _total(total: Total | None) -> str:
    if total is None:
        return "not measured"
    interval = f"{total.val.mean:+.6f}, 95 % between {total.val.low:+.6f} and {total.val.high:+.6f}"
    return f"{interval}, base against {total.final}"


def _trailers(values: Mapping[str, object]) -> str:
    return "".join(f"{name}: {_words(str(value), 200)}\n" for name, value in values.items())


def _subject(words: str) -> str:
    return words if len(words) <= SUBJECT else f"{words[: SUBJECT - 3].rstrip()}..."


def _words(text: str | None, most: int = LONGEST) -> str:
    """On one line, without control characters; `#1` and `@name` name nothing any more."""
    return re.sub(r"#(?=\d)|@(?=\w)", lambda found: f"{found[0]} ", one_line(text, most))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.6f}"
