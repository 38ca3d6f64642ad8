"""The loop. Each experiment goes through

    proposed -> committed -> measuring -> measured -> decided -> settled

and the ledger knows the state before the step is taken. Every step can be taken again, so a session that was killed
anywhere goes on by finishing what it finds unfinished. While a trial runs, the next candidates are made ready, and
other slots are at work (pipeline.py).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autoresearch import ledger
from autoresearch.agents.base import Agent, Exhausted, Proposal
from autoresearch.brief.history import PastExperiment
from autoresearch.brief.lessons import Lessons
from autoresearch.data.dataset import Dataset
from autoresearch.errors import require
from autoresearch.ledger import Experiment, Ledger
from autoresearch.measure.cell_process import Cells, FreshCells
from autoresearch.measure.referee import CellReferee, Referee
from autoresearch.measure.settings import Settings
from autoresearch.measure.warm_cells import choose_cells
from autoresearch.session import describe
from autoresearch.session.briefing import Briefing
from autoresearch.session.constraints import Constraints
from autoresearch.session.events import LedgerEvent, Listener, SessionEvent
from autoresearch.session.evidence import NEXT, SUPERSEDED, Evidence, earlier
from autoresearch.session.maintenance import Maintenance
from autoresearch.session.pipeline import Pipeline, SessionLock, everywhere
from autoresearch.session.proposer import Candidates, Proposer, Refusal, refused
from autoresearch.session.stopping import ESTIMATE_AFTER, GOES_ON, Limits, Steering, estimate_cost
from autoresearch.session.trial_runner import TrialRunner
from autoresearch.source.constants import uses_torch
from autoresearch.workspace.workspace import Workspace


class Interrupted(Exception):
    """The user wants to stop after the running trial; the experiment goes on with the next `run`."""


@dataclass
class SessionLoop:
    """One search: everything the loop needs, given to it."""

    row: ledger.Session
    ledger: Ledger
    workspace: Workspace
    agent: Agent
    settings: Settings  # of trials, with the slot that they run on
    data: Dataset
    runs: Path
    program: Path
    base: str  # text of experiment 0
    identity: dict[str, Any]  # what trials are measured on, now
    replicates: int = 3
    reserve: Callable[[], float] = lambda: 0.0  # seconds that are kept for what comes after the loop
    constraints: Constraints = field(default_factory=Constraints)
    limits: Limits = field(default_factory=Limits)
    listeners: Sequence[Listener] = ()
    make_referee: Callable[[Settings, Dataset, Cells], Referee] = CellReferee
    disk: float = math.inf  # bytes that `runs` may take
    stand_in: Agent | None = None  # proposes while the agent is broken or away
    others: tuple[Settings, ...] = ()  # on other slots, at the same time
    ahead: int = 0  # candidates that are made ready while trials run
    spare: tuple[int, ...] = ()  # cores for that, and for the next trial to import on

    def __post_init__(self) -> None:
        row, store, baton = self.row, self.ledger, SessionLock()
        steered, gpu = self.agent.model is not None, self.settings.gpu
        self.baton = baton
        self.slots = [self._make_referee(settings) for settings in (self.settings, *self.others)]
        self.earlier = earlier(store, row)
        self.lessons = Lessons.of(self.runs, self.identity, row.settings)
        self.upkeep = Maintenance(row, store, self.workspace, self.runs, self.disk, self._tell)
        self.steering = Steering(row, store, self.limits, self.reserve, baton, self._tell)
        self.pipeline = Pipeline(baton, self._prepare, self.steering.wanted, self.ahead, self.spare)
        self.candidates = Candidates(
            row,
            store,
            self.workspace,
            self.runs,
            Briefing(store, row, self.program, self.lessons, steered, gpu),
            Proposer(self.agent, self.stand_in, self._tell, self._refused),
            self._refused,
            baton,
        )
        self.trials = TrialRunner(row, store, self.runs, self.identity, baton, self.upkeep, self.notify, self._tell)

    @property
    def evidence(self) -> Evidence:
        """What the trials so far say."""
        return Evidence(self.ledger, self.row, self.replicates, self.earlier, self.constraints)

    def run(self) -> str:
        """Go on until a limit is reached; returns the reason. Raises UserError when the base itself fails."""
        with self.baton:
            self.steering.ending = None
            self.ledger.abandon_open_trials(self.row.id)
            self.upkeep.begin()
            self._start_base()
            try:
                reason = self.steering.ending = self._search()
                if reason not in GOES_ON:
                    self._finish_all()
            finally:
                self.pipeline.close()
                for slot in self.slots:
                    slot.close()
        return reason

    def _make_referee(self, slot: Settings) -> Referee:
        spare = self.spare if not self.others else ()  # another CPU slot's trial would notice
        cells = choose_cells(slot, spare) if uses_torch(self.base) else FreshCells()
        settings = replace(slot, caches=self.runs / self.row.tag / "caches")
        return self.make_referee(settings, self.data, cells)

    def _search(self) -> str:
        unfinished = self.ledger.unfinished(self.row.id)
        try:
            if unfinished and unfinished[0].n == 0:
                self._finish(unfinished.pop(0), self.slots[0])
        except Interrupted:
            return "interrupted"
        self.pipeline.open(unfinished)
        return everywhere(self._work, self.slots, self.baton, self._stop)

    def _work(self, slot: Referee) -> str:
        """The loop, on one slot."""
        try:
            while (reason := self.steering.over()) is None:
                self._experiment(slot)
        except Exhausted as exhausted:
            return str(exhausted)
        except Interrupted:
            return "interrupted"
        return reason

    def _experiment(self, slot: Referee) -> None:
        waited = time.monotonic()
        experiment = self.pipeline.next(lambda: self.steering.due() is not None)
        if experiment is not None:
            seconds = round(time.monotonic() - waited, 3)
            self._tell("waited", experiment.n, f"{seconds:.1f} s for a candidate", seconds=seconds)
            self.steering.busy += 1
            try:
                self._finish(experiment, slot)
            finally:
                self.steering.busy -= 1

    def _finish(self, experiment: Experiment, slot: Referee) -> None:
        steps = {
            "proposed": self._commit,
            "committed": lambda row: self._measure(row, slot),
            "measuring": lambda row: self._measure(row, slot),
            "measured": self._decide,
            "decided": self._settle,
        }
        while experiment.state != "settled":
            experiment = self.upkeep.step(steps[experiment.state], experiment)

    def _finish_all(self) -> None:
        """Settle what is ready or half measured when the session is over, without another trial."""
        for experiment in self.ledger.unfinished(self.row.id):
            self._finish(experiment, self.slots[0])

    def _prepare(self) -> Experiment | None:
        """A new candidate, ready to be measured; one that was refused is settled at once."""
        experiment = self.upkeep.step(self._commit, self.candidates.propose(self.evidence))
        if experiment.state != "measured":
            return experiment
        self._finish(experiment, self.slots[0])
        return None

    def _start_base(self) -> None:
        """Experiment 0: the version that the search starts from."""
        if self.ledger.experiment(self.row.id, 0) is None:
            about = describe.by_text(self.base, self.base) | {"hypothesis": "the base", "change": None}
            self.ledger.add_experiment(self.row.id, 0, **about)

    # --- the steps

    def _commit(self, experiment: Experiment) -> Experiment:
        if experiment.n == 0:
            sha = self.workspace.start(self.row.tag, self.row.base_sha, require(experiment.text))
        else:
            parent = require(self.ledger.experiment(self.row.id, require(experiment.parent)))
            message = describe.proposed(experiment)
            sha = self.workspace.commit(
                self.row.tag, experiment.n, require(experiment.text), require(parent.sha), message
            )
        state = "measured" if experiment.verdict else "committed"
        return self._advance(experiment, state, sha=sha, blob=self.workspace.blob(sha))

    def _measure(self, experiment: Experiment, slot: Referee) -> Experiment:
        experiment = self._advance(experiment, "measuring")
        while (purpose := self.evidence.next_purpose(experiment)) is not None:
            if self.limits.interrupted or self.steering.ending in GOES_ON:
                raise Interrupted
            if self.steering.ending or (purpose in NEXT.values() and self.steering.too_late()):
                break
            self.trials.run(self.evidence, experiment, purpose, slot)
        return self._advance(experiment, "measured")

    def _decide(self, experiment: Experiment) -> Experiment:
        if experiment.verdict is None:
            experiment = self._advance(experiment, "measured", **self.evidence.verdict(experiment))
        return self._advance(experiment, "decided")

    def _settle(self, experiment: Experiment) -> Experiment:
        if (experiment.reason or "").startswith(SUPERSEDED) and self.steering.ending is None:
            experiment = self._carry_over(experiment)
        if experiment.verdict == "keep" and experiment.n > 0:
            message = describe.keep(experiment, len(self.evidence.trials(experiment)), self.row.grade)
            sha = self.workspace.keep(self.row.tag, experiment.n, require(experiment.sha), message)
            experiment = self._advance(experiment, "decided", sha=sha)
        if experiment.n > 0:
            self.lessons.add(self.row.tag, PastExperiment.of(experiment), len(self.evidence.trials(experiment)))
        settled = time.time()
        self.upkeep.settled(replace(experiment, state="settled", settled=settled))
        experiment = self._advance(experiment, "settled", settled=settled)
        self.upkeep.export()
        self._tell("verdict", experiment.n, f"{experiment.verdict}: {experiment.reason}", **_facts(experiment))
        if experiment.n == ESTIMATE_AFTER:
            self._estimate(experiment)
        return experiment

    def _carry_over(self, old: Experiment) -> Experiment:
        merged = self.candidates.carry_over(old, self.evidence)
        if merged is None:
            return self._advance(old, "decided", reason=f"{old.reason}, with which it conflicts")
        self._tell("merged", merged.n, f"experiment {old.n} onto {merged.parent}")
        self.pipeline.ready.appendleft(merged)
        return old

    def _estimate(self, experiment: Experiment) -> None:
        base = require(self.ledger.experiment(self.row.id, 0))
        seconds, left = time.time() - require(base.settled), self.limits.left()
        if words := estimate_cost(self.ledger.calls(self.row.id), experiment.n, seconds, left):
            self._tell("cost", experiment.n, words)

    # --- the rest

    def _refused(self, proposal: Proposal) -> Refusal | None:
        with self.baton:
            return refused(proposal, self.ledger, self.row.id, self.constraints)

    def _stop(self) -> None:
        self.steering.ending = "error"

    def _advance(self, experiment: Experiment, state: str, **columns: Any) -> Experiment:
        return self.ledger.update_experiment(experiment.id, state=state, **columns)

    def _tell(self, kind: str, n: int | None, text: str, **data: Any) -> None:
        with self.baton:
            self.ledger.event(self.row.id, kind, text, n=n, data=data)
            self.notify(LedgerEvent(kind, n, text, data))

    def notify(self, event: SessionEvent) -> None:
        """Pass an event to the listeners."""
        for listener in self.listeners:
            listener(event)


def _facts(experiment: Experiment) -> dict[str, Any]:
    names = ("verdict", "val_bpb", "delta", "sigma", "hypothesis")
    return {name: getattr(experiment, name) for name in names}
