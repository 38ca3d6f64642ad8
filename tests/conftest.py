"""Fixtures for all tests: a separate cache, a tiny data set, a repository, and a numpy train.py that starts fast."""

import compileall
import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from support.cells import CORE
from support.repositories import BIGRAM, make_repository, write_corpus

from autoresearch.agents.auto import KEYS
from autoresearch.agents.command.presets import PRESETS
from autoresearch.data import stdlib
from autoresearch.data.dataset import Dataset
from autoresearch.measure.cell_process import FOLDER
from autoresearch.measure.clock import Budget
from autoresearch.measure.settings import Settings
from autoresearch.setup import prepare


def pytest_configure() -> None:
    """Compile the package once: cells cannot write bytecode, and would compile it in each of them."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    tools = [preset.keys for preset in PRESETS.values()]
    for name in itertools.chain(*KEYS.values(), *tools):
        os.environ.pop(name, None)  # `--agent auto` would find the keys of the person who runs the tests
    os.environ["OMP_NUM_THREADS"] = "1"  # tests side by side: threads that wait for each other would spin
    prepare.SEARCH_S = 0.0  # many seconds for each corpus of a test; tests of the search set their own
    hypothesis.settings.register_profile("suite", deadline=None, derandomize=True)  # a busy machine is no fault
    hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
    sys.dont_write_bytecode = False
    compileall.compile_dir(FOLDER.parent, quiet=1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """With `-n auto`: a test waits as often as it computes."""
    return len(os.sched_getaffinity(0)) + 2


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first worker who asks for it fills; the others wait for that."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.with_suffix(".made").exists():
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


@pytest.fixture(scope="session")
def bytes_data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A small corpus of made-up sentences: plain bytes, rows of 32, in a cache of its own, which holds the locks."""
    folder, cache = shared(tmp_path_factory, "corpus", write_corpus), tmp_path_factory.mktemp("cache")
    return Dataset.open(prepare.prepare(f"files:{folder}/*.txt", 256, 32, "cpu", cache=cache, progress=False))


@pytest.fixture(scope="session")
def own_library(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Prepare the `stdlib` data set in plain bytes, without torch in the probe, to be quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stdlib, "NEEDED_MODULES", ("numpy", "safetensors.numpy"))

        def make(cache: Path) -> Path:
            return prepare.prepare("stdlib", 256, 64, cache=cache, progress=False)

        return Dataset.open(make(shared(tmp_path_factory, "library-cache", make)))


@pytest.fixture
def quick() -> Settings:
    """Twenty batches, few rows."""
    return Settings(Budget.parse("20steps"), eval_rows=64, eval_batch=16)


@pytest.fixture
def bigram() -> str:
    """A complete train.py in numpy; it starts in a quarter of a second."""
    return BIGRAM


@pytest.fixture
def repository(tmp_path: Path, bigram: str) -> Path:
    """A git repository with a committed train.py and program.md."""
    return make_repository(tmp_path / "repository", bigram)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the folders of cells a disk of 64 MB and 4,000 files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=4000", "none", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    yield
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture(scope="session")
def settings_of(bytes_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment with everything that a small session needs, and a home folder without logins."""
    settings = {
        "CACHE": str(bytes_data.root.parents[1]),
        "SOURCE": bytes_data.meta["source"],
        "VOCAB_SIZE": "256",
        "SEQ_LEN": "32",
        "DEVICE": "cpu",
        "BUDGET": "20steps",
        "EVAL_ROWS": "64",
        "TAG": "t",
        "TOTAL_PAIRS": "0",
        "SLOTS": str(CORE),
    }
    home = {"HOME": str(tmp_path_factory.mktemp("home"))}
    return os.environ | home | {f"AUTORESEARCH_{name}": value for name, value in settings.items()}


@pytest.fixture(scope="session")
def session_repository(settings_of: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of a session of a keep and a discard, for all to copy."""
    return shared(tmp_path_factory, "session", lambda folder: run_small_session(folder, settings_of)) / "repository"


def run_small_session(folder: Path, settings_of: dict[str, str]) -> None:
    """A session of two experiments in a repository in the folder."""
    repository, script = make_repository(folder / "repository", BIGRAM), folder / "script"
    script.mkdir()
    (script / "01-smoother.py").write_text(BIGRAM.replace("SMOOTHING = 0.5 ", "SMOOTHING = 0.02 "))
    (script / "02-blunt.py").write_text(BIGRAM.replace("SHARPNESS = 1.0", "SHARPNESS = 0.3"))
    command = [sys.executable, "-m", "autoresearch", "run", "--agent", f"scripted:{script}"]
    env = settings_of | {"AUTORESEARCH_SEED": "5"}  # one session in ten does not reproduce its record, by luck
    done = subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def finished(session_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it, for the tests of one file."""
    return shutil.copytree(session_repository, tmp_path_factory.mktemp("finished") / "repository")
