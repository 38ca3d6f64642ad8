"""Compare ledger, git and artefacts of all sessions, and say how to repair differences.

Experiments that are not settled are skipped: a step of them may be half done, and `run` finishes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from autoresearch import config
from autoresearch.analysis.session_records import SessionRecords
from autoresearch.files import read_json
from autoresearch.ledger import Experiment, Ledger, Session, Trial
from autoresearch.ledger.rows import STOPPED
from autoresearch.workspace.git import blob_hash
from autoresearch.workspace.workspace import Workspace

DISTRUST = "do not trust experiment {n}: `autoresearch show {n}` has its text, `autoresearch trial` measures it again"
RESTORE = "the ledger was edited or is an old copy: put the right runs/ledger.db back"


@dataclass(frozen=True)
class Difference:
    """One disagreement, with its location and its remedy."""

    where: str
    text: str
    remedy: str


Findings = Iterator[tuple[str, str]]  # text, remedy


def check(root: Path) -> list[Difference]:
    """Return all differences. Raises UserError if ledger or repository cannot be read.

    Only differences that a second look confirms count: a running session may have changed something in between.
    """
    first = _find_differences(root)
    second = _find_differences(root) if first else []
    return [difference for difference in first if difference in second]


def _find_differences(root: Path) -> list[Difference]:
    workspace = Workspace.of(root, config.load(root, {}))
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as store:
        differences = [Difference("ledger", text, remedy) for text, remedy in _check_database(store)]
        sessions = [SessionRecords.read(store, session, workspace, root) for session in store.sessions()]
    differences += [Difference("git", text, remedy) for text, remedy in _check_unknown_refs(sessions, workspace)]
    for records in sessions:
        where = f"session {records.session.tag}"
        differences += [Difference(where, text, remedy) for check in CHECKS for text, remedy in check(records)]
    return differences


def _check_database(store: Ledger) -> Findings:
    """Require a database without damage."""
    damage = [row[0] for row in store.query("PRAGMA integrity_check(1)") if row[0] != "ok"]
    if damage:
        yield f"the database is damaged: {damage[0]}", f"save what is left: `sqlite3 {store.path} .recover`"
    if store.query("PRAGMA foreign_key_check"):
        yield "rows belong to sessions or experiments that are not there", RESTORE


def _check_unknown_refs(sessions: list[SessionRecords], workspace: Workspace) -> Findings:
    """Require a session for each tag that has references."""
    known = {records.session.tag for records in sessions}
    for tag in workspace.tags():
        if tag not in known:
            drop = f"`git for-each-ref --format='delete %(refname)' refs/autoresearch/{tag}/ | git update-ref --stdin`"
            yield f"refs/autoresearch/{tag}/ belongs to no session", f"put its runs/ledger.db back, or {drop}"


def _check_numbers(records: SessionRecords) -> Findings:
    """Require experiment numbers without a gap."""
    numbers = [experiment.n for experiment in records.experiments]
    if numbers != list(range(len(numbers))):
        yield f"experiments are numbered {numbers}", RESTORE


def _check_refs(records: SessionRecords) -> Findings:
    """Require a reference for each experiment, and an experiment for each reference; a crash can be without."""
    committed = [row for row in records.settled_experiments if row.sha is not None or row.verdict != "crash"]
    shas = {experiment.n: experiment.sha for experiment in committed}
    for n in sorted((shas.keys() | records.refs.keys()) - records.unsettled_numbers):
        name = f"refs/autoresearch/{records.session.tag}/{n}"
        actual, expected = records.refs.get(n), shas.get(n)
        if n not in shas:
            remedy = f"put the right runs/ledger.db back, or `git update-ref -d {name}`"
            yield f"{name} belongs to no experiment", remedy
        elif expected is None:
            yield f"experiment {n} is settled without a commit", RESTORE
        elif actual is None:
            remedy = f"`git update-ref {name} {expected}` brings it back while git still has the commit"
            yield f"{name} is missing", remedy
        elif actual != expected:
            yield f"{name} is {actual[:7]}, the ledger says {expected[:7]}", f"`git update-ref {name} {expected}`"


def _check_texts(records: SessionRecords) -> Findings:
    """Require the same train.py in commit, ledger and trials."""
    for experiment in records.settled_experiments:
        if experiment.sha is None:
            continue
        n, committed = experiment.n, records.blob(experiment.sha)
        if committed is None:
            remedy = f"`autoresearch show {n} --json` still has its text"
            yield f"commit {experiment.sha[:7]} of experiment {n} is gone", remedy
            continue
        if committed != experiment.blob or committed != blob_hash(experiment.text or "", committed):
            yield f"commit {experiment.sha[:7]} is not the train.py of experiment {n}", DISTRUST.format(n=n)
        if any(trial.blob != committed for trial in records.trials(experiment)):
            yield f"a trial of experiment {n} measured another text than its commit has", DISTRUST.format(n=n)


def _check_lineage(records: SessionRecords) -> Findings:
    """Require that each keep descends from the one before it, or from an older one by a branch."""
    for before, after in pairwise(records.keeps):
        origin, branched = records.origin(after)
        if origin != before.n and not (branched and origin in {row.n for row in records.keeps if row.n < after.n}):
            text = f"keep {after.n} was derived from {after.parent}, not from keep {before.n}"
            yield text, DISTRUST.format(n=after.n)


def _check_branch(records: SessionRecords) -> Findings:
    """Require `best` and the branch at the last keep."""
    if not records.keeps or records.unsettled_numbers:
        return
    session, workspace, last = records.session, records.workspace, records.keeps[-1]
    name = f"refs/autoresearch/{session.tag}/best"
    if workspace.best(session.tag) != last.sha:
        yield f"{name} is not experiment {last.n}, the last keep", f"`git update-ref {name} {last.sha}`"
    elif workspace.checked_out_branch() == session.branch and workspace.head() != last.sha:
        is_suspect = workspace.head() in {row.sha for row in records.experiments if row.found_later}
        command = f"git reset --keep {name}" if is_suspect else f"git merge --ff-only {name}"
        yield f"{session.branch} is checked out and was left behind", f"`{command}` brings it up"
    elif workspace.branch(session.tag) not in (last.sha, None):
        remedy = f"`git branch -f {session.branch} {name}`, or leave it if you moved it"
        yield f"{session.branch} is not at experiment {last.n}", remedy


def _check_messages(records: SessionRecords) -> Findings:
    """Require the ledger's score in the commit message of each keep."""
    for experiment in records.keeps:
        if not experiment.n or experiment.sha is None or records.blob(experiment.sha) is None:
            continue
        metric = records.session.metric
        score = "-" if experiment.val_bpb is None else metric.exact_score(experiment.val_bpb)
        score = f"{metric.trailer}: {score}"
        if score not in records.workspace.message(experiment.sha).split("\n"):
            text = f"the commit of experiment {experiment.n} and the ledger give different scores"
            yield text, DISTRUST.format(n=experiment.n)


