"""What was taken away by hand or by a broken disk, put back from what is still there.

References come back from the ledger: to the commits that it names, or, where git has pruned those, to new ones with the
same texts. A ledger that is older than its session (a backup that was put back) reads on in what the session left:
references and artefacts. Nothing is made up: what has no record is measured again.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from autoresearch import ledger
from autoresearch.errors import UserError, require
from autoresearch.files import read_json
from autoresearch.ledger import Call, Experiment, Ledger, Session
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.ledger.trials import JUDGING
from autoresearch.session import describe
from autoresearch.session.evidence import Evidence
from autoresearch.workspace.workspace import Workspace

OWN = ("id", "session_id")  # columns that a ledger gives
ABOUT = ("purpose", "blob", "started", "ended")  # what the file of a trial holds beside its result
MEASURED = ("seed", "outcome", "val_bpb", "train_seconds", "setup_seconds", "score_seconds", "grade")


@dataclass(frozen=True)
class Recovery:
    """Puts back what a session lacks."""

    row: Session
    ledger: Ledger
    workspace: Workspace
    runs: Path

    # --- references, from the ledger

    def references(self) -> list[str]:
        """Put back the references that are gone; returns their names. Those that were moved are left alone."""
        refs, put_back = self.workspace.refs(self.row.tag), []
        for experiment in self.ledger.experiments(self.row.id):
            if experiment.sha is not None and experiment.n not in refs:
                self._reference(require(self.ledger.experiment(self.row.id, experiment.n)))
                put_back.append(str(experiment.n))
        if self.workspace.best(self.row.tag) is None and (incumbent := self._incumbent()) is not None:
            self.workspace.restore(self.row.tag, "best", require(incumbent.sha))
            put_back.append("best")
        self._mark()
        return put_back

    def _reference(self, experiment: Experiment) -> None:
        name = str(experiment.n)
        if self.workspace.restore(self.row.tag, name, require(experiment.sha)):
            return
        parent = self.ledger.experiment(self.row.id, experiment.parent) if experiment.parent is not None else None
        onto = self.row.base_sha if parent is None else require(parent.sha)
        sha = self.workspace.write(onto, require(experiment.text), self._message(experiment))
        self.workspace.restore(self.row.tag, name, sha)
        self.ledger.update_experiment(experiment.id, sha=sha)

    def _message(self, experiment: Experiment) -> str:
        if experiment.n == 0:
            return f"Base of {self.row.tag}\n"
        if experiment.verdict == "keep":
            trials = Evidence(self.ledger, self.row, 0).trials(experiment)
            return describe.keep(experiment, len(trials), self.row.grade)
        return describe.proposed(experiment)

    def _incumbent(self) -> Experiment | None:
        kept = self.ledger.experiments(self.row.id, verdict="keep")
        return next((row for row in reversed(kept) if row.state == "settled"), None)

    def _mark(self) -> None:
        """The branch is where it was left, if that is a version of ours."""
        branch = self.workspace.branch(self.row.tag)
        if branch in {row.sha for row in self.ledger.experiments(self.row.id, verdict="keep")}:
            self.workspace.restore(self.row.tag, "branch", require(branch), only_missing=True)

    # --- the ledger, from references and artefacts

    def experiments(self) -> list[int]:
        """Read the experiments that only git and the artefacts know; returns their numbers."""
        newest = ledger.newest(self.ledger, self.row)
        refs = self.workspace.refs(self.row.tag)
        unknown = [n for n in refs if newest is None or n > newest]
        for n in unknown:
            columns = self._record(n, refs[n]) or self._proposal(n, refs)
            self.ledger.add_experiment(self.row.id, **({"n": n} | columns))
        if unknown:
            self._trials()
        return unknown

    def _record(self, n: int, sha: str) -> dict[str, Any] | None:
        """The columns of a settled experiment, if what its record says is what git has; its calls are added at once."""
        record = read_json(self._artefacts(n).record)
        if record is None:
            return None
        row = record["experiment"]
        if (row["sha"], row["blob"]) != (sha, self.workspace.blob(sha)):
            return None
        for call in record["calls"]:
            self.ledger.add_call(self.row.id, **_columns(call, Call))
        return _columns(row, Experiment) | {"text": self.workspace.read(sha)}

    def _proposal(self, n: int, refs: dict[int, str]) -> dict[str, Any]:
        """The columns of an experiment that was under way: it begins again."""
        sha = refs[n]
        if n == 0:
            text = self.workspace.read(sha)
            return describe.by_text(text, text) | {"hypothesis": "the base", "change": None}
        onto = self.workspace.parent(sha)
        parent = next((m for m, other in refs.items() if other == onto), None)
        if parent is None:
            name = f"refs/autoresearch/{self.row.tag}/{n}"
            raise UserError(f"{name} is derived from no version of this session: `git update-ref -d {name}` drops it")
        about = describe.by_text(self.workspace.read(sha), self.workspace.read(onto))
        return about | {"parent": parent, "hypothesis": self.workspace.message(sha).strip()}

    def _trials(self) -> None:
        """The trials that the ledger does not know, in the order in which they were started."""
        found: list[tuple[Experiment, dict[str, Any]]] = []
        for experiment in self.ledger.experiments(self.row.id):
            trials = self.ledger.trials(self.row.id, experiment.id)
            k = sum(trial.purpose in JUDGING and trial.outcome not in (None, "infra") for trial in trials)
            while (trial := read_json(self._artefacts(experiment.n).trial(k, ".json"))) and "purpose" in trial:
                found.append((experiment, trial))
                k += 1
        for experiment, trial in sorted(found, key=lambda pair: float(pair[1]["started"])):
            columns = {name: trial.get(name) for name in (*ABOUT, *MEASURED)}
            result = {name: value for name, value in trial.items() if name not in ABOUT}
            self.ledger.add_trial(self.row.id, experiment.id, result=result, **columns)

    def _artefacts(self, n: int) -> Artefacts:
        return Artefacts(self.runs / self.row.tag / str(n))


def record(store: Ledger, experiment: Experiment) -> dict[str, Any]:
    """What a recovery has to know of a settled experiment, less its text, which git has."""
    calls = [vars(call) for call in store.calls(experiment.session_id, experiment.n)]
    return {"experiment": vars(experiment) | {"text": None}, "calls": calls}


def _columns(values: dict[str, Any], kind: type[Experiment] | type[Call]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in fields(kind) if field.name not in OWN}
