"""Compile caches: a copy of the base's passes from trial to trial, a copy of a trial's to the cells that score it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.cells import spec, wait

from autoresearch.data.dataset import Dataset
from autoresearch.measure.cell_process import Harness
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.measure.training import train
from autoresearch.sandbox import compile_cache
from autoresearch.sandbox.cell import Cell

COMPILING = """
import os
from pathlib import Path
import numpy as np

CACHE = Path(os.environ["TRITON_CACHE_DIR"])

def train(trial):
    trial.log(found=len(list(CACHE.glob("*"))))
    CACHE.mkdir(exist_ok=True)
    (CACHE / f"kernel-{len(list(CACHE.glob('*')))}").write_text("compiled")
    (Path.home() / "notes").write_text("to my successor")
    trial.log(notes=len(list(Path.home().glob("notes*"))))
    trial.start()
    trial.save({"logits": np.zeros(trial.vocab_size, np.float32)}, {})

def load(state, config, device):
    return lambda tokens: np.broadcast_to(state["logits"], (*tokens.shape, len(state["logits"])))
"""
LENT = """
    assert sorted(each.name for each in CACHE.iterdir()) == ["kernel-0"], list(CACHE.iterdir())
    assert not (Path.home() / "notes").exists()
    (CACHE / "answer").write_text("from one scoring cell to the next")
    return lambda tokens"""
LEARNT = """    trial.start()
    (CACHE / "learnt").write_text("from the training text")