def _check_verdicts(records: SessionRecords) -> Findings:
    """Require trials, audits and a score that justify the verdict, unless they are known to be gone."""
    for experiment in records.settled_experiments:
        trials, n = records.trials(experiment), experiment.n
        if n not in records.lost_records:
            yield from _check_evidence(experiment, trials, records.session)
        if n in records.failed_audits:
            remedy = f"`autoresearch run --tag {records.session.tag}` demotes it; do not trust it until then"
            yield f"experiment {n} is kept, but a later audit failed: {records.failed_audits[n]}", remedy
        if any(trial.outcome == "ok" and trial.val_bpb is None for trial in trials):
            yield f"a trial of experiment {n} is ok without a score", DISTRUST.format(n=n)


def _check_evidence(experiment: Experiment, trials: list[Trial], session: Session) -> Findings:
    """Require the audits of a keep, and a score that the trials gave, or a trial that was stopped early."""
    n, score = experiment.n, experiment.val_bpb
    scores = [trial.val_bpb for trial in trials if trial.outcome == "ok" and trial.val_bpb is not None]
    if experiment.verdict == "keep" and not _has_audits(trials, experiment, session):
        yield f"experiment {n} was kept without enough audited trials", DISTRUST.format(n=n)
    stopped = experiment.stopped and any(trial.outcome == STOPPED for trial in trials)
    if experiment.verdict in ("keep", "discard") and not (scores or stopped) and (trials or score is not None):
        yield f"experiment {n} was judged without a score", DISTRUST.format(n=n)
    elif score is not None and not (scores and min(scores) <= score <= max(scores)):
        yield f"the score of experiment {n} is not one that its trials gave", DISTRUST.format(n=n)


