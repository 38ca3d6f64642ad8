"""What `plan` and `doctor` say of the gain that a night can show."""

import json
from pathlib import Path

import pytest
from support.programs import autoresearch

from autoresearch.ledger import Ledger

pytestmark = pytest.mark.slow


def test_plan_and_doctor_know_the_noise_of_earlier_sessions(finished: Path, settings_of: dict[str, str]) -> None:
    with Ledger.open(finished / "runs" / "ledger.db", readonly=True) as store:
        session = store.session()
        assert session is not None
        event = store.events(session.id, kind="power")[-1]
    found = json.loads(autoresearch(finished, "plan", "--json", env=settings_of).stdout)["power"]
    assert found["gain"] == pytest.approx(event.data["gain"], rel=0.5), "the same rule and nearly the same noise"
    assert found["gain"] > found["sigma"] and found["experiments"] is None, "steps have no known duration"
    words = f"this night can show a gain of {found['gain']:.4f} bits per byte (80 % power)"
    assert words in autoresearch(finished, "plan", env=settings_of).stdout
    assert words in autoresearch(finished, "doctor", env=settings_of).stdout


def test_without_a_comparable_session_it_is_said_that_nothing_is_known(
    finished: Path, settings_of: dict[str, str]
) -> None:
    said = autoresearch(finished, "doctor", "--budget", "15cpu", env=settings_of).stdout
    assert "is not known before the base was measured: `run` says it then" in said