"""
FILES = """
import os, time
os.makedirs("triton/a")
open("triton/a/kernel", "w").write("compiled")
print("here", flush=True)
"""


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_only_what_the_base_compiled_is_there_again(quick: Settings, bytes_data: Dataset, tmp_path: Path) -> None:
    settings = replace(quick, caches=tmp_path / "caches")
    found = []
    for keep in (False, True, False, False):
        result = CellReferee(settings, bytes_data).measure(COMPILING, 0, TrialPlan(keep_caches=keep))
        assert result.outcome == "ok" and result.cache_lost is None, result.reason
        found.append(result.reported["found"])
        assert result.reported["notes"] == 1
    assert found == [0, 0, 1, 1]
    assert names(tmp_path / "caches") == ["triton/kernel-0"]


@pytest.mark.slow
def test_scoring_cells_get_what_was_compiled_before_the_text_arrived(quick: Settings, bytes_data: Dataset) -> None:
    text = COMPILING.replace("\n    return lambda tokens", LENT).replace("    trial.start()\n", LEARNT)
    result = CellReferee(quick, bytes_data).measure(text, 0)
    assert result.outcome == "ok" and result.audit is not None, result.reason + result.log


@pytest.mark.slow
def test_what_the_base_compiled_is_kept_although_it_never_exits(
    quick: Settings, bytes_data: Dataset, tmp_path: Path
) -> None:
    settings, result = replace(quick, caches=tmp_path / "caches"), Result()
    text = COMPILING.replace(
        "np.float32)}, {})", "np.float32)}, {})\n    import atexit, time; atexit.register(time.sleep, 99)"
    )
    checkpoint = train(text, 0, Harness(settings, bytes_data), result, TrialPlan(keep_caches=True))
    assert checkpoint is not None, result.reason
    os.close(checkpoint)
    assert names(tmp_path / "caches") == ["triton/kernel-0"] and result.cache_lost is None


def test_the_files_of_a_program_that_was_killed_are_kept(tmp_path: Path) -> None:
    with Cell.start(spec(FILES + "time.sleep(100)")) as cell:
        assert wait(lambda: "here" in cell.log())
        assert cell.keep_caches(tmp_path / "store") is None
        assert not cell.is_running()
    assert names(tmp_path / "store") == ["triton/a/kernel"]
    assert not cell.tmp.exists()


def test_a_cell_that_runs_has_the_files_that_are_added(tmp_path: Path) -> None:
    (tmp_path / "store/triton/a").mkdir(parents=True)
    (tmp_path / "store/triton/a/kernel").write_text("another one")
    (tmp_path / "store/triton/a/new").write_text("new")
    code = "while not os.path.exists('triton/a/new'): time.sleep(0.01)\nopen('triton/a/more', 'w')\n"
    code += "os.unlink('triton/a/new')\nprint(os.listdir('triton/a'), open('triton/a/kernel').read(), flush=True)"
    with Cell.start(spec(FILES + code)) as cell:
        assert wait(lambda: "here" in cell.log())
        cell.add_caches(tmp_path / "store")
        assert wait(lambda: not cell.is_running())
    assert "'more'" in cell.log() and cell.log().endswith("compiled\n"), cell.log()


def test_why_nothing_was_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cell").mkdir()
    assert compile_cache.keep(tmp_path / "cell", tmp_path / "store") == "nothing was compiled"
    (tmp_path / "cell/cuda").mkdir()
    (tmp_path / "cell/cuda/x").write_bytes(bytes(100))
    assert "could not be copied" in str(compile_cache.keep(tmp_path / "cell", tmp_path / "cell/cuda/x/store"))
    monkeypatch.setattr(compile_cache, "MAX_BYTES", 99)
    assert compile_cache.keep(tmp_path / "cell", tmp_path / "store") == "it has over 4 GiB"
    monkeypatch.setattr(compile_cache, "MAX_FILES", 0)
    monkeypatch.setattr(compile_cache, "MAX_BYTES", 100)
    assert compile_cache.keep(tmp_path / "cell", tmp_path / "store") == "it has over 0 files"
    assert [path.name for path in tmp_path.iterdir()] == ["cell"]


def test_links_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("val")
    tmp = tmp_path / "cell"
    (tmp / "inductor/ab").mkdir(parents=True)
    (tmp / "inductor/ab/graph").write_text("compiled")
    os.mkfifo(tmp / "inductor/pipe")
    (tmp / "inductor/link").symlink_to(tmp_path / "secret")
    (tmp / "inductor/folder").symlink_to(tmp_path)
    (tmp / "triton").symlink_to(tmp_path)
    os.mkfifo(tmp / "cuda")
    assert compile_cache.keep(tmp, tmp_path / "store") is None
    assert names(tmp_path / "store") == ["inductor/ab/graph"]


def test_a_program_that_replaces_its_folders_meanwhile_gets_no_file_of_others(tmp_path: Path) -> None:
    """While it is copied, a folder becomes a link to a folder with a secret, or a pipe, and a folder again."""
    (tmp_path / "others").mkdir()
    (tmp_path / "others/kernel").write_text("secret")
    tmp = tmp_path / "cell"
    (tmp / "triton/a").mkdir(parents=True)
    (tmp / "triton/a/kernel").write_text("compiled")
    (tmp / "triton/link").symlink_to(tmp_path / "others")
    os.mkfifo(tmp / "triton/pipe")
    swap = f"""
import itertools, os
os.chdir({str(tmp / "triton")!r})
for other in itertools.cycle(["link", "pipe"]):
    os.rename("a", "away"), os.rename(other, "a"), os.rename("a", other), os.rename("away", "a")
"""
    with subprocess.Popen([sys.executable, "-c", swap]) as swapper:
        try:
            for k in range(100):
                compile_cache.keep(tmp, tmp_path / f"store-{k}")
        finally:
            swapper.kill()
    kept = [path.read_text() for path in tmp_path.glob("store-*/triton/a/kernel")]
    assert set(kept) == {"compiled"}
    assert not list(tmp_path.glob("store-*/triton/link/*"))


def test_a_store_that_is_lent_is_removed_at_the_end() -> None:
    with compile_cache.temporary_store() as store:
        assert store is not None and not store.exists()
        (store / "triton").mkdir(parents=True)
    assert not store.parent.exists()
