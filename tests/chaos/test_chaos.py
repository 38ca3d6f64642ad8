"""Killed with -9 wherever it hurts, and resumed: in the end nothing tells that session from an undisturbed one."""

import random
import shutil
from pathlib import Path

import pytest
from lives import VERDICTS, Lives, lives, story, write_script

from autoresearch.ledger import Ledger
from autoresearch.review import consistency

STATES = ("proposed", "committed", "measuring", "measured", "decided", "settled")
MOST = 400  # lives until a session has to be at its end
KILLS = 200


@pytest.fixture
def script(tmp_path: Path, bigram: str) -> Path:
    return write_script(tmp_path / "script", bigram)


@pytest.fixture
def twin(repository: Path, tmp_path: Path) -> Path:
    """A second repository with the same commits."""
    return shutil.copytree(repository, tmp_path / "twin")


def check(calm: Path, stormy: Path, session: Lives) -> None:
    """Both sessions tell the same story, and every trial that was lost was the one in flight at a death."""
    wanted, found = story(calm), story(stormy)
    assert {row["verdict"] for row in wanted["experiments"]} == VERDICTS
    for name in wanted:
        assert found[name] == wanted[name], name
    assert consistency.check(stormy) == []
    with Ledger.open(stormy / "runs" / "ledger.db", readonly=True) as store:
        lost = [trial for trial in store.trials(1) if trial.outcome == "infra"]
    assert len(lost) <= len(session.deaths)
    assert {trial.result["reason"] for trial in lost} <= {"interrupted"}


def test_a_death_at_every_boundary(repository: Path, twin: Path, script: Path, settings_of: dict[str, str]) -> None:
    with lives(repository, script, settings_of, "pure") as session:
        assert session.live() == "agent exhausted"
    with lives(twin, script, settings_of, "pure") as session:
        while session.live(at=None) is None:
            assert len(session.deaths) < MOST
    assert len(session.deaths) == len(set(session.deaths)) > 80
    assert all(any(f"{when} {state}" in death for death in session.deaths) for when in ("before", "after") for state in STATES)
    check(repository, twin, session)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_kills(
    repository: Path, script: Path, settings_of: dict[str, str], tmp_path: Path
) -> None:
    """At random instants and at random boundaries in turn, with trials in cells."""
    calm, deaths, sessions = shutil.copytree(repository, tmp_path / "calm"), 0, 0
    with lives(calm, script, settings_of, "real") as session:
        assert session.live() == "agent exhausted"
    while deaths < KILLS:
        draw = random.Random(sessions)
        stormy = shutil.copytree(repository, tmp_path / f"stormy-{sessions}")
        with lives(stormy, script, settings_of, "real") as session:
            while True:
                instant = len(session.deaths) % 2
                order = {"after": draw.uniform(0.0, 2.0)} if instant else {"at": draw.randint(1, 100)}
                if session.live(**order) is not None:
                    break
        check(calm, stormy, session)
        deaths, sessions = deaths + len(session.deaths), sessions + 1
    print(f"{deaths} kills in {sessions} sessions")
