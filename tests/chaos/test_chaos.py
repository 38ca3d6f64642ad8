"""Sessions that are killed or starved at any boundary and resumed end like an undisturbed session.

support/crash_process.py has the boundaries, and the faults that happen there.
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
from support.crash_session import VERDICTS, CrashSession, crash_session, session_record, write_script
from support.repositories import BIGRAM, git, make_repository

from autoresearch.analysis import consistency
from autoresearch.ledger import Ledger

STATES = ("proposed", "committed", "measuring", "measured", "decided", "settled")
MAX_RUNS = 400  # until a session has to be at its end
KILLS = 200
WORDS = {  # the program's words when a resource is used up
    "disk": "No space left on device|disk is full|disk I/O error|unable to open database",
    "descriptors": "Too many open files|unable to open database file",
    "memory": "out of memory|Cannot allocate memory|exit status -9|exit status -11",
}
REPAIRED = ["references", "garbage", "both"]  # faults that must not end it

OpenSession = Callable[[Path, str], AbstractContextManager[CrashSession]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository, and a script beside it."""
    folder = tmp_path_factory.mktemp("chaos")
    write_script(folder / "script", BIGRAM)
    return make_repository(folder / "repository", BIGRAM)


@pytest.fixture(scope="module")
def open_session(template: Path, settings_of: dict[str, str]) -> OpenSession:
    """The session in a repository, with pure or real trials."""
    return lambda root, trials: crash_session(root, template.with_name("script"), settings_of, trials)


@pytest.fixture(scope="module")
def undisturbed(template: Path, open_session: OpenSession) -> Path:
    """The repository after an undisturbed session."""
    root = shutil.copytree(template, template.with_name("undisturbed"))
    with open_session(root, "pure") as session:
        assert session.run() == "agent exhausted"
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


def check(undisturbed: Path, disturbed: Path, most_lost: int, without: str = "") -> None:
    """Both sessions left the same, and no trial was lost but those that ran at a crash."""
    wanted, found = session_record(undisturbed), session_record(disturbed)
    wanted.pop(without, None)
    assert {row["verdict"] for row in wanted["experiments"]} == VERDICTS
    for name in wanted:
        assert found[name] == wanted[name], name
    assert consistency.check(disturbed) == []
    with Ledger.open(disturbed / "runs" / "ledger.db", readonly=True) as ledger:
        lost = [trial for trial in ledger.trials(1) if trial.outcome == "infra"]
    assert len(lost) <= most_lost
    assert {trial.result["reason"] for trial in lost} <= {"interrupted"}


@pytest.mark.slow
def test_a_death_at_every_boundary(
    template: Path, undisturbed: Path, open_session: OpenSession, tmp_path: Path
) -> None:
    disturbed = shutil.copytree(template, tmp_path / "disturbed")
    with open_session(disturbed, "pure") as session:
        while session.run(at=None) is None:
            assert len(session.crashes) < MAX_RUNS
    assert len(session.crashes) == len(set(session.crashes)) > 80
    assert all(
        any(f"{when} {state}" in crash for crash in session.crashes) for when in ("before", "after") for state in STATES
    )
    check(undisturbed, disturbed, len(session.crashes))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills(template: Path, open_session: OpenSession, tmp_path: Path) -> None:
    """At random instants and at random boundaries in turn, with trials in cells."""
    undisturbed, kills, sessions = shutil.copytree(template, tmp_path / "undisturbed"), 0, 0
    with open_session(undisturbed, "real") as session:
        assert session.run() == "agent exhausted"
    while kills < KILLS:
        draw = random.Random(sessions)
        disturbed = shutil.copytree(template, tmp_path / f"disturbed-{sessions}")
        with open_session(disturbed, "real") as session:
            while True:
                instant = len(session.crashes) % 2
                order = {"after": draw.uniform(0.0, 2.0)} if instant else {"at": draw.randint(1, 100)}
                if session.run(**order) is not None:
                    break
        check(undisturbed, disturbed, len(session.crashes))
        kills, sessions = kills + len(session.crashes), sessions + 1
    print(f"{kills} kills in {sessions} sessions")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("step", [13, 1])
