"""Simulated nights on a cluster: slots are used at most all the time, and a candidate counts once."""

import random

import fleet_night
import pytest


@pytest.mark.parametrize(("screens", "confirms"), [(4, 2), (0, 3)])
def test_the_time_of_all_slots_is_accounted_for(screens: int, confirms: int) -> None:
    night = fleet_night.Night(screens, confirms, 2, 0.8, random.Random(1), 2 * 3600.0).run()
    slots = screens + confirms
    assert sum(night.spent.values()) == pytest.approx(slots * 2 * 3600.0)
    assert 0 < night.spent["idle"] < slots * 2 * 3600.0
    trials = (slots * 2 * 3600.0 - night.spent["idle"]) / (fleet_night.TRIAL_S + fleet_night.OVERHEAD_S)
    assert 0 < night.experiments <= trials
    assert bool(night.dropped) is bool(screens) and bool(night.spent["prescreens"]) is bool(screens)
