"""Attacks on whole sessions, on a program killed with -9, and as an ordinary user."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cells import ROOT, carrying, wait
from support.hostile import ATTACKS
from support.repositories import git
from support.sessions import session_of

from autoresearch.agents import registry
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger, experiment_rows
from autoresearch.measure.cell_process import FOLDER
from autoresearch.measure.result import Progress
from autoresearch.measure.settings import Settings
from autoresearch.sandbox.cell import DEATH_TIMEOUT_S
from autoresearch.workspace.workspace import Workspace

NOBODY = 65534
BARE_OR_NOT = pytest.mark.parametrize("off", [frozenset[str](), frozenset({"ns"})], ids=["bare", "container"])


# --- a session whose agent is hostile

VERDICTS = {
    "changes_the_seed": "duplicate",
    "prints_numbers": "discard",
    "lies_inside_the_tolerance": "discard",
    "claims_negative": "suspect",
    "peeks": "suspect",
    "edits_the_repository": "discard",
    "speaks_to_the_reader": "crash",
}


def noisy(text: str) -> str:
    """Return the same attack around a model that depends on the seed, as real ones do."""
    sample = "fit(np.random.default_rng(trial.seed).permutation(trial.rows)[:1000])"
    return text.replace("fit(trial.rows)", sample)


@pytest.fixture
def hostile_agent(tmp_path: Path, repository: Path) -> Path:
    """A repository whose base is the model that the attacks are built around, and a folder of proposals."""
    base = noisy(ATTACKS["changes_the_seed"].text).replace("1337", "42")
    (repository / "train.py").write_text(base)
    git(repository, "commit", "-q", "-a", "-m", "the honest model")
    folder = tmp_path / "proposals"
    folder.mkdir()
    for k, name in enumerate(VERDICTS):
        aims = {"repo": repository, "package": FOLDER}
        (folder / f"{k:02}-{name}.py").write_text(noisy(ATTACKS[name].aimed_at(**aims)))
    return folder


def everything(root: Path) -> dict[str, bytes]:
    """Read all files of a repository except git's objects, our refs and what the session writes."""
    files = [path for path in root.rglob("*") if path.is_file()]
    ours = ("runs/", ".git/objects/", ".git/refs/autoresearch/", ".git/refs/heads/autoresearch/", ".git/logs/refs/")
    names = {str(path.relative_to(root)): path for path in files}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(ours)}


@pytest.mark.slow
def test_a_hostile_agent_gets_no_keep_and_changes_nothing(
    repository: Path, hostile_agent: Path, quick: Settings, bytes_data: Dataset
) -> None:
    before, workspace = everything(repository), Workspace(repository)
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        session = session_of(repository, store, registry.create(f"scripted:{hostile_agent}"), quick, bytes_data)
        assert session.run() == "agent exhausted"
        rows = {row.n: row for row in experiment_rows(store, session.context.row)}
    found = {name: rows[n].verdict for n, name in enumerate(VERDICTS, 1)}
    assert found == VERDICTS, {name: rows[n].reason for n, name in enumerate(VERDICTS, 1)}
    assert workspace.best("t") == rows[0].sha
    assert git(repository, "rev-parse", "autoresearch/t").strip() == rows[0].sha
    assert everything(repository) == before
    results = (repository / "runs" / "t" / "results.tsv").read_text()
    assert [line.split("\t")[3] for line in results.splitlines()[1:]].count("keep") == 1


# --- what is left when it is over


