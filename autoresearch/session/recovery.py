"""Recovery of data that was deleted by hand or by a broken disk, from the data that remains.

References are restored from the ledger: to the commits that it names, or, where git has pruned those, to new ones with
the same texts. A ledger that is older than its session (a restored backup) reads what it lacks from references and
artefacts. Nothing is made up: an experiment without a record is measured again, unless git says that it was kept. If
all records are gone, the commit messages of the keeps hold their verdicts, and the other versions stay without one.
"""

import time
from dataclasses import dataclass, fields

from autoresearch.errors import UserError, require
from autoresearch.files import JsonObject, read_json
from autoresearch.ledger import Call, Experiment, Ledger, newest
from autoresearch.ledger.lost_records import NO_RECORD, note_lost_record
from autoresearch.ledger.rows import measured_columns
from autoresearch.ledger.trials import judging
from autoresearch.session import describe
from autoresearch.session.context import SessionContext
from autoresearch.session.describe import Columns
from autoresearch.session.git_history import GitHistory
from autoresearch.source.diff import unified_diff
from autoresearch.workspace.workspace import base_message

KEYS = ("id", "session_id")  # columns that the ledger fills in
ABOUT = ("purpose", "blob", "started", "ended")  # what the file of a trial holds beside its result
MEASURED = ("seed", "outcome", "val_bpb")


