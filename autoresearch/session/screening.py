"""Screening in a pool of its own: which trials it needs, what it drops and promotes, and when it ends.

A candidate is compared there with its incumbent as it was measured there. What is promoted begins anew in the pool that
confirms, and so does a random share of what would be dropped: these pairs say how well the gains of the two agree.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean

from autoresearch import judge
from autoresearch.files import JsonObject, short_hash
from autoresearch.judge import Beliefs, Decision, Draw, GainPair, Noise
from autoresearch.ledger import Experiment, Trial
from autoresearch.ledger.prescreens import (
    DROPPED,
    SCREENED,
    SCREENING_ENDS,
    Screened,
    confirmed_gains,
    draws_in,
    elsewhere,
    screened_in,
)
from autoresearch.ledger.rows import PRESCREEN, REFERENCE, derive_seed
from autoresearch.ledger.trials import fails_now
from autoresearch.session.context import SessionContext

DROP, PROMOTE = "drop", "promote"
REFERENCES = 2  # trials of a later incumbent in the screening pool; of the base, as many as it has replicates
MIN_REFERENCES, MIN_BASE_REFERENCES = 1, 2  # before a verdict: those of the base tell the noise
OTHER_MEMORY = "oom"  # outcome that says nothing of another kind of card
MIN_SCREENED = 40  # candidates, before it is asked whether screening pays
USUAL_PROMOTED, USUAL_TRIALS = (0.2, 10.0), (2.0, 5.0)  # share and confirming trials at first, and their weights
INCUMBENT_VARIANCE = 1 / 3  # of the incumbent's level in the confirming pool, in sigma squared

Decide = Callable[[Sequence[Draw], Sequence[Draw], Noise, Beliefs], Decision]


@dataclass
class ScreenPool:
    """The screening pool of a session beside the one that confirms: what its trials measure on, names, slots."""

    identity: JsonObject
    kind: str
    confirm_kind: str
    slots: int
    confirm_slots: int
    is_usable: bool = field(default=True, init=False)  # in this run: its nodes may have ended, and come back later

    @property
    def key(self) -> str:
        return short_hash(self.identity, 12)


@dataclass
class Screening:
    """Ask what a candidate needs in the screening pool; hold the lock when calling a method."""

    context: SessionContext
    pool: ScreenPool
    base_references: int
    has_slots: bool = True  # that screen in this run

    def is_on(self) -> bool:
        """Return whether candidates are still screened there."""
        return self.has_slots and self.pool.is_usable and not self._has_ended()

    def _has_ended(self) -> bool:
        """Return whether screening there was given up for good."""
        ends = self.context.ledger.events(self.context.id, kind=SCREENING_ENDS)
        return any(event.data.get("pool") == self.pool.key for event in ends)

    def next_step(self, experiment: Experiment, rival: Experiment, decide: Decide) -> str:
        """Return the purpose of the trial that a candidate needs there, `drop` or `promote`."""
        if (known := self.find(experiment.n)) is not None:
            return PROMOTE if known.is_confirmed else DROP
        if (failed := self.find_failed(experiment)) is not None:
            return PROMOTE if failed.outcome == OTHER_MEMORY else DROP
        references, wanted = self._completed(rival, REFERENCE), self._wanted(rival)
        if not self.is_on() or fails_now(references):
            return PROMOTE
        good = sum(trial.outcome == "ok" for trial in references)
        if good + self._count_running(rival) < wanted:
            return REFERENCE
        if not self._completed(experiment, PRESCREEN):
            return PRESCREEN
        if not self._can_assess(rival):  # the other trials were lost, or still run
            return REFERENCE
        return PROMOTE if self.assess(experiment, rival, decide).is_confirmed else DROP

    def record(self, experiment: Experiment, rival: Experiment, decide: Decide) -> None:
        """Record what a prescreen decides, once: later ones would change it."""
        done = self._completed(experiment, PRESCREEN)
        is_open = bool(done) and done[-1].outcome == "ok" and self.find(experiment.n) is None
        if is_open and self._can_assess(rival) and self.next_step(experiment, rival, decide) in (DROP, PROMOTE):
            found = asdict(self.assess(experiment, rival, decide))
            words = f"promoted on {self.pool.kind}: " if found["promoted"] else ""
            check = ", but confirmed as a check" if found["audited"] else ""
            self.context.emit(SCREENED, found.pop("n"), f"{words}{found['reason']}{check}", **found)

    def find(self, n: int) -> Screened | None:
        """Return what was decided about an experiment in this pool."""
        return next((each for each in self._screened() if each.n == n), None)

    def find_failed(self, experiment: Experiment) -> Trial | None:
        """Return the prescreen of an experiment if it failed."""
        return next((trial for trial in self._completed(experiment, PRESCREEN) if trial.outcome != "ok"), None)

    def seed(self, purpose: str, experiment: Experiment, rival: Experiment) -> int:
        """Return the seed of the next trial there; a prescreen makes a pair with a trial of its incumbent."""
        if purpose == PRESCREEN:
            return self._reference_seed(rival, experiment.n % self._wanted(rival))
        return self._reference_seed(rival, len(self._completed(rival, REFERENCE)) + self._count_running(rival))

    def review(self) -> None:
        """End screening in this pool, with a message, once it is clear that it does not pay."""
        screened = self._screened()
        if len(screened) < MIN_SCREENED or not self.is_on():
            return
        variance = fmean(each.variance for each in screened)
        gains = confirmed_gains(self.context.ledger, self.context.row)
        pairs = [_pair(each, *gains[each.n]) for each in screened if each.n in gains]
        spread = judge.true_spread([each.gain for each in screened], variance)
        weights = judge.correlation_weights(pairs, spread)
        least = judge.break_even(self._costs(screened, [1 + reruns for _, reruns in gains.values()]), spread, variance)
        if judge.p_too_low(weights, least) >= judge.STOP_PROBABILITY:
            self._end(float(weights @ judge.CORRELATIONS), least, len(pairs))

    def _end(self, correlation: float, least: float, pairs: int) -> None:
        pool, facts = self.pool, {"pool": self.pool.key, "correlation": correlation, "pairs": pairs}
        why = f"its gains predict those on {pool.confirm_kind} too little"
        why += f" (correlation {correlation:.2f} in {pairs} pairs, {least:.2f} is needed)"
        if math.isinf(least):
            why = f"{pool.confirm_slots} slots of {pool.confirm_kind} alone test as many ideas"
        words = f"screening on {pool.kind} ends: {why}; every candidate is measured on {pool.confirm_kind} now"
        self.context.emit(SCREENING_ENDS, None, words, **facts)

    def _costs(self, screened: Sequence[Screened], trials: Sequence[int]) -> judge.Costs:
        (share, weight), (usual, times) = USUAL_PROMOTED, USUAL_TRIALS
        promoted = (sum(each.promoted for each in screened) + share * weight) / (len(screened) + weight)
        confirming = (sum(trials) + usual * times) / (len(trials) + times)
        return judge.Costs(self.pool.slots, self.pool.confirm_slots, promoted, confirming)

    def assess(self, experiment: Experiment, rival: Experiment, decide: Decide) -> Screened:
        """Return what a prescreen says, as it was recorded or by what is known now."""
        if (known := self.find(experiment.n)) is not None:
            return known
        draws = self._draws(experiment)
        ours, theirs = draws[experiment.id], draws[rival.id]
        noise = judge.noise([group for id, group in draws.items() if id != experiment.id])
        beliefs = judge.learn((each.gain, each.p_gain) for each in self._screened())
        decision = decide(ours, theirs, noise, beliefs)
        promoted = decision.action != "discard"
        return Screened(
            n=experiment.n,
            promoted=promoted,
            audited=not promoted and self._is_audited(experiment.n),
            gain=decision.delta / noise.sigma,
            variance=1 + 1 / len(theirs),
            p_gain=decision.p_gain,
            pool=self.pool.key,
            reason=f"{DROPPED} on {self.pool.kind}, {decision.reason}" if not promoted else decision.reason,
        )

    def _is_audited(self, n: int) -> bool:
        return derive_seed(self.context.row.seed, "audited", n) % round(1 / judge.AUDITED_SHARE) == 0

    def _screened(self) -> list[Screened]:
        return screened_in(self.context.ledger, self.context.row, self.pool.key)

    def _draws(self, experiment: Experiment) -> dict[int, list[Draw]]:
        """Return the draws of incumbents and of one candidate in this pool, by id of their experiment."""
        to_scale = self.context.row.metric.to_scale
        groups = dict[int, list[Draw]]()
        for id, score, at, seed in draws_in(self.context.ledger, self.context.row, self.pool.identity, experiment.id):
            groups.setdefault(id, []).append(Draw(to_scale(score), at, seed))
        return groups

    def _completed(self, experiment: Experiment, purpose: str) -> list[Trial]:
        trials = self.context.ledger.trials(self.context.id, experiment.id)
        return elsewhere(trials, purpose, self.pool.identity)

    def _can_assess(self, rival: Experiment) -> bool:
        """Return whether enough trials of an incumbent are known there to compare a candidate with it."""
        good = sum(trial.outcome == "ok" for trial in self._completed(rival, REFERENCE))
        return good >= (MIN_REFERENCES if rival.n else MIN_BASE_REFERENCES)

    def _count_running(self, rival: Experiment) -> int:
        trials = self.context.ledger.trials(self.context.id, rival.id)
        return sum(trial.purpose == REFERENCE and trial.outcome is None for trial in trials)

    def _wanted(self, rival: Experiment) -> int:
        return REFERENCES if rival.n else self.base_references

    def _reference_seed(self, rival: Experiment, k: int) -> int:
        return self.context.row.seed_of(rival.n, REFERENCE, k)


def _pair(screened: Screened, gain: float, reruns: int) -> GainPair:
    return GainPair(screened.gain, screened.variance, gain, 1 / max(1, reruns) + INCUMBENT_VARIANCE)
