"""The climbmix source, from a server on loopback and from a folder."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.file_server import serving

from autoresearch.data import climbmix
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UsageError, UserError
from autoresearch.setup import prepare

pyarrow = pytest.importorskip("pyarrow")


def text(shard: int, k: int) -> str:
    return f"shard {shard} document {k} " + " ".join(f"word{(shard * k + i) % 97}" for i in range(40))


def parquet(texts: list[str]) -> bytes:
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), file)
    return file.getvalue()


@pytest.fixture
def files() -> dict[str, bytes]:
    """Make three training shards, and a validation shard that shares a text with the first."""
    held = [*(text(climbmix.VALIDATION_SHARD, k) for k in range(30)), text(0, 3)]
    shards = {f"shard_{n:05}.parquet": parquet([text(n, k) for k in range(40)]) for n in range(3)}
    return shards | {f"shard_{climbmix.VALIDATION_SHARD}.parquet".replace("_6", "_06"): parquet(held)}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def prepare_climbmix(cache: Path, source: str = "climbmix", shards: int = 2) -> Dataset:
    return Dataset.open(prepare.prepare(source, 256, 32, cache=cache, progress=False, shards=shards))


def decode_split(data: Dataset, split: str) -> str:
    rows = data.rows(split)
    return data.decode(np.concatenate([rows[0], rows[1:, 1:].ravel()])).decode(errors="replace")


def test_shards_are_downloaded_once_and_the_last_one_is_held_out(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(files, []) as (address, server):
        monkeypatch.setenv("HF_ENDPOINT", address)
        data = prepare_climbmix(tmp_path)
        assert prepare_climbmix(tmp_path).root == data.root
        prepare_climbmix(tmp_path, shards=3)
    names = [name for method, name, _ in server.asked if method == "GET"]
    assert names == ["shard_00000.parquet", "shard_00001.parquet", "shard_06542.parquet", "shard_00002.parquet"]
    splits = data.meta["splits"]
    assert splits["train"]["documents"] == 79 and data.meta["duplicates"] == 1
    assert splits["val"]["documents"] + splits["holdout"]["documents"] == 31
    assert abs(splits["val"]["documents"] - splits["holdout"]["documents"]) <= 3
    assert "shard 6542" not in decode_split(data, "train") and "shard 0 document 3 " not in decode_split(data, "train")
    assert "shard 1 " not in decode_split(data, "val") + decode_split(data, "holdout")


def test_a_folder_gives_the_same_data_without_a_network(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(files, []) as (address, _):
        monkeypatch.setenv("HF_ENDPOINT", address)
        online = prepare_climbmix(tmp_path)
    shutil.move(tmp_path / "climbmix", tmp_path / "brought")
    assert prepare_climbmix(tmp_path, f"climbmix:{tmp_path / 'brought'}").hash == online.hash
    with pytest.raises(UserError, match=r"has no shard_00002\.parquet, shard_00003\.parquet"):
        prepare_climbmix(tmp_path, f"climbmix:{tmp_path / 'brought'}", shards=4)


def test_no_room_is_told_before_the_first_byte(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(climbmix, "DISK_FACTOR", 2 * free / len(files["shard_00000.parquet"]))
    with serving(files, []) as (address, server), pytest.raises(UserError, match="GB are free: use fewer --shards"):
        monkeypatch.setenv("HF_ENDPOINT", address)
        prepare_climbmix(tmp_path)
    assert [method for method, _, _ in server.asked] == ["HEAD"]


def test_a_table_without_text_is_one_line(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "shard_00001.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    with pytest.raises(UserError, match=r"shard_00001\.parquet: no column"):
        prepare_climbmix(tmp_path / "cache", f"climbmix:{tmp_path}")


def test_a_number_of_shards_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="use 1 to 6542"):
        prepare.dataset_path("climbmix", cache=tmp_path, shards=7000)
