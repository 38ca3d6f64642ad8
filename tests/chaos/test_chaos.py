"""Sessions that are killed or starved at any boundary and resumed end like an undisturbed session.

mortal.py has the boundaries, and what happens there.
"""

import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import pytest
from support.lives import VERDICTS, Lives, lives, story, write_script
from support.repositories import BIGRAM, make_repository

from autoresearch.analysis import consistency
from autoresearch.ledger import Ledger

STATES = ("proposed", "committed", "measuring", "measured", "decided", "settled")
MOST = 400  # lives until a session has to be at its end
KILLS = 200
WORDS = {  # what the program may say when something is taken from it
    "disk": "No space left on device|disk is full|disk I/O error|unable to open database",
    "descriptors": "Too many open files|unable to open database file",
    "memory": "out of memory|Cannot allocate memory|exit status -9|exit status -11",
}
MENDED = ["references", "garbage", "both"]  # what it must not end for

Live = Callable[[Path, str], AbstractContextManager[Lives]]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository, and a script beside it."""
    folder = tmp_path_factory.mktemp("chaos")
    write_script(folder / "script", BIGRAM)
    return make_repository(folder / "repository", BIGRAM)


@pytest.fixture(scope="module")
def live(begun: Path, settings_of: dict[str, str]) -> Live:
    """Lives of the session in a repository, with pure or real trials."""
    return lambda root, trials: lives(root, begun.with_name("script"), settings_of, trials)


@pytest.fixture(scope="module")
def calm(begun: Path, live: Live) -> Path:
    """The repository after an undisturbed session."""
    root = shutil.copytree(begun, begun.with_name("calm"))
    with live(root, "pure") as session:
        assert session.live() == "agent exhausted"
    return root


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.getuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "test", str(folder)], check=False).returncode
    ):
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def check(calm: Path, stormy: Path, most_lost: int, without: str = "") -> None:
    """Both sessions tell the same story, and no trial was lost but those in flight."""
    wanted, found = story(calm), story(stormy)
    wanted.pop(without, None)
    assert {row["verdict"] for row in wanted["experiments"]} == VERDICTS
    for name in wanted:
        assert found[name] == wanted[name], name
    assert consistency.check(stormy) == []
    with Ledger.open(stormy / "runs" / "ledger.db", readonly=True) as store:
        lost = [trial for trial in store.trials(1) if trial.outcome == "infra"]
    assert len(lost) <= most_lost
    assert {trial.result["reason"] for trial in lost} <= {"interrupted"}


@pytest.mark.slow
def test_a_death_at_every_boundary(begun: Path, calm: Path, live: Live, tmp_path: Path) -> None:
    stormy = shutil.copytree(begun, tmp_path / "stormy")
    with live(stormy, "pure") as session:
        while session.live(at=None) is None:
            assert len(session.deaths) < MOST
    assert len(session.deaths) == len(set(session.deaths)) > 80
    assert all(
        any(f"{when} {state}" in death for death in session.deaths) for when in ("before", "after") for state in STATES
    )
    check(calm, stormy, len(session.deaths))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_kills(begun: Path, live: Live, tmp_path: Path) -> None:
    """At random instants and at random boundaries in turn, with trials in cells."""
    calm, deaths, sessions = shutil.copytree(begun, tmp_path / "calm"), 0, 0
    with live(calm, "real") as session:
        assert session.live() == "agent exhausted"
    while deaths < KILLS:
        draw = random.Random(sessions)
        stormy = shutil.copytree(begun, tmp_path / f"stormy-{sessions}")
        with live(stormy, "real") as session:
            while True:
                instant = len(session.deaths) % 2
                order = {"after": draw.uniform(0.0, 2.0)} if instant else {"at": draw.randint(1, 100)}
                if session.live(**order) is not None:
                    break
        check(calm, stormy, len(session.deaths))
        deaths, sessions = deaths + len(session.deaths), sessions + 1
    print(f"{deaths} kills in {sessions} sessions")


@pytest.mark.slow
@pytest.mark.parametrize("step", [13, 1])
def test_what_is_used_up_stops_it_with_a_line(step: int, begun: Path, calm: Path, disk: Path, live: Live) -> None:
    stormy, struck = shutil.copytree(begun, disk / "stormy"), 0
    with live(stormy, "pure") as session:
        for life in count():
            kind = list(WORDS)[life % len(WORDS)]
            end = session.struck(at=4 + step * life, do=[kind])
            assert end["status"] == 0, end
            if end["code"]:
                assert re.fullmatch(rf"autoresearch: .*({WORDS[kind]}).*\n", end["said"]), (kind, end)
                struck += 1
            elif not end["boundary"]:
                break
    assert struck > 5
    check(calm, stormy, struck, without="files")  # on a full disk those of discards go


@pytest.mark.slow
@pytest.mark.parametrize("at", [47, *range(10, 200, 19)])
def test_what_is_deleted_is_put_back(at: int, begun: Path, calm: Path, live: Live, tmp_path: Path) -> None:
    stormy = shutil.copytree(begun, tmp_path / "stormy")
    with live(stormy, "pure") as session:
        end = session.struck(at=at, every=199, do=MENDED)
        assert end["ended"] == "agent exhausted", end["said"]
        assert session.struck(at=1, do=["both"])["ended"] == "agent exhausted"
    check(calm, stormy, 0)
