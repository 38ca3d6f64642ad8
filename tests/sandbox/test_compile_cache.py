"""Only a copy of the base's compile cache passes from trial to trial."""

from dataclasses import replace
from pathlib import Path

import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.sandbox import compile_cache

COMPILING = """
import os
from pathlib import Path
import numpy as np

def train(trial):
    cache = Path(os.environ["TRITON_CACHE_DIR"])
    trial.log(found=len(list(cache.glob("*"))))
    cache.mkdir(exist_ok=True)
    (cache / f"kernel-{len(list(cache.glob('*')))}").write_text("compiled")
    (Path.home() / "notes").write_text("to my successor")
    trial.log(notes=len(list(Path.home().glob("notes*"))))
    trial.start()
    trial.save({"logits": np.zeros(trial.vocab_size, np.float32)}, {})

def load(state, config, device):
    return lambda tokens: np.broadcast_to(state["logits"], (*tokens.shape, len(state["logits"])))
"""


@pytest.mark.slow
def test_only_what_the_base_compiled_is_there_again(quick: Settings, bytes_data: Dataset, tmp_path: Path) -> None:
    settings = replace(quick, caches=tmp_path / "caches")
    found = []
    for keep in (False, True, False, False):
        result = CellReferee(settings, bytes_data).measure(COMPILING, 0, TrialPlan(keep_caches=keep))
        assert result.outcome == "ok", result.reason
        found.append(result.reported["found"])
        assert result.reported["notes"] == 1
    assert found == [0, 0, 1, 1]
    assert [path.name for path in (tmp_path / "caches").rglob("*") if path.is_file()] == ["kernel-0"]


def test_links_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("val")
    tmp = tmp_path / "cell"
    (tmp / "inductor/ab").mkdir(parents=True)
    (tmp / "inductor/ab/graph").write_text("compiled")
    (tmp / "inductor/link").symlink_to(tmp_path / "secret")
    (tmp / "triton").symlink_to(tmp_path)
    compile_cache.keep(tmp, tmp_path / "store")
    kept = sorted(
        str(path.relative_to(tmp_path / "store")) for path in (tmp_path / "store").rglob("*") if path.is_file()
    )
    assert kept == ["inductor/ab/graph"]