@dataclass(frozen=True)
class Recovery:
    context: SessionContext

    def restore_references(self) -> list[str]:
        """Restore the references that are gone, but none that moved; return their names."""
        workspace, tag = self.context.workspace, self.context.tag
        refs, restored = workspace.refs(tag), []
        for row in self.context.ledger.experiments(self.context.id):
            if row.sha is not None and row.n not in refs:
                self._restore_reference(self.context.experiment(row.n))
                restored.append(str(row.n))
        kept = self.context.ledger.experiments(self.context.id, verdict="keep")
        incumbent = next((row for row in reversed(kept) if row.state == "settled"), None)
        if incumbent is not None and workspace.best(tag) is None:
            workspace.restore(tag, "best", require(incumbent.sha))
            restored.append("best")
        if (branch := workspace.branch(tag)) in {row.sha for row in kept}:  # the branch is at a version of ours
            workspace.restore(tag, "branch", require(branch), only_missing=True)
        return restored

    def _restore_reference(self, experiment: Experiment) -> None:
        context, name = self.context, str(experiment.n)
        if context.workspace.restore(context.tag, name, require(experiment.sha)):
            return
        parent = context.ledger.experiment(context.id, experiment.parent) if experiment.parent is not None else None
        onto = context.row.base_sha if parent is None else require(parent.sha)
        sha = context.workspace.write(onto, require(experiment.text), self._message(experiment))
        context.workspace.restore(context.tag, name, sha)
        context.ledger.update_experiment(experiment.id, sha=sha)

    def _message(self, experiment: Experiment) -> str:
        if experiment.n == 0:
            return base_message(self.context.tag)
        if experiment.verdict == "keep":
            trials = judging(self.context.ledger.trials(self.context.id, experiment.id))
            return describe.keep_message(experiment, len(trials), self.context.row)
        return describe.proposal_message(experiment)

    def restore_experiments(self) -> list[int]:
        """Add the experiments that only git and artefacts know; return their numbers."""
        ledger, refs = self.context.ledger, self.context.workspace.refs(self.context.tag)
        rows = ledger.unfinished_experiments(self.context.id)
        open_rows = {row.n: row for row in rows if row.verdict in (None, "keep")}
        last = newest(ledger, self.context.row)
        if not open_rows and last is not None and max(refs, default=0) <= last:
            return []
        history = GitHistory.read(self.context.workspace, self.context.tag)
        kept, best = (history.kept, history.best) if history is not None else ({}, None)
        # a keep that is `best` itself was cut off between git and ledger: it settles by itself
        missed = {n for n, row in open_rows.items() if n in kept and (row.verdict is None or kept[n] != best)}
        unknown = [n for n in refs if last is None or n > last or n in missed]
        with ledger.transaction():  # a restart after half of it would not find the trials that lack
            for n in unknown:
                columns = self._recorded_columns(n, refs[n]) or self._columns_from_git(n, refs, kept)
                if n in missed:
                    ledger.update_experiment(open_rows[n].id, **columns)
                else:
                    ledger.add_experiment(self.context.id, n, **columns)
            if unknown:
                self._restore_trials()
        return unknown

    def check_incumbent(self) -> None:
        """Raise UserError if `best` is no version of the session: the next keep would replace it."""
        workspace, tag = self.context.workspace, self.context.tag
        rows = self.context.ledger.experiments(self.context.id)
        best, known = workspace.best(tag), {*workspace.refs(tag).values(), *(row.sha for row in rows)}
        if best is not None and rows and best not in known and not self._is_unfinished_keep(best):
            name = f"refs/autoresearch/{tag}/best"
            incumbent = next((row for row in reversed(rows) if row.verdict == "keep"), rows[0])
            repair = f"`git update-ref {name} {incumbent.sha}` makes experiment {incumbent.n} the incumbent again"
            raise UserError(f"{name} is at {best[:7]}, which is no version of this session: {repair}")

    def _is_unfinished_keep(self, best: str) -> bool:
        """Return whether `best` is a keep whose own reference is still at its proposal, after a loss of power."""
        workspace = self.context.workspace
        keep = describe.read_keep_message(workspace.message(best))
        proposed = workspace.ref(self.context.tag, keep.n) if keep is not None else None
        if proposed is None:
            return False
        return (workspace.parent(proposed), workspace.blob(proposed)) == (workspace.parent(best), workspace.blob(best))

    def restore_demotions(self) -> list[int]:
        """Demote the keeps that were found suspect after this copy of the ledger was made; return their numbers."""
        reasons = {}
        for row in self.context.ledger.experiments(self.context.id, verdict="keep"):
            recorded = (read_json(self.context.artefacts(row.n).record) or {}).get("experiment", {})
            if recorded.get("verdict") == "suspect" and recorded.get("sha") == row.sha:
                reasons[row.n] = str(recorded["reason"])
        if reasons:
            self.context.ledger.demote(self.context.id, reasons, (), "read from runs/")
        return list(reasons)

    def _recorded_columns(self, n: int, sha: str) -> Columns | None:
        """Return the columns of a record that agrees with git, and add its calls."""
        record = read_json(self.context.artefacts(n).record) or {}
        try:
            columns = _columns(record["experiment"], Experiment)
            calls = [_columns(call, Call) for call in record["calls"]]
        except (KeyError, TypeError):
            return None
        if (columns["sha"], columns["blob"]) != (sha, self.context.workspace.blob(sha)):
            return None
        for call in calls:
            self.context.ledger.add_call(self.context.id, **call)
        columns |= {"text": self.context.workspace.read(sha)}
        return {name: value for name, value in columns.items() if name != "n"}

    def _columns_from_git(self, n: int, refs: dict[int, str], kept: dict[int, str]) -> Columns:
        """Return the columns of an experiment without a record: that of a keep is in its commit message.

        Other versions begin again, but not where the records of all of them are gone: most of them had a verdict.
        """
        columns, workspace = self._proposed_columns(n, refs), self.context.workspace
        keep = describe.read_keep_message(workspace.message(kept[n])) if n in kept else None
        if n == 0 or (keep is None and self.context.artefacts(0).record.exists()):
            return columns
        claim = keep.columns | {"verdict": "keep"} if keep else {"verdict": "discard", "reason": NO_RECORD}
        about = {"sha": refs[n], "blob": workspace.blob(refs[n]), "state": "settled", "settled": time.time()}
        diff = unified_diff(workspace.read(workspace.parent(refs[n])), workspace.read(refs[n]))
        self.context.artefacts(n).write_proposal(diff, [])
        note_lost_record(self.context.ledger, self.context.id, n)
        return columns | claim | about

    def _proposed_columns(self, n: int, refs: dict[int, str]) -> Columns:
        """Return the columns of an experiment that was not settled: it begins again."""
        workspace, sha = self.context.workspace, refs[n]
        if n == 0:
            return describe.base_columns(workspace.read(sha), self.context.row)
        onto = workspace.parent(sha)
        parent = next((m for m, other in refs.items() if other == onto), None)
        if parent is None:
            name = f"refs/autoresearch/{self.context.tag}/{n}"
            raise UserError(f"{name} is derived from no version of this session: `git update-ref -d {name}` drops it")
        columns = describe.text_columns(workspace.read(sha), workspace.read(onto))
        return columns | {"parent": parent, "hypothesis": workspace.message(sha).strip()}

    def _restore_trials(self) -> None:
        """Add the trials that the ledger lacks, in the order in which they were started."""
        missing: list[tuple[Experiment, JsonObject]] = []
        for experiment in self.context.ledger.experiments(self.context.id):
            trials = self.context.ledger.trials(self.context.id, experiment.id)
            files, k = self.context.artefacts(experiment.n), len(judging(trials))
            while (trial := read_json(files.trial(k, ".json"))) and isinstance(trial.get("started"), float):
                missing.append((experiment, trial))
                k += 1
        for experiment, trial in sorted(missing, key=lambda pair: float(pair[1]["started"])):
            columns = {name: trial.get(name) for name in (*ABOUT, *MEASURED)} | measured_columns(trial)
            result = {name: value for name, value in trial.items() if name not in ABOUT}
            self.context.ledger.add_trial(self.context.id, experiment.id, result=result, **columns)


def recovery_record(ledger: Ledger, experiment: Experiment) -> JsonObject:
    """Return what a recovery needs of a settled experiment, without its text, which git has."""
    calls = [vars(call) for call in ledger.calls(experiment.session_id, experiment.n)]
    return {"experiment": vars(experiment) | {"text": None}, "calls": calls}


def _columns(values: JsonObject, kind: type[Experiment] | type[Call]) -> Columns:
    """Return the columns of a record; an older one has no arm. Raises KeyError."""
    values = {"arm": None} | values
    return {field.name: values[field.name] for field in fields(kind) if field.name not in KEYS}
