"""Data sets that travel: cut from a prepared one, or made up."""

from pathlib import Path

import numpy as np
import pack
import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError


def test_a_part_of_a_data_set_is_a_data_set(bytes_data: Dataset, tmp_path: Path) -> None:
    part = pack.cut(bytes_data, tmp_path / "part", train_tokens=100 * bytes_data.seq_len, val_rows=10)
    part.verify()
    assert (part.vocab_size, part.seq_len) == (bytes_data.vocab_size, bytes_data.seq_len)
    assert part.hash != bytes_data.hash
    np.testing.assert_array_equal(part.rows("train"), bytes_data.rows("train")[:100])
    val = bytes_data.rows("val")
    assert len(part.rows("val")) == 10 and len(part.rows("holdout")) == pack.HOLDOUT_ROWS
    np.testing.assert_array_equal(part.rows("val")[[0, -1]], val[[0, -1]])
    np.testing.assert_array_equal(part.token_bytes(), bytes_data.token_bytes())
    assert part.meta["splits"]["train"] == {**part.meta["splits"]["train"], "rows": 100, "tokens": 3200}
    assert part.readable_library() == bytes_data.readable_library() and part.weaknesses == bytes_data.weaknesses


def test_it_takes_all_of_a_small_one(bytes_data: Dataset, tmp_path: Path) -> None:
    part = pack.cut(bytes_data, tmp_path / "part")
    assert len(part.rows("train")) == len(bytes_data.rows("train"))


def test_the_wanted_size_travels() -> None:
    rows = -(-pack.TRAIN_TOKENS // 2048) + pack.VAL_ROWS + pack.HOLDOUT_ROWS
    assert 2 * 2049 * rows + 200_000 < pack.MAX_BYTES <= 45_000_000


def test_a_part_that_is_too_large_is_refused(
    bytes_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "MAX_BYTES", 10_000)
    with pytest.raises(UserError, match="take fewer tokens"):
        pack.cut(bytes_data, tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_an_existing_folder_is_not_replaced(bytes_data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    with pytest.raises(UserError, match="is there"):
        pack.cut(bytes_data, tmp_path / "part")


def test_made_up_text_is_a_data_set_with_hidden_rows(tmp_path: Path) -> None:
    data = pack.make_up(tmp_path / "data")
    data.verify()
    assert (data.vocab_size, data.seq_len) == (256, 64) and data.rows("train").min() >= 32
    assert (data.root / "held").stat().st_mode & 0o077 == 0
