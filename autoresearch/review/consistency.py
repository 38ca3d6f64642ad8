"""Whether ledger, git and artefacts tell the same story, and what to do where they do not."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from autoresearch.artefacts import Artefacts
from autoresearch.errors import UserError
from autoresearch.evidence import JUDGING
from autoresearch.ledger import Experiment, Ledger, Session, Trial
from autoresearch.workspace import Workspace

RESUME = "`autoresearch run --tag {tag}` finishes what was begun"


@dataclass(frozen=True)
class Difference:
    """Something that does not agree: where, what, and what to do about it."""

    where: str
    text: str
    remedy: str


@dataclass(frozen=True)
class _Story:
    """One session as the ledger tells it, beside the repository."""

    session: Session
    experiments: list[Experiment]
    trials: dict[int, list[Trial]]  # by experiment id; without interrupted ones
    workspace: Workspace
    runs: Path


def check(root: Path) -> list[Difference]:
    """All differences of all sessions. Raises UserError where ledger or repository cannot be read at all."""
    found: list[Difference] = []
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as store:
        for session in store.sessions():
            trials: dict[int, list[Trial]] = {}
            for trial in store.trials(session.id):
                if trial.outcome not in (None, "infra") and trial.purpose in JUDGING:
                    trials.setdefault(trial.experiment_id, []).append(trial)
            numbers = [row.n for row in store.experiments(session.id)]
            experiments = [row for n in numbers if (row := store.experiment(session.id, n)) is not None]
            story = _Story(session, experiments, trials, Workspace(root), root / "runs")
            for question in QUESTIONS:
                found += [Difference(f"session {session.tag}", text, remedy) for text, remedy in question(story)]
    return found


Findings = Iterator[tuple[str, str]]


def _numbers(story: _Story) -> Findings:
    """Experiments are numbered without a gap."""
    numbers = [experiment.n for experiment in story.experiments]
    if numbers != list(range(len(numbers))):
        yield f"experiments are numbered {numbers}", "the ledger was edited: restore a copy of runs/ledger.db"


def _references(story: _Story) -> Findings:
    """Every committed experiment has its reference, every reference its experiment."""
    tag, refs = story.session.tag, story.workspace.refs(story.session.tag)
    known = {experiment.n: experiment.sha for experiment in story.experiments if experiment.sha}
    for n in sorted(known.keys() | refs.keys()):
        name = f"refs/autoresearch/{tag}/{n}"
        if n not in refs:
            yield f"{name} is missing", f"`git update-ref {name} {known[n]}` brings it back while git still has the commit"
        elif n not in known:
            yield f"{name} belongs to no experiment", RESUME.format(tag=tag) + f", or `git update-ref -d {name}`"
        elif refs[n] != known[n]:
            yield f"{name} is {refs[n][:7]}, the ledger says {(known[n] or '')[:7]}", f"`git update-ref {name} {known[n]}`"


def _texts(story: _Story) -> Findings:
    """The commit, the ledger and the trials of an experiment mean the same train.py."""
    for experiment in story.experiments:
        if not experiment.sha:
            continue
        try:
            same = story.workspace.read(experiment.sha) == experiment.text
        except UserError:
            yield f"commit {experiment.sha[:7]} of experiment {experiment.n} is gone", "nothing to compare: its text is in the ledger"
            continue
        if not same:
            yield f"commit {experiment.sha[:7]} is not the train.py of experiment {experiment.n}", "do not trust this experiment: run a new session"
        if any(trial.blob != experiment.blob for trial in story.trials.get(experiment.id, [])):
            yield f"a trial of experiment {experiment.n} measured another text", "do not trust this experiment: run a new session"


def _lineage(story: _Story) -> Findings:
    """The best version is the last keep, and keeps follow one another."""
    tag = story.session.tag
    kept = [row for row in story.experiments if row.verdict == "keep" and row.state == "settled"]
    best = story.workspace.best(tag)
    if kept and best != kept[-1].sha:
        yield (
            f"refs/autoresearch/{tag}/best is not experiment {kept[-1].n}, the last keep",
            f"`git update-ref refs/autoresearch/{tag}/best {kept[-1].sha}`",
        )
    for before, after in pairwise(kept):
        if after.parent != before.n:
            yield f"keep {after.n} was derived from {after.parent}, not from keep {before.n}", "its delta is not against the incumbent"


def _verdicts(story: _Story) -> Findings:
    """A verdict has the trials that it needs."""
    for experiment in story.experiments:
        trials = story.trials.get(experiment.id, [])
        settled = experiment.state == "settled"
        if settled and experiment.verdict == "keep" and not any(_audited(trial) for trial in trials):
            yield f"experiment {experiment.n} was kept without an audited trial", "do not trust it: `autoresearch trial` measures its text again"
        if settled and experiment.verdict in ("keep", "discard") and not trials:
            yield f"experiment {experiment.n} was judged without a trial", "do not trust it"


def _identities(story: _Story) -> Findings:
    """All trials of a session were measured by one evaluator, on one machine, with one data set."""
    wanted = story.session.identity
    for experiment in story.experiments:
        for trial in story.trials.get(experiment.id, []):
            identity = trial.result.get("identity") or wanted
            other = sorted(name for name in wanted if identity.get(name) != wanted[name])
            if other:
                yield (
                    f"a trial of experiment {experiment.n} was measured with another {', '.join(other)}",
                    "its score cannot be compared: start a new session with a new --tag",
                )


def _artefacts(story: _Story) -> Findings:
    """Every trial left its result, and it says what the ledger says."""
    for experiment in story.experiments:
        files = Artefacts(story.runs / story.session.tag / str(experiment.n))
        for k, trial in enumerate(story.trials.get(experiment.id, [])):
            path = files.trial(k, ".json")
            stored = _stored(path)
            if stored is None:
                yield f"{path.relative_to(story.runs.parent)} is missing or damaged", "its numbers are still in the ledger"
            elif stored.get("val_bpb") != trial.val_bpb or stored.get("outcome") != trial.outcome:
                yield f"{path.relative_to(story.runs.parent)} and the ledger give different results", "one of them was edited: do not trust it"


def _audited(trial: Trial) -> bool:
    return trial.outcome == "ok" and trial.result.get("audit") is not None


def _stored(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


QUESTIONS: tuple[Callable[[_Story], Findings], ...] = (
    _numbers,
    _references,
    _texts,
    _lineage,
    _verdicts,
    _identities,
    _artefacts,
)