@BARE_OR_NOT
def test_daemons_are_gone_soon_after_the_bell(bytes_data: Dataset, off: frozenset[str]) -> None:
    attack, token = ATTACKS["daemons"], f"daemon{uuid.uuid4().hex}"
    seen, times = [set[int]()], dict[str, float]()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(carrying(token))
            time.sleep(0.02)

    def watch(progress: Progress) -> None:
        times.setdefault(progress.stage, time.monotonic())

    watcher = threading.Thread(target=look)
    watcher.start()
    result = attack.measure(bytes_data, off, watch, token=token)
    left = carrying(token)
    over.set()
    watcher.join()
    assert result.outcome == "ok", result.reason + result.log
    assert max(map(len, seen)) >= 8  # they were there
    assert not left
    assert times["score"] - times["train"] < attack.settings().budget.amount + DEATH_TIMEOUT_S


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from autoresearch.measure.clock import Budget
from autoresearch.data.dataset import Dataset
from autoresearch.measure.settings import Settings
from autoresearch.measure.referee import CellReferee
settings = Settings(Budget.parse("60s"), layers_off=frozenset(sys.argv[4].split()))
CellReferee(settings, Dataset.open(Path(sys.argv[3]))).measure(Path(sys.argv[2]).read_text(), 1)
"""


@BARE_OR_NOT
def test_nothing_is_left_after_the_program_is_killed(bytes_data: Dataset, off: frozenset[str], tmp_path: Path) -> None:
    token = f"daemon{uuid.uuid4().hex}"
    (tmp_path / "train.py").write_text(ATTACKS["daemons"].aimed_at(token=token))
    arguments = [str(ROOT), str(tmp_path / "train.py"), str(bytes_data.root), " ".join(off)]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], env=os.environ | {"TMPDIR": str(tmp_path)}
    ) as program:
        deadline = time.monotonic() + 30
        while len(carrying(token)) < 9:
            assert time.monotonic() < deadline and program.poll() is None
            time.sleep(0.02)
        program.send_signal(signal.SIGKILL)
    assert wait(lambda: not carrying(token))
    assert wait(lambda: not list(tmp_path.glob("autoresearch-*")))


# --- as an ordinary user

ESSENTIAL = (
    "reads_val",
    "reads_memory",
    "reads_secrets",
    "network",
    "signals",
    "leaves_a_word",
    "edits_the_repository",
    "spells_names",
    "touches_pages",
    "continues_a_child",
    "asks_where_data_lies",
)


def works_for_nobody(python: Path, folder: Path) -> bool:
    """Return whether a user without rights can run the tests with this Python."""
    command = [str(python), "-c", "import numpy, pytest, safetensors, autoresearch.errors"]
    try:
        done = subprocess.run(
            command,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def python_for_nobody(folder: Path) -> Path | None:
    """Return this Python if every user can run it, else the system's Python of that version with our packages."""
    if works_for_nobody(Path(sys.executable), folder):
        return Path(sys.executable)
    system = Path("/usr/bin/python3")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if not system.exists() or system.resolve().name != version:
        return None
    subprocess.run([system, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (folder / "venv" / "lib" / version / "site-packages" / "more.pth").write_text(
        "".join(f"{path}\n" for path in sys.path if path.endswith("site-packages"))
    )
    python = folder / "venv" / "bin" / "python"
    return python if works_for_nobody(python, folder) else None


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder that belongs to a user without rights, with a copy of the program and its tests."""
    folder = Path(tempfile.mkdtemp(prefix="nobody-", dir="/tmp"))
    folder.chmod(0o755)
    for name in ("autoresearch", "tests", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "tmp").mkdir()
    os.chown(folder / "tmp", NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_the_essential_attacks_as_an_ordinary_user(request: pytest.FixtureRequest) -> None:
    if os.geteuid() != 0:
        pytest.skip("this is an ordinary user already: the attacks have just been run as one")
    folder: Path = request.getfixturevalue("nobodys_folder")
    python = python_for_nobody(folder)
    if python is None:
        pytest.skip("needs a Python that every user can run, with the packages of this one")
    wanted = f"gets_nothing and ({' or '.join(ESSENTIAL)})"
    plugins = ["-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [str(python), "-m", "pytest", "-q", *plugins, "-m", "", "-k", wanted, "tests/attacks"]  # slow ones too
    result = subprocess.run(
        command,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd=folder,
        env={
            "TMPDIR": str(folder / "tmp"),
            "HOME": str(folder / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": os.environ["PATH"],
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    assert f"{2 * len(ESSENTIAL)} passed" in result.stdout