def test_what_is_used_up_stops_it_with_a_line(
    step: int, template: Path, undisturbed: Path, disk: Path, open_session: OpenSession
) -> None:
    disturbed, failures = shutil.copytree(template, disk / "disturbed"), 0
    with open_session(disturbed, "pure") as session:
        for k in count():
            kind = list(WORDS)[k % len(WORDS)]
            end = session.run_with_faults(at=4 + step * k, do=[kind])
            assert end["status"] == 0, end
            if end["code"]:
                assert re.fullmatch(rf"autoresearch: .*({WORDS[kind]}).*\n", end["said"]), (kind, end)
                failures += 1
            elif not end["boundary"]:
                break
    assert failures > 5
    check(undisturbed, disturbed, failures, without="files")  # on a full disk those of discards go


@pytest.mark.slow
@pytest.mark.parametrize("at", [47, *range(10, 200, 19)])
def test_what_is_deleted_is_put_back(
    at: int, template: Path, undisturbed: Path, open_session: OpenSession, tmp_path: Path
) -> None:
    disturbed = shutil.copytree(template, tmp_path / "disturbed")
    with open_session(disturbed, "pure") as session:
        end = session.run_with_faults(at=at, every=199, do=REPAIRED)
        assert end["ended"] == "agent exhausted", end["said"]
        assert session.run_with_faults(at=1, do=["both"])["ended"] == "agent exhausted"
    check(undisturbed, disturbed, 0)


def best_of(root: Path) -> str:
    """Return the commit of the incumbent, empty if there is none yet."""
    return git(root, "for-each-ref", "--format=%(objectname)", "refs/autoresearch/t/best").strip()


def check_forward(root: Path, before: str) -> str:
    """The incumbent is the one before, or was built on it, and the branch is there too; return it."""
    now = best_of(root)
    if before:
        git(root, "merge-base", "--is-ancestor", before, now)
    assert git(root, "for-each-ref", "--format=%(objectname)", "refs/heads/autoresearch/t").strip() in (now, "")
    return now


@pytest.mark.slow
@pytest.mark.parametrize("at", [30, *range(11, 200, 23)])
def test_runs_deleted_while_a_session_runs(
    at: int, template: Path, undisturbed: Path, open_session: OpenSession, tmp_path: Path
) -> None:
    """The open ledger is written again; only files of earlier trials are gone."""
    disturbed = shutil.copytree(template, tmp_path / "disturbed")
    with open_session(disturbed, "pure") as session:
        end = session.run_with_faults(at=at, every=97, do=["runs"])
    assert end["ended"] == "agent exhausted", end["said"]
    wanted, found = session_record(undisturbed), session_record(disturbed)
    for name in ("session", "experiments", "trials", "references", "table"):
        assert found[name] == wanted[name], name
    assert {each.text.endswith(("is missing", "missing or damaged")) for each in consistency.check(disturbed)} <= {True}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(3))
def test_deaths_with_runs_deleted(seed: int, template: Path, open_session: OpenSession, tmp_path: Path) -> None:
    """At random boundaries, some with the references: `best` never moves back, and the session ends."""
    draw, disturbed, best = random.Random(seed), shutil.copytree(template, tmp_path / "disturbed"), ""
    with open_session(disturbed, "pure") as session:
        for _ in range(20):
            fault = draw.choice(["runs and death", "die", "runs"])
            end = session.run_with_faults(at=draw.randint(1, 150), do=[fault])
            assert end["status"] in (0, -9) and not end.get("code"), (end, session.crashes)
            best = check_forward(disturbed, best)
        assert session.run_with_faults()["ended"] == "agent exhausted"
    best = check_forward(disturbed, best)
    with Ledger.open(disturbed / "runs" / "ledger.db", readonly=True) as ledger:
        kept = ledger.experiments(1, verdict="keep")
    assert kept[-1].sha == best
