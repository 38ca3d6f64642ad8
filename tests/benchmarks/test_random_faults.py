"""Faults at random instants, a few of those of benchmarks/fleet_faults.py."""

from pathlib import Path

import fleet_faults
import pytest

pytestmark = pytest.mark.slow


def test_sessions_that_are_disturbed_find_what_an_undisturbed_one_finds(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    found = fleet_faults.run_faults(tmp_path, ("raylet", "driver"), seed=3, within_s=8.0)
    assert len(found) == 2
    for each in found:
        assert each.same and each.ended, each.describe()
