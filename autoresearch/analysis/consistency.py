"""Whether ledger, git and artefacts tell the same story, and what to do where they do not.

Each question below is asked of each session. An experiment that is not settled is left alone: a step of it may be
half taken, and `run` finishes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from autoresearch import config
from autoresearch.analysis.lineage import ancestry
from autoresearch.errors import UserError
from autoresearch.files import read_json
from autoresearch.ledger import Experiment, Ledger, Session, Trial, results_tsv
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.ledger.trials import by_experiment, judging
from autoresearch.workspace.git import blob_hash
from autoresearch.workspace.workspace import Workspace

DISTRUST = "do not trust experiment {n}: `autoresearch show {n}` has its text, `autoresearch trial` measures it again"
RESTORE = "the ledger was edited or is an old copy: put the right runs/ledger.db back"


@dataclass(frozen=True)
class Difference:
    """Something that does not agree: where, what, and what to do about it."""

    where: str
    text: str
    remedy: str


Findings = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class SessionRecords:
    """What there is to compare. `trials` are those that may judge, by experiment id: no interrupted ones, no totals."""

    session: Session
    experiments: list[Experiment]
    trials: dict[int, list[Trial]]
    table: str  # results.tsv as the ledger has it
    workspace: Workspace
    root: Path

    @classmethod
    def read(cls, store: Ledger, session: Session, workspace: Workspace, root: Path) -> "SessionRecords":
        """Everything that the ledger knows of a session."""
        numbers = [row.n for row in store.experiments(session.id)]
        experiments = [row for n in numbers if (row := store.experiment(session.id, n)) is not None]
        trials = by_experiment(judging(store.trials(session.id)))
        return cls(session, experiments, trials, results_tsv(store, session), workspace, root)

    @property
    def folder(self) -> Path:
        """Where the session left its files."""
        return self.root / "runs" / self.session.tag

    @cached_property
    def settled(self) -> list[Experiment]:
        """The experiments that are over: a step of another one may be half taken, and is finished on resume."""
        return [row for row in self.experiments if row.state == "settled"]

    @cached_property
    def kept(self) -> list[Experiment]:
        """The base, and what was kept on it, in order."""
        return [row for row in self.settled if row.verdict == "keep"]

    @cached_property
    def refs(self) -> dict[int, str]:
        """Commits by number of experiment, as git has them."""
        return self.workspace.refs(self.session.tag)

    @property
    def unfinished(self) -> set[int]:
        """Experiments whose next step may be half taken."""
        return {row.n for row in self.experiments if row.state != "settled"}

    def files(self, experiment: Experiment) -> Artefacts:
        """What an experiment left."""
        return Artefacts(self.folder / str(experiment.n))

    def name(self, path: Path) -> str:
        """A file as it is called from the top of the repository."""
        return str(path.relative_to(self.root))


def blob_of(workspace: Workspace, sha: str) -> str | None:
    """The hash of the file in a commit; None if git has no such commit."""
    try:
        return workspace.blob(sha)
    except UserError:
        return None


def check(root: Path) -> list[Difference]:
    """All differences of all sessions. Raises UserError where ledger or repository cannot be read at all.

    What is found is looked at a second time: a running session may have taken a step in between.
    """
    found = _look(root)
    again = _look(root) if found else []
    return [difference for difference in found if difference in again]


def _look(root: Path) -> list[Difference]:
    workspace = Workspace(root, config.load(root, {}).train)
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as store:
        found = [Difference("ledger", text, remedy) for text, remedy in _whole(store)]
        stories = [SessionRecords.read(store, session, workspace, root) for session in store.sessions()]
    found += [Difference("git", text, remedy) for text, remedy in _strangers(stories, workspace)]
    for story in stories:
        for question in QUESTIONS:
            found += [Difference(f"session {story.session.tag}", text, remedy) for text, remedy in question(story)]
    return found


def _whole(store: Ledger) -> Findings:
    """The database itself is in order."""
    damage = [row[0] for row in store.query("PRAGMA integrity_check(1)") if row[0] != "ok"]
    if damage:
        yield f"the database is damaged: {damage[0]}", f"save what is left: `sqlite3 {store.path} .recover`"
    if store.query("PRAGMA foreign_key_check"):
        yield "rows belong to sessions or experiments that are not there", RESTORE


def _strangers(stories: list[SessionRecords], workspace: Workspace) -> Findings:
    """No references of sessions that the ledger does not know."""
    known = {story.session.tag for story in stories}
    for tag in workspace.tags():
        if tag not in known:
            drop = f"`git for-each-ref --format='delete %(refname)' refs/autoresearch/{tag}/ | git update-ref --stdin`"
            yield f"refs/autoresearch/{tag}/ belongs to no session", f"put its runs/ledger.db back, or {drop}"


def _numbers(story: SessionRecords) -> Findings:
    """Experiments are numbered without a gap."""
    numbers = [experiment.n for experiment in story.experiments]
    if numbers != list(range(len(numbers))):
        yield f"experiments are numbered {numbers}", RESTORE


def _references(story: SessionRecords) -> Findings:
    """Every experiment has its reference, every reference its experiment."""
    known = {experiment.n: experiment.sha for experiment in story.settled}
    for n in sorted((known.keys() | story.refs.keys()) - story.unfinished):
        name = f"refs/autoresearch/{story.session.tag}/{n}"
        there, wanted = story.refs.get(n), known.get(n)
        if n not in known:
            yield (
                f"{name} belongs to no experiment",
                f"put the right runs/ledger.db back, or `git update-ref -d {name}`",
            )
        elif wanted is None:
            yield f"experiment {n} is settled without a commit", RESTORE
        elif there is None:
            yield (
                f"{name} is missing",
                f"`git update-ref {name} {wanted}` brings it back while git still has the commit",
            )
        elif there != wanted:
            yield f"{name} is {there[:7]}, the ledger says {wanted[:7]}", f"`git update-ref {name} {wanted}`"


def _texts(story: SessionRecords) -> Findings:
    """The commit, the ledger and the trials of an experiment mean the same train.py."""
    for experiment in story.settled:
        if experiment.sha is None:
            continue
        n, committed = experiment.n, blob_of(story.workspace, experiment.sha)
        if committed is None:
            yield (
                f"commit {experiment.sha[:7]} of experiment {n} is gone",
                f"`autoresearch show {n} --json` still has its text",
            )
            continue
        if committed != experiment.blob or committed != blob_hash(experiment.text or "", committed):
            yield f"commit {experiment.sha[:7]} is not the train.py of experiment {n}", DISTRUST.format(n=n)
        if any(trial.blob != committed for trial in story.trials.get(experiment.id, [])):
            yield f"a trial of experiment {n} measured another text than its commit has", DISTRUST.format(n=n)


def _lineage(story: SessionRecords) -> Findings:
    """Keeps follow one another, `best` is the last of them, and the branch is there."""
    for before, after in pairwise(story.kept):
        origin, branched = _origin(story, after)
        if origin != before.n and not (branched and origin in {row.n for row in story.kept if row.n < after.n}):
            yield (
                f"keep {after.n} was derived from {after.parent}, not from keep {before.n}",
                DISTRUST.format(n=after.n),
            )
    if not story.kept or story.unfinished:
        return
    session, last = story.session, story.kept[-1]
    name = f"refs/autoresearch/{session.tag}/best"
    if story.workspace.best(session.tag) != last.sha:
        yield f"{name} is not experiment {last.n}, the last keep", f"`git update-ref {name} {last.sha}`"
    elif story.workspace.checked_out_branch() == session.branch and story.workspace.head() != last.sha:
        yield f"{session.branch} is checked out and was left behind", f"`git merge --ff-only {name}` brings it up"
    elif story.workspace.branch(session.tag) not in (last.sha, None):
        yield (
            f"{session.branch} is not at experiment {last.n}",
            f"`git branch -f {session.branch} {name}`, or leave it if you moved it",
        )


def _origin(story: SessionRecords, keep: Experiment) -> tuple[int | None, bool]:
    """The keep that a keep goes back to, by near misses of its line; and whether it was to branch from an older one."""
    path = ancestry(keep, {row.n: row for row in story.settled})
    origin = next((row.n for row in path[1:] if row.verdict == "keep"), None)
    line = [row for row in path if origin is None or row.n > origin]
    return origin, any(row.mode == "branch" for row in line)


def _messages(story: SessionRecords) -> Findings:
    """The commit of a keep says the score that the ledger has."""
    for experiment in story.kept:
        if not experiment.n or experiment.sha is None or blob_of(story.workspace, experiment.sha) is None:
            continue
        score = f"Val-Bpb: {experiment.val_bpb:.6f}" if experiment.val_bpb is not None else "Val-Bpb: -"
        if score not in story.workspace.message(experiment.sha).splitlines():
            yield (
                f"the commit of experiment {experiment.n} and the ledger give different scores",
                DISTRUST.format(n=experiment.n),
            )


def _verdicts(story: SessionRecords) -> Findings:
    """A verdict has the trials that it needs, audited where it is a keep, and a score that they gave."""
    for experiment in story.settled:
        trials, n = story.trials.get(experiment.id, []), experiment.n
        scores = [trial.val_bpb for trial in trials if trial.outcome == "ok" and trial.val_bpb is not None]
        if experiment.verdict == "keep" and not _audited(trials, experiment, story.session.judge):
            yield f"experiment {n} was kept without enough audited trials", DISTRUST.format(n=n)
        if experiment.verdict in ("keep", "discard") and not scores and (trials or experiment.val_bpb is not None):
            yield f"experiment {n} was judged without a score", DISTRUST.format(n=n)
        elif experiment.val_bpb is not None and not (scores and min(scores) <= experiment.val_bpb <= max(scores)):
            yield f"the score of experiment {n} is not one that its trials gave", DISTRUST.format(n=n)
        if any(trial.outcome == "ok" and trial.val_bpb is None for trial in trials):
            yield f"a trial of experiment {n} is ok without a score", DISTRUST.format(n=n)


def _identities(story: SessionRecords) -> Findings:
    """All trials of a session were measured by one evaluator, on one machine, with one data set."""
    wanted = story.session.identity
    for experiment in story.settled:
        for trial in story.trials.get(experiment.id, []):
            identity = trial.result.get("identity") or wanted
            other = sorted(name for name in wanted if identity.get(name) != wanted[name])
            if other:
                yield (
                    f"a trial of experiment {experiment.n} was measured with another {', '.join(other)}",
                    "its score cannot be compared with the others: start a session with a new --tag",
                )


def _artefacts(story: SessionRecords) -> Findings:
    """Every experiment left its change, every trial its result, its log and its scores by row."""
    for experiment in story.settled:
        files = story.files(experiment)
        if files.dropped.exists():
            continue
        wanted = [files.patch] if experiment.n else []
        for k, trial in enumerate(story.trials.get(experiment.id, [])):
            wanted += [files.trial(k, ".log"), *([files.trial(k, ".npz")] if trial.outcome == "ok" else [])]
            yield from _result(story, files.trial(k, ".json"), trial)
        for path in wanted:
            if not path.exists():
                yield (
                    f"{story.name(path)} is missing",
                    "what decides is in the ledger; restore it from a copy if you have one",
                )


def _result(story: SessionRecords, path: Path, trial: Trial) -> Findings:
    found = read_json(path)
    if found is None:
        yield f"{story.name(path)} is missing or damaged", "its numbers are still in the ledger"
    elif (found.get("val_bpb"), found.get("outcome")) != (trial.val_bpb, trial.outcome):
        yield f"{story.name(path)} and the ledger give different results", "one of them was edited: do not trust either"


def _table(story: SessionRecords) -> Findings:
    """results.tsv is what the ledger says."""
    path = story.folder / "results.tsv"
    if not story.settled or story.unfinished:
        return
    if not path.exists() or path.read_text() != story.table:
        yield f"{story.name(path)} is not what the ledger says", "the next experiment writes it anew"


def _audited(trials: list[Trial], experiment: Experiment, judge: str) -> bool:
    """Whether what decided was audited: two draws of the base, or a re-run; a screening only for the greedy rule."""
    audited = [trial for trial in trials if trial.outcome == "ok" and trial.result.get("audit") is not None]
    if experiment.n == 0:
        return len(audited) > 1
    return any(trial.purpose != "screen" or judge == "greedy" for trial in audited)


QUESTIONS: tuple[Callable[[SessionRecords], Findings], ...] = (
    _numbers,
    _references,
    _texts,
    _lineage,
    _messages,
    _verdicts,
    _identities,
    _artefacts,
    _table,
)
