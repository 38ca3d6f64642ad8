"""Trials of a session: seed, caps, the referee, and the records of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from autoresearch.errors import UserError, describe_failure, format_traceback, is_unexpected, require
from autoresearch.files import JsonObject
from autoresearch.ledger import Experiment, Trial
from autoresearch.ledger.early_stops import BEHIND
from autoresearch.ledger.guard_values import has_passed
from autoresearch.ledger.prescreens import SCREENING_ENDS, count_elsewhere
from autoresearch.ledger.rows import ELSEWHERE, FILLER, PRESCREEN, REFERENCE, STOPPED
from autoresearch.measure.core_meter import OTHERS, SPEED
from autoresearch.measure.referee import Referee
from autoresearch.measure.result import Progress, Result
from autoresearch.measure.settings import TrialPlan
from autoresearch.session import describe
from autoresearch.session.context import SessionContext
from autoresearch.session.early_stop import EarlyStop
from autoresearch.session.events import TrialProgress
from autoresearch.session.evidence import Evidence
from autoresearch.session.kinds import known_tasks
from autoresearch.session.lost_trials import blame, lost_nodes
from autoresearch.session.machine_speed import TOLD_SHARE, describe_slowdown, slower_than_base
from autoresearch.session.maintenance import Maintenance
from autoresearch.session.screening import ScreenPool

ABOUT_PURPOSE = {
    "sentinel": " (the incumbent, for comparison)",
    PRESCREEN: " (a prescreen)",
    REFERENCE: " (the incumbent, for prescreens)",
    FILLER: " (a filler: no candidate was ready)",
}
KEEP_AUDIT_FACTOR = 4  # times as many positions are audited before a keep


@dataclass
class TrialRunner:
    """Run the trials of one session; the lock is released while the referee is at work.

    An unexpected error while a trial is run or recorded is the crash of its version.
    """

    context: SessionContext
    evidence: Evidence
    maintenance: Maintenance
    early_stop: EarlyStop
    identity: JsonObject
    screen_pool: ScreenPool | None = None
    is_wait_over: Callable[[str], bool] = lambda purpose: False  # asked of a trial that waits for a node
    _is_slow: bool = field(default=False, init=False)  # the newest trial

    def run(
        self,
        candidate: Experiment,
        purpose: str,
        referee: Referee,
        is_unwanted: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Measure the subject of a purpose, unless it becomes unwanted. Raises UserError if no trial can be run."""
        context, evidence = self.context, self.evidence
        self.maintenance.card(referee.settings.gpu).wait_until_clean(context.lock.released)
        seed = evidence.seed(candidate, purpose)
        experiment = evidence.subject(candidate, purpose)
        k = self._index(experiment, purpose)
        trial = context.ledger.start_trial(context.id, experiment.id, purpose, seed, require(experiment.blob))
        context.emit("trial", experiment.n, purpose, seed=seed)
        try:
            plan = self._plan(experiment, purpose, referee, k, is_unwanted)
            if purpose == "screen" and (curve := self.early_stop.watch(experiment, seed)) is not None:
                plan = replace(plan, find_behind=curve.find_behind, runs_on=self.early_stop.is_check())
            with context.lock.released():
                result = referee.measure(require(experiment.text), seed, plan)
            blame(context, experiment, result)
            if purpose == FILLER and result.outcome == "ok" and evidence.trial_index(experiment) != k:
                result.end_early("ended early: another slot measures this version")  # whatever it scored
            self._record(experiment, k, trial, referee, result)
        except Exception as error:
            if not is_unexpected(error):
                raise
            result = Result(reason=describe_failure(error), seed=seed, log=format_traceback(error))
            self._record(experiment, k, trial, referee, result)
            context.emit("failed", experiment.n, result.reason)
        self._report(experiment, purpose, result)
        if not self.maintenance.after_trial(result):
            self._give_up(purpose, result)
        return result

    def _give_up(self, purpose: str, result: Result) -> None:
        """Screen no more in this run where no trial can be run in that pool. Raises UserError if it is the other."""
        pool = self.screen_pool
        if pool is None or purpose not in ELSEWHERE:
            raise UserError(f"a trial could not be run: {result.reason}; see `autoresearch doctor`")
        if pool.is_usable:
            pool.is_usable = False
            words = f"{result.reason}; until the next `autoresearch run`, every candidate is measured on"
            self.context.emit(SCREENING_ENDS, None, f"screening on {pool.kind} ends: {words} {pool.confirm_kind}")

    def _index(self, experiment: Experiment, purpose: str) -> int:
        """Return the number of the next trial among those in the same pool."""
        if purpose in ELSEWHERE:
            return count_elsewhere(self.context.ledger.trials(self.context.id, experiment.id))
        return self.evidence.trial_index(experiment)

    def _is_human(self, purpose: str, k: int) -> bool:
        """Return whether a trial is the first one of the human's own code, whose compile cache others may use."""
        return purpose == "base" and k == 0 and self.context.row.from_tag is None

    def _tries_holdout(self, purpose: str, k: int) -> bool:
        """Return whether a trial runs the `holdout` of the user's only to show that it works: the base's first."""
        return purpose == "base" and k == 0 and bool(self.context.row.settings.get("holdout"))

    def _record(self, experiment: Experiment, k: int, trial: Trial, referee: Referee, result: Result) -> None:
        """Write the files of trial `k` of an experiment, and end it in the ledger."""
        about = {"purpose": trial.purpose, "blob": trial.blob, "started": trial.started, "ended": time.time()}
        where = self._place(trial.purpose) | {"slot": referee.settings.gpu or referee.settings.cores, **result.place()}
        files, facts = self.context.artefacts(experiment.n), result.as_json()
        if trial.purpose in ELSEWHERE:
            files.write_elsewhere(k, facts | about | where, result.log)
        elif not result.ended_early:
            files.write_trial(k, facts | about | where, result.log, result.rows, result.losses)
        self.context.ledger.end_trial(trial.id, result.outcome, result.val_bpb, facts | where)

    def _place(self, purpose: str) -> JsonObject:
        """Return what a trial measured on, and the pool where there are two."""
        if (pool := self.screen_pool) is None:
            return {"identity": self.identity}
        if purpose in ELSEWHERE:
            return {"identity": pool.identity, "pool": pool.kind}
        return {"identity": self.identity, "pool": pool.confirm_kind}

    def _report(self, experiment: Experiment, purpose: str, result: Result) -> None:
        speed = result.conditions.get(SPEED) if purpose not in ELSEWHERE else None  # of other cores than the base's
        slower = slower_than_base(self.context.ledger, self.context.row, speed)
        slow = f", the cores {describe_slowdown(slower)} than for the base" if slower > TOLD_SHARE else ""
        words = describe.trial_line(result, self.context.row.metric) + slow + self._about(purpose)
        if result.behind is not None and result.outcome in ("ok", STOPPED):
            self._record_behind(experiment, result, result.behind)
            words += " (it was clearly behind, and ran on to check the rule)" if result.outcome == "ok" else ""
        self.context.emit("measured", experiment.n, words, seconds=round(result.total_seconds, 1))
        if purpose not in ELSEWHERE:
            self._report_speed(experiment, slower, result)
        if purpose in ("sentinel", FILLER) and (warning := self.evidence.drift_warning(experiment)):
            self.context.emit("drift", experiment.n, warning)
        if purpose == "screen" and result.val_bpb is not None and self.evidence.repeats_screening(experiment):
            self.context.emit(
                "repeated", experiment.n, "much slower cores than for the incumbent: it is measured again"
            )
        if result.cache_lost is not None:
            lost = f"the compile cache of the base was not kept: {result.cache_lost}; each trial compiles anew"
            self.context.emit("caches", experiment.n, lost)

    def _about(self, purpose: str) -> str:
        """Return what is said about a trial beside its result: its pool, where there are two."""
        if (pool := self.screen_pool) is None:
            return ABOUT_PURPOSE.get(purpose, "")
        where = pool.kind if purpose in ELSEWHERE else pool.confirm_kind
        return f"{ABOUT_PURPOSE.get(purpose, f' ({purpose})')}, on {where}"

    def _report_speed(self, experiment: Experiment, slower: float, result: Result) -> None:
        """Report it when cores become slow, once until they are as fast as before."""
        is_slow = slower > TOLD_SHARE
        if is_slow and not self._is_slow:
            others = f"{result.conditions[OTHERS]:.1f} other threads could run"
            words = f"the cores are {describe_slowdown(slower)} than for the base: {others}"
            self.context.emit("drift", experiment.n, words)
        self._is_slow = is_slow

    def _record_behind(self, experiment: Experiment, result: Result, behind: dict[str, float]) -> None:
        """Record an early stop, or a check of it, as an event, which later screenings and reports read."""
        ran_on = result.outcome == "ok"
        words = f"{'ran on' if ran_on else 'stopped'}, behind at {100 * behind['progress']:.0f} % of the budget"
        self.context.emit(BEHIND, experiment.n, words, **behind, ran_on=ran_on)

    def _plan(
        self,
        experiment: Experiment,
        purpose: str,
        referee: Referee,
        k: int,
        is_unwanted: Callable[[], bool],
    ) -> TrialPlan:
        """Return what is asked of trial `k`. How long a filler takes must not depend on its score."""
        hopeless = self.evidence.hopeless_above(experiment) if purpose == "screen" else None
        effect, metric = self.evidence.speed_effect, self.evidence.metric
        passed = has_passed(self.evidence.trials(experiment))

        def wants_holdout(val_bpb: float) -> bool:
            with self.context.lock:
                return self._tries_holdout(purpose, k) or (
                    purpose == "rerun" and self.evidence.may_keep(experiment, val_bpb)
                )

        def watch(progress: Progress) -> None:
            found = replace(progress, gpu=referee.settings.gpu)
            self.context.notify(TrialProgress(experiment.n, purpose, found, experiment.arm))

        return TrialPlan(
            loses_above=hopeless,
            wants_holdout=wants_holdout,
            checks_guards=lambda score: not passed and (hopeless is None or metric.to_scale(score) <= hopeless),
            audit_factor=KEEP_AUDIT_FACTOR if purpose == "rerun" else 1,
            incumbent_losses=None if purpose in ELSEWHERE else self._rival_losses(experiment),
            keep_caches=self._is_human(purpose, k),
            watch=watch,
            is_unwanted=is_unwanted,
            is_wait_over=lambda: self.is_wait_over(purpose),
            base=None if purpose in ELSEWHERE else self.evidence.base_overhead(experiment.n),
            tasks=known_tasks(self.evidence.trials(self.context.experiment(0))),
            avoid=frozenset(filter(None, lost_nodes(self.context, experiment))),
            speed_cost=lambda conditions: effect.cost(conditions.get(SPEED)),
        )

    def _rival_losses(self, experiment: Experiment) -> npt.NDArray[np.uint8] | None:
        """Return the stored claim of the version that an experiment has to beat; None for the incumbent itself."""
        if experiment.n == 0 or (rival := self.evidence.rival(experiment)).n == experiment.n:
            return None
        return self.context.artefacts(rival.n).read_losses()