def _has_audits(trials: list[Trial], experiment: Experiment, session: Session) -> bool:
    """Require two audited trials of the base, one re-run of others; for greedy any one. A command has no audits."""
    good = [trial for trial in trials if trial.outcome == "ok"]
    audited = [trial for trial in good if _is_command(session) or trial.result.get("audit") is not None]
    if experiment.n == 0:
        return len(audited) > 1
    return any(trial.purpose != "screen" or session.judge == "greedy" for trial in audited)


def _check_identities(records: SessionRecords) -> Findings:
    """Require one identity (evaluator, machine, data set) for all trials."""
    expected = records.session.identity
    for experiment in records.settled_experiments:
        for trial in records.trials(experiment):
            identity = trial.result.get("identity") or expected
            other = sorted(name for name in expected if identity.get(name) != expected[name])
            if other:
                yield (
                    f"a trial of experiment {experiment.n} was measured with another {', '.join(other)}",
                    "its score cannot be compared with the others: start a session with a new --tag",
                )


def _is_command(session: Session) -> bool:
    """Return whether a command measured the session."""
    return session.settings.get("belief") is not None


def _check_artefacts(records: SessionRecords) -> Findings:
    """Require the patch of each experiment, and result, log and row scores of each trial; a command has no rows."""
    for experiment in records.settled_experiments:
        files = records.artefacts(experiment)
        if files.drop_note.exists():
            continue
        expected, has_rows = [files.patch] if experiment.n else [], not _is_command(records.session)
        for k, trial in enumerate(records.trials(experiment)):
            rows = [files.trial(k, ".npz")] if has_rows and trial.outcome == "ok" else []
            expected += [files.trial(k, ".log"), *rows]
            yield from _check_result(records, files.trial(k, ".json"), trial)
        for path in expected:
            if not path.exists():
                remedy = "what decides is in the ledger; restore it from a copy if you have one"
                yield f"{records.name(path)} is missing", remedy


def _check_result(records: SessionRecords, path: Path, trial: Trial) -> Findings:
    result = read_json(path)
    if result is None:
        yield f"{records.name(path)} is missing or damaged", "its numbers are still in the ledger"
    elif (result.get("val_bpb"), result.get("outcome")) != (trial.val_bpb, trial.outcome):
        remedy = "one of them was edited: do not trust either"
        yield f"{records.name(path)} and the ledger give different results", remedy


def _check_table(records: SessionRecords) -> Findings:
    """Require the ledger's content in results.tsv."""
    path = records.folder / "results.tsv"
    if not records.settled_experiments or records.unsettled_numbers:
        return
    if not path.exists() or path.read_text("utf-8", "replace") != records.table:
        yield f"{records.name(path)} is not what the ledger says", "the next experiment writes it anew"


CHECKS: tuple[Callable[[SessionRecords], Findings], ...] = (
    _check_numbers,
    _check_refs,
    _check_texts,
    _check_lineage,
    _check_branch,
    _check_messages,
    _check_verdicts,
    _check_identities,
    _check_artefacts,
    _check_table,
)
