"""Exported weights of a version, and text sampled from them."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from support.programs import autoresearch
from support.repositories import BIGRAM, git

from autoresearch.analysis import checkpoint, sampling
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.measure import answers
from autoresearch.measure.settings import Settings

HOSTILE = BIGRAM.replace(
    'return lambda tokens: state["logits"][tokens]',
    'text = b"\\x1b]0;\\x07\\x08nice"\n'
    "    follows = dict(zip(text, text[1:] + text[:1]))\n"
    "    table = np.eye(256, dtype=np.float32) * 0\n"
    "    for byte in range(256):\n"
    "        table[byte, follows.get(byte, text[0])] = 100.0\n"
    "    return lambda tokens: table[tokens]",
)


@pytest.fixture(scope="module")
def exported(session_repository: Path, settings_of: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy a session and export its incumbent to best.safetensors."""
    root = shutil.copytree(session_repository, tmp_path_factory.mktemp("exported") / "repository")
    done = autoresearch(root, "export", "--checkpoint", "best.safetensors", "--json", env=settings_of)
    assert done.returncode == 0, done.stderr
    (root / "said.json").write_text(done.stdout)
    (root / "said.txt").write_text(done.stderr)
    return root


def test_the_incumbent_trained_once_more(exported: Path) -> None:
    said, words = json.loads((exported / "said.json").read_text())["checkpoint"], (exported / "said.txt").read_text()
    assert said["path"] == "best.safetensors" and said["n"] == 1
    assert said["val_bpb"] == said["recorded"]  # a budget in steps repeats exactly
    assert "a session stores no weights: experiment 1 is trained once more" in words
    assert f"it scored {said['val_bpb']:.6f} with seed {said['seed']}; recorded: {said['recorded']:.6f}" in words
    with safe_open(exported / "best.safetensors", "numpy") as file:
        assert file.keys() == ["logits"] and file.get_tensor("logits").shape == (256, 256)
        about = file.metadata()
    assert about["config"] == "{}" and about["n"] == "1" and about["seed"] == str(said["seed"])
    assert about["train.py"] == git(exported, "show", "refs/autoresearch/t/1:train.py")


@pytest.mark.slow
def test_text_that_a_file_goes_on_with(exported: Path, settings_of: dict[str, str]) -> None:
    def sample_text(*options: str) -> str:
        done = autoresearch(exported, "sample", "best.safetensors", "--prompt", "the qu", *options, env=settings_of)
        assert done.returncode == 0, done.stderr
        return done.stdout

    text = sample_text("--tokens", "40")
    assert text.startswith("the qu") and 30 < len(text) <= 47 and sample_text("--tokens", "40") == text
    assert sample_text("--tokens", "40", "--seed", "1") != text
    assert sample_text("--tokens", "9", "--temperature", "0", "--seed", "1") == sample_text(
        "--tokens", "9", "--temperature", "0"
    )


@pytest.mark.slow
def test_weights_of_an_experiment_are_made_once(exported: Path, settings_of: dict[str, str]) -> None:
    first = autoresearch(exported, "sample", "2", "--tokens", "10", env=settings_of)
    assert first.returncode == 0 and "experiment 2 is trained once more" in first.stderr
    again = autoresearch(exported, "sample", "2", "--tokens", "10", env=settings_of)
    assert (again.returncode, again.stderr, again.stdout) == (0, "", first.stdout)
    done = autoresearch(exported, "doctor", "--ledger", env=settings_of)
    assert done.returncode == 0, done.stdout


def test_what_a_version_says_does_nothing_in_a_terminal(exported: Path, settings_of: dict[str, str]) -> None:
    path = exported / "hostile.safetensors"
    raw = (exported / "best.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header["__metadata__"]["train.py"] = HOSTILE
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
    done = autoresearch(exported, "sample", path.name, "--tokens", "60", "--temperature", "0", env=settings_of)
    assert done.returncode == 0 and "nice" in done.stdout, done.stderr
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.stdout)


def test_a_version_that_fails_is_one_line(exported: Path, settings_of: dict[str, str]) -> None:
    path = exported / "broken.safetensors"
    path.write_bytes(
        (exported / "best.safetensors").read_bytes().replace(b"return lambda tokens", b"return lamda  tokens")
    )
    done = autoresearch(exported, "sample", path.name, env=settings_of)
    assert done.returncode == 1 and done.stderr.startswith("autoresearch: the version could not be sampled from: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100, b"\x02\0\0\0\0\0\0\0{}", (1 << 62).to_bytes(8, "little")])
def test_files_that_are_no_weights(tmp_path: Path, quick: Settings, bytes_data: Dataset, content: bytes) -> None:
    (tmp_path / "odd.bin").write_bytes(content)
    with pytest.raises(UserError, match="make one with `autoresearch export --checkpoint FILE`"):
        sampling.draw(tmp_path / "odd.bin", "", 5, 0.8, 0, quick, bytes_data)


def test_weights_for_other_tokens_and_files_that_are_not_there(
    exported: Path, quick: Settings, bytes_data: Dataset
) -> None:
    raw = (exported / "best.safetensors").read_bytes()
    (exported / "foreign.safetensors").write_bytes(raw.replace(bytes_data.hash.encode(), b"0123456789abcdef"))
    for name, words in (
        ("foreign.safetensors", "was trained on another data set"),
        ("absent", "No such file"),
        (".", "Is a directory"),
    ):
        with pytest.raises(UserError, match=words):
            sampling.draw(exported / name, "", 5, 0.8, 0, quick, bytes_data)


def test_a_version_that_is_not_there(exported: Path, settings_of: dict[str, str]) -> None:
    done = autoresearch(exported, "sample", "99", env=settings_of)
    assert done.returncode == 1 and "session t has no such version: see `autoresearch log --all`" in done.stderr


def test_a_file_is_written_whole_or_not_at_all(exported: Path, tmp_path: Path) -> None:
    with (
        (exported / "best.safetensors").open("rb") as file,
        pytest.raises(UserError, match="cannot be written: File exists"),
    ):
        checkpoint.write_weights(file.fileno(), {}, exported / "said.txt" / "x.safetensors")


def test_drawing_follows_what_the_model_says() -> None:
    asked = []

    def after(row: np.ndarray, position: np.ndarray) -> np.ndarray:
        asked.append((row[0].tolist(), int(position[0])))
        logits = np.zeros((1, 8), np.float32)
        logits[0, (row[0, position[0]] + 1) % 8] = 50.0
        return logits

    answer = np.zeros(5, np.int32)
    answers.draw(after, [6], answer, 4, 0.7, 0)
    assert answer.tolist() == [7, 0, 1, 2, 3]
    assert asked[0] == ([6, 0, 0, 0], 0) and asked[1] == ([6, 7, 0, 0], 1) and asked[4] == ([7, 0, 1, 2], 3)
