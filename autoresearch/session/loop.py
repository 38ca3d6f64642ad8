"""The loop: propose, commit, measure, decide, keep or discard, settle.

    proposed -> committed -> measuring -> measured -> decided -> settled

The ledger records each state of an experiment before its step is taken. Every step can be taken again, so a session
that was killed anywhere continues with its unfinished experiments. An unexpected error in a step is the crash of that
version (crashes.py). While a trial runs, the next candidates are prepared, and other slots are at work (pipeline.py).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autoresearch.agents.base import Exhausted
from autoresearch.brief.history import PastExperiment
from autoresearch.brief.lessons import Lessons
from autoresearch.errors import require
from autoresearch.ledger import Experiment
from autoresearch.ledger.parent_events import MEASURED_AGAIN
from autoresearch.ledger.rows import BRANCHES
from autoresearch.ledger.unmeasured import CONFLICTS, is_carried_over
from autoresearch.measure.referee import Referee
from autoresearch.session import describe
from autoresearch.session.base_retry import retry_base
from autoresearch.session.candidates import CandidateMaker
from autoresearch.session.context import SessionContext
from autoresearch.session.crashes import NO_SCORE, Crashes
from autoresearch.session.evidence import Evidence
from autoresearch.session.fillers import Fillers
from autoresearch.session.maintenance import Maintenance
from autoresearch.session.pipeline import Fill, Pipeline, run_on_slots
from autoresearch.session.power_report import PowerReport
from autoresearch.session.stopping import ESTIMATE_AFTER_EXPERIMENTS, Interrupted, SessionControl
from autoresearch.session.target import Target
from autoresearch.session.trial_runner import TrialRunner
from autoresearch.session.verdicts import verdict_columns

VERDICT_FACTS = ("verdict", "val_bpb", "delta", "sigma", "hypothesis")


@dataclass
class SessionLoop:
    """Search for better versions of `base`; built by `assemble` (run.py)."""

    context: SessionContext
    base: str  # text of experiment 0
    referees: Sequence[Referee]  # one for each slot
    candidates: CandidateMaker
    trials: TrialRunner
    evidence: Evidence
    fillers: Fillers
    control: SessionControl
    target: Target
    pipeline: Pipeline
    maintenance: Maintenance
    lessons: Lessons
    crashes: Crashes
    power: PowerReport | None = None
    first: int = 0  # number of the first experiment that is taken up; unfinished ones before it wait

    def run(self) -> str:
        """Run until there is a reason to stop, and return it. Raises UserError."""
        with self.context.lock:
            self.control.ending = None
            self.context.ledger.abandon_open_trials(self.context.id)
            self.maintenance.begin()
            self._add_base()
            try:
                reason = self.control.ending = self._search()
                if self.control.is_over():  # settle what is ready or half measured, without another trial
                    for experiment in self._unfinished():
                        self._finish(experiment, self.referees[0])
            finally:
                self.pipeline.close()
                for referee in self.referees:
                    referee.close()
        return reason

    def _search(self) -> str:
        self._settle_decided()
        unfinished = self._unfinished()
        base = unfinished.pop(0) if unfinished and unfinished[0].n == 0 else None
        is_power_known = self.power is None or self.power.announce()
        self.pipeline.start(unfinished, self._prepare)
        try:
            if base is not None:
                self._finish(base, self.referees[0])
        except Interrupted:
            return self.control.interruption
        if self.power is not None and not is_power_known:
            self.power.announce()
        self.target.begin()
        return run_on_slots(self._serve, self.referees, self.control)

    def _settle_decided(self) -> None:
        """Keep or discard what was decided when an earlier run ended: others may be built on it."""
        for experiment in self._unfinished():
            if experiment.n > 0 and experiment.state == "decided":
                self._finish(experiment, self.referees[0])

    def _unfinished(self) -> list[Experiment]:
        rows = self.context.ledger.unfinished_experiments(self.context.id)
        return [row for row in rows if row.n >= self.first]

    def _serve(self, referee: Referee) -> str:
        """Run experiments on one slot until there is a reason to stop."""
        try:
            while (reason := self._end_reason()) is None:
                if not self.target.measure(referee) and not self._measure_parent(referee):
                    self._experiment(referee)
        except Exhausted as exhausted:
            return str(exhausted)
        except Interrupted:
            return self.control.interruption
        return reason

    def _end_reason(self) -> str | None:
        return self.target.check() or self.control.wait_while_paused()

    def _experiment(self, referee: Referee) -> None:
        started, filled_s = time.monotonic(), 0.0

        def fill(is_unwanted: Callable[[], bool]) -> bool:
            nonlocal filled_s
            began = time.monotonic()
            again = self._fill(referee, is_unwanted)
            self.target.check()  # a filler may have decided it: then no candidate is waited for
            filled_s += time.monotonic() - began
            self.pipeline.put_first(again or [])
            return again is not None

        experiment = self._next(referee, fill)
        if experiment is not None:
            seconds = round(time.monotonic() - started - filled_s, 3)
            self.context.emit("waited", experiment.n, f"{seconds:.1f} s for a candidate", seconds=seconds)
            self.control.busy += 1
            try:
                self._finish(experiment, referee)
            finally:
                self.control.busy -= 1

    def _measure_parent(self, referee: Referee) -> bool:
        """Measure a parent of the archive again, if that is due; return whether it was."""
        parents = self.candidates.parents
        n = parents.choose_to_measure() if parents is not None and not self.control.is_too_late() else None
        if n is None:
            return False
        self.context.emit(MEASURED_AGAIN, n, "measured once more, for others are derived from it")
        self.pipeline.put_first(self.fillers.measure_again(n, referee, self.control.is_leisure_over))
        return True

    def _next(self, referee: Referee, fill: Fill) -> Experiment | None:
        """Wait for the next candidate of a slot."""
        return self.pipeline.next(fill)

    def _fill(self, referee: Referee, is_unwanted: Callable[[], bool]) -> list[Experiment] | None:
        """Make a candidate of near misses, or run a filler; return new candidates, None if nothing was done."""
        return self._pool() or self.fillers.run(referee, is_unwanted)

    def _finish(self, experiment: Experiment, referee: Referee) -> None:
        steps = {
            "proposed": self._commit,
            "committed": lambda row: self._measure(row, referee),
            "measuring": lambda row: self._measure(row, referee),
            "measured": self._decide,
            "decided": self._settle,
        }
        while experiment.state != "settled":
            experiment = self._take_step(steps[experiment.state], experiment)
            if experiment.state == "measuring":  # it goes on on another slot
                return

    def _take_step(self, step: Callable[[Experiment], Experiment], experiment: Experiment) -> Experiment:
        try:
            return self.maintenance.take_step(step, experiment)
        except Exception as error:
            return self.crashes.settle(experiment.n, error)

    def _add_base(self) -> None:
        if (base := self.context.ledger.experiment(self.context.id, 0)) is not None:
            return retry_base(self.context, base)
        columns = describe.base_columns(self.base, self.context.row)
        self.context.ledger.add_experiment(self.context.id, 0, **columns)

    def _prepare(self, wanted: int, add: Callable[[Experiment], None]) -> None:
        """Propose and commit candidates, and add each."""
        self.candidates.propose(lambda row: self._admit(row, add), wanted)

    def _pool(self) -> list[Experiment]:
        """Commit a pool of near misses, if there is one, while the agent works."""
        pooled = list[Experiment]()
        for row in self.candidates.pool():
            self._admit(row, pooled.append)
        return pooled

    def _admit(self, row: Experiment, add: Callable[[Experiment], None]) -> None:
        """Commit a candidate and add it; one that was refused is settled at once."""
        committed = self._take_step(self._commit, row)
        if committed.state == "measured":
            self._finish(committed, self.referees[0])
        else:
            add(committed)

    def _commit(self, experiment: Experiment) -> Experiment:
        context, workspace, text = self.context, self.context.workspace, require(experiment.text)
        if experiment.n == 0:
            sha = workspace.start(context.tag, context.row.base_sha, text)
        else:
            parent = require(context.experiment(require(experiment.parent)).sha)
            sha = workspace.commit(context.tag, experiment.n, text, parent, describe.proposal_message(experiment))
        state = "measured" if experiment.verdict else "committed"
        return context.advance(experiment, state, sha=sha, blob=workspace.blob(sha))

    def _measure(self, experiment: Experiment, referee: Referee) -> Experiment:
        experiment = self.context.advance(experiment, "measuring")
        while (purpose := self.evidence.next_purpose(experiment)) is not None:
            if self.control.is_interrupted():
                raise Interrupted
            if self.control.is_over() or (purpose != "base" and self.control.is_too_late()):
                break
            if not self._runs_here(experiment, purpose, referee):
                return experiment
            result = self.trials.run(experiment, purpose, referee)
            if result.ended_early and self.control.is_leaving():  # it waited for a node
                raise Interrupted
            if purpose == "base" and result.outcome == "ok":
                self.pipeline.begin()  # the agent has the facts of one trial
        if self.control.ending == "error":  # the keep of another slot may wait: it comes first
            raise Interrupted
        return self.context.advance(experiment, "measured")

    def _runs_here(self, experiment: Experiment, purpose: str, referee: Referee) -> bool:
        """Return whether a slot runs trials with a purpose; if not, another slot has got the experiment."""
        return True

    def _decide(self, experiment: Experiment) -> Experiment:
        if experiment.verdict is None:
            experiment = self._judge(experiment)
        return self.context.advance(experiment, "decided")

    def _judge(self, experiment: Experiment) -> Experiment:
        """Record what the trials say of a version now."""
        columns = NO_SCORE | verdict_columns(self.evidence, experiment)
        return self.context.advance(experiment, experiment.state, **columns)

    def _settle(self, experiment: Experiment) -> Experiment:
        """Keep the version, or rebase a superseded one; then record the verdict and its lesson."""
        if experiment.verdict == "keep" and self.evidence.is_superseded(experiment):  # another one was kept meanwhile
            experiment = self._judge(experiment)
        if is_carried_over(experiment.reason or "") and not self.control.is_over():
            experiment = self._rebase(experiment)
        if experiment.n > 0:
            trials = len(self.evidence.trials(experiment))
            if experiment.verdict == "keep":
                message = describe.keep_message(experiment, trials, self.context.row)
                incumbent, sha = self.evidence.incumbent().sha, require(experiment.sha)
                sha = self.context.workspace.keep(self.context.tag, experiment.n, sha, message, incumbent)
                experiment = self.context.advance(experiment, "decided", sha=sha)
            past = PastExperiment.from_row(experiment, metric=self.context.row.metric)
            note = self.lessons.correct if experiment.settled else self.lessons.add  # settled before: a near miss
            self.crashes.guard(past.n, lambda: note(self.context.tag, past, trials))
        settled = replace(experiment, state="settled", settled=time.time())
        self.crashes.guard(settled.n, lambda: self.maintenance.record_settled(settled))
        experiment = self.context.advance(experiment, "settled", settled=settled.settled)
        self.crashes.guard(settled.n, self.context.write_results)
        words, facts = f"{experiment.verdict}: {experiment.reason}", vars(experiment)
        self.context.emit("verdict", experiment.n, words, **{name: facts[name] for name in VERDICT_FACTS})
        if experiment.n == ESTIMATE_AFTER_EXPERIMENTS:
            self.control.report_cost(experiment.n)
        return experiment

    def _rebase(self, old: Experiment) -> Experiment:
        """Make a superseded candidate for the new incumbent the next one."""
        rebased = self.candidates.rebase(old)
        if rebased is None:
            return self.context.advance(old, "decided", reason=f"{old.reason}, {CONFLICTS}")
        how = ", as it is" if rebased.mode in BRANCHES else f" onto {rebased.parent}"
        self.context.emit("merged", rebased.n, f"experiment {old.n}{how}")
        self.pipeline.put_first([rebased])
        return old
