"""Signs that the machine is not what it was when the incumbent ran: then the incumbent is measured again."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from autoresearch.ledger import Trial

CLOCK = 0.03  # share by which a card's clock may be another
WARMTH = 10.0  # degrees Celsius by which a card may be warmer or cooler
SPEED = 0.01  # share by which the steps of one version in one budget may differ; 1 % is worth a good idea ...
USUAL = 3.0  # ... or so many times what they differ by for the incumbent, where that is more: on shared cores they always do


def odd(incumbent: Sequence[Trial], since: Sequence[Trial]) -> bool:
    """Whether trials since the incumbent's last one say that the machine has changed; all in order.

    Each slot is compared with itself: one card may always be warmer than the next one.
    """
    then, now = _by_slot(incumbent), _by_slot(since)
    return any(
        any(_other_conditions(trial, then[slot][-1]) for trial in now[slot]) or _other_speed(then[slot], now[slot])
        for slot in then.keys() & now.keys()
    )


def _by_slot(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(str(trial.result.get("slot")), []).append(trial)
    return groups


def _other_conditions(trial: Trial, before: Trial) -> bool:
    """Another clock or temperature, or more processes on the card (GpuMeter.conditions)."""
    now, then = trial.result.get("conditions") or {}, before.result.get("conditions") or {}
    if not now or not then or trial.outcome != "ok":  # one that ended early is a card that was not yet warm
        return False
    clock = abs(now["sm_mhz"] / then["sm_mhz"] - 1) > CLOCK
    warmth = abs(now["temperature"] - then["temperature"]) > WARMTH
    return bool(clock or warmth or now["other_processes"] > then["other_processes"])


def _other_speed(incumbent: Sequence[Trial], since: Sequence[Trial]) -> bool:
    """Whether one version made far more or fewer steps than in its trial before, on a machine where that is unusual."""
    usual = _changes(incumbent)
    versions = {trial.experiment_id for trial in since}
    now = [
        change
        for version in versions
        for change in _changes([trial for trial in since if trial.experiment_id == version])
    ]
    return bool(usual and now) and max(now) > max(SPEED, USUAL * median(usual))


def _changes(trials: Sequence[Trial]) -> list[float]:
    """From each good trial of a version to the next one: the share by which its steps differ, as it reports them."""
    steps = [trial.result.get("reported", {}).get("step") for trial in trials if trial.outcome == "ok"]
    return [abs(after / before - 1) for before, after in pairwise(steps) if before and after]
