"""The real program on a disturbed machine: one line, the right exit code, and it goes on where it was."""

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from support.programs import autoresearch, start_session
from support.repositories import git, make_repository

from autoresearch.analysis import consistency
from autoresearch.ledger import Ledger, status

ReadOnly = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def script(tmp_path: Path, bigram: str) -> Path:
    folder = tmp_path / "script"
    folder.mkdir()
    (folder / "01-blunt.py").write_text(bigram.replace("SHARPNESS = 1.0", "SHARPNESS = 0.3"))
    return folder


@pytest.fixture
def env(settings_of: dict[str, str], script: Path) -> dict[str, str]:
    own = {"AGENT": f"scripted:{script}", "BUDGET": "0.4cpu", "REPLICATES": "2"}
    return settings_of | {f"AUTORESEARCH_{name}": value for name, value in own.items()}


@pytest.fixture
def readonly() -> ReadOnly:
    """A folder as if its disk were mounted read-only."""
    if os.getuid():
        pytest.skip("only root can mount here")

    @contextmanager
    def mounted(folder: Path) -> Iterator[None]:
        try:
            subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
            subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        except subprocess.CalledProcessError:
            pytest.skip("nothing can be mounted here")
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    return mounted


def one_line(said: str) -> str:
    """The last line, which is the program's own; there is no traceback before it."""
    assert "Traceback" not in said
    line = said.splitlines()[-1]
    assert line.startswith("autoresearch: "), said
    return line


def goes_on(repository: Path, env: dict[str, str]) -> None:
    done = autoresearch(repository, "run", env=env)
    assert done.returncode == 0, done.stderr
    with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
        assert [(row.n, row.verdict) for row in store.experiments(1)] == [(0, "keep"), (1, "discard")]
    assert consistency.check(repository) == []


@pytest.mark.parametrize(
    ("kind", "limit", "words"),
    [
        (resource.RLIMIT_NOFILE, 8, "Too many open files"),
        (resource.RLIMIT_AS, 1 << 20, "emory"),
    ],
)
@pytest.mark.slow
def test_a_limit_that_is_reached_during_a_session(
    kind: int, limit: int, words: str, repository: Path, env: dict[str, str]
) -> None:
    with start_session(repository, env) as running:
        running.wait_for_trial(0)
        resource.prlimit(running.process.pid, kind, (limit, resource.prlimit(running.process.pid, kind)[1]))
        code, _, said = running.end()
    assert code == 1 and words in one_line(said)
    with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
        session = store.session()
        assert session is not None
        shown = status(store, session, time.time())
    if shown.state == "ended":  # where there was enough left to write it down
        assert (shown.stop_reason, f"autoresearch: {shown.error}") == ("error", one_line(said))
    goes_on(repository, env)


@pytest.mark.slow
def test_a_disk_that_cannot_be_written(tmp_path: Path, bigram: str, env: dict[str, str], readonly: ReadOnly) -> None:
    repository = make_repository(tmp_path / "repository", bigram)
    with readonly(repository):
        done = autoresearch(repository, "run", env=env)
        assert done.returncode == 1 and "Read-only file system: mount it for writing" in one_line(done.stderr)
    goes_on(repository, env)
    with readonly(repository):
        assert autoresearch(repository, "log", env=env).returncode == 0
        done = autoresearch(repository, "run", env=env)
        assert done.returncode == 1 and "readonly" in one_line(done.stderr)


WRITING = ("report", "note later", "best --write", "export --tsv results.tsv", "review 1 --accept", "remove t --yes")


@pytest.mark.slow
def test_a_command_that_cannot_write_names_what_is_there_and_is_to_be_repeated(
    finished: Path, env: dict[str, str], readonly: ReadOnly
) -> None:
    with readonly(finished):
        for command in WRITING:
            done = autoresearch(finished, *command.split(), env=env)
            line = one_line(done.stderr)
            named = line.removeprefix("autoresearch: ").partition(": ")[0].partition(" cannot")[0]
            assert done.returncode == 1 and Path(named).exists(), line
            assert line.endswith("then repeat the command") and "`autoresearch run` goes on" not in line


@pytest.mark.slow
def test_a_repository_that_was_moved(repository: Path, env: dict[str, str], tmp_path: Path) -> None:
    assert autoresearch(repository, "run", "--max-experiments", "1", env=env).returncode == 0
    moved = repository.rename(tmp_path / "elsewhere")
    goes_on(moved, env)


@pytest.mark.slow
def test_a_repository_that_is_moved_while_it_runs(repository: Path, env: dict[str, str], tmp_path: Path) -> None:
    with start_session(repository, env) as running:
        running.wait_for_trial(0)
        moved = repository.rename(tmp_path / "elsewhere")
        code, _, said = running.end()
    assert code in (1, 3) and str(repository) in one_line(said)
    goes_on(moved, env)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["switch", "-q", "autoresearch/t"], ["branch", "-q", "-D", "autoresearch/t"]])
def test_a_branch_that_is_taken_while_it_runs(
    command: list[str], repository: Path, env: dict[str, str], script: Path, bigram: str
) -> None:
    (script / "01-blunt.py").write_text(bigram.replace("SMOOTHING = 0.5 ", "SMOOTHING = 0.02 "))
    with start_session(repository, env | {"AUTORESEARCH_BUDGET": "20steps"}) as running:
        running.wait_for_trial(0)
        git(repository, *command)
        code, _, said = running.end()
    assert code == 0 and "autoresearch/t was not updated" in said
    assert consistency.check(repository) == [] or "left behind" in str(consistency.check(repository))
