"""Signs that the machine has changed, and that the incumbent must be measured again."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median

from autoresearch import judge
from autoresearch.judge import Draw
from autoresearch.ledger import Trial
from autoresearch.ledger.trials import by_experiment

CLOCK_SHARE = 0.03  # by which a card's clock may differ
TEMPERATURE_C = 10.0  # by which a card's temperature may differ
STEPS_SHARE = 0.01  # by which the steps of one version in one budget may differ: 1 % is worth a good idea ...
DRIFT_PROBABILITY = 0.99865  # three sigma, where sigma is known: drift is reported above it
USUAL_TIMES = 3.0  # ... or this many times the incumbent's median difference, if that is more, as on shared cores


def machine_changed(incumbent: Sequence[Trial], since: Sequence[Trial]) -> bool:
    """Return whether trials since the incumbent's last one show a changed machine.

    Both are in order of time. Each slot is compared with itself: one card may always be warmer than another.
    """
    then, now = _group_by_slot(incumbent), _group_by_slot(since)
    return any(
        any(_conditions_differ(trial, then[slot][-1]) for trial in now[slot]) or _speed_differs(then[slot], now[slot])
        for slot in then.keys() & now.keys()
    )


def _group_by_slot(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(str(trial.result.get("slot")), []).append(trial)
    return groups


def _conditions_differ(trial: Trial, before: Trial) -> bool:
    """Compare clock, temperature and number of processes on the card (GpuMeter.conditions)."""
    now, then = trial.result.get("conditions") or {}, before.result.get("conditions") or {}
    if trial.outcome != "ok":  # a trial that failed early leaves a cooler card
        return False
    known = now.keys() & then.keys()  # some cards do not tell all of them
    clock = "sm_mhz" in known and abs(now["sm_mhz"] / then["sm_mhz"] - 1) > CLOCK_SHARE
    temperature = "temperature" in known and abs(now["temperature"] - then["temperature"]) > TEMPERATURE_C
    others = "other_processes" in known and now["other_processes"] > then["other_processes"]
    return bool(clock or temperature or others)


def _speed_differs(incumbent: Sequence[Trial], since: Sequence[Trial]) -> bool:
    """Return whether a version made unusually more or fewer steps than in its trial before."""
    usual = _step_changes(incumbent)
    now = [change for trials in by_experiment(since).values() for change in _step_changes(trials)]
    return bool(usual and now) and max(now) > max(STEPS_SHARE, USUAL_TIMES * median(usual))


def _step_changes(trials: Sequence[Trial]) -> list[float]:
    """Return the relative changes of reported steps between successive good trials."""
    steps = [trial.result.get("reported", {}).get("step") for trial in trials if trial.outcome == "ok"]
    return [abs(after / before - 1) for before, after in pairwise(steps) if before and after]


def describe_drift(n: int, draws: Sequence[Draw], noise: judge.Noise) -> str | None:
    """Return a warning if the newest of the draws of experiment `n` is far from the earlier ones."""
    *before, now = draws
    away = now.score - fmean(draw.score for draw in before)
    error = noise.sigma * (1 + 1 / len(before)) ** 0.5
    if judge.p_below_zero(-abs(away), error, noise.dof) < DRIFT_PROBABILITY:
        return None
    scores = f"experiment {n} scores {away / noise.sigma:+.1f} sigma from before"
    return f"{scores}: the machine has changed, older trials count for less"
