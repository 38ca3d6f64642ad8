"""A clone or a fork of karpathy/autoresearch is recognised, and gets settings that can be read."""

from pathlib import Path

import pytest
import yaml

from autoresearch import config
from autoresearch.setup.karpathy import Fork, count_shards, recognise

TRAIN = "from prepare import MAX_SEQ_LEN, evaluate_bpb\nevaluate_bpb(None, None, 1)\n"
PREPARE = "MAX_SEQ_LEN = 512  # context\nTIME_BUDGET = 60\n\ndef evaluate_bpb(model, tokenizer, batch_size): ...\n"
TREE = {"train.py": TRAIN, "prepare.py": PREPARE, "README.md": ""}


def test_a_fork_brings_its_own_constants() -> None:
    assert recognise(TREE) == Fork(512, 60, 8192)
    fork = recognise(TREE | {"prepare.py": PREPARE.replace("60", "30 * 2")})
    assert fork is not None and fork.time_budget_s == 300, "what is no literal is as in the original"
    more = recognise(TREE | {"train.py": TRAIN.replace("MAX_SEQ_LEN", "DATASETS")})
    assert more is not None and more.why_plain == "train.py imports DATASETS from prepare"


@pytest.mark.parametrize(
    "change",
    [
        {"train.py": "def train(trial): ...\n"},
        {"prepare.py": "import autoresearch\n"},
        {"prepare.py": "def evaluate_bpb(:\n"},
        {"train.py": "from prepare import (\n"},
    ],
)
def test_another_repository_is_none(change: dict[str, str]) -> None:
    assert recognise(TREE | change) is None
    assert recognise({name: text for name, text in TREE.items() if name not in change}) is None


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_settings_can_be_read(device: str, tmp_path: Path) -> None:
    fork = Fork(512, 60, 8192)
    for values in (fork.settings(device, shards=3), fork.settings(device), fork.plain_settings()):
        (tmp_path / config.FILE).write_text(yaml.safe_dump(values))
        read = config.load(tmp_path, {})
        assert read.edit == (["train.py"] if "run" in values else [])
        assert read.run is None or read.run.timeout == 120.0
    assert fork.settings("cpu", 3)["source"] == "climbmix:~/.cache/autoresearch/data"
    assert fork.settings("cpu")["budget"] == "60cpu" and fork.settings("cuda")["budget"] == "60s"


def test_shards_count_if_the_validation_shard_is_there(tmp_path: Path) -> None:
    for number in (0, 1, 3):
        (tmp_path / f"shard_{number:05}.parquet").touch()
    assert count_shards(tmp_path) == 0
    (tmp_path / "shard_06542.parquet").touch()
    assert count_shards(tmp_path) == 2
