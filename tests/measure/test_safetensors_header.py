"""Headers of checkpoints: those of the library are counted, all others are refused within a moment."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from autoresearch.data.dataset import Dataset
from autoresearch.measure import wire
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.safetensors_header import MAX_TENSORS, count_parameters
from autoresearch.measure.settings import Settings

MAX_SECONDS = 120  # on a busy machine; the parser that this replaces took minutes


@contextmanager
def checkpoint(content: bytes) -> Iterator[int]:
    fd = wire.seal("checkpoint", content)
    with open(fd, "rb"):
        yield fd


def with_header(header: str, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header.encode() + data


def with_shape(shape: str) -> str:
    return f'{{"w": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 4]}}}}'


def test_what_the_library_writes_is_counted() -> None:
    tensors: dict[str, Any] = {
        "table": np.zeros((3, 5), np.float32),
        "bits": np.zeros(7, np.bool_),
        "scalar": np.array(1.0, np.float64),
        "none": np.zeros((0, 9), np.int8),
    }
    with checkpoint(save(tensors, {"config": json.dumps({"width": 1e400, "text": "}" * 99})})) as fd:
        assert count_parameters(fd) == 15 + 7 + 1


HOSTILE = {
    "a number of 4,300 digits": with_shape(f"[{'9' * 4301}]"),
    "Infinity": with_shape("[Infinity]"),
    "NaN": with_shape("[NaN]"),
    "1e400": with_shape("[1e400]"),
    "a million factors": with_shape(f"[{','.join(['1'] * 1_000_000)}]"),
    "a million large factors": with_shape(f"[{','.join(['999999999'] * 300_000)}]"),
    "below zero": with_shape("[-1]"),
    "true": with_shape("[true]"),
    "text": with_shape('["1"]'),
    "no list": with_shape("1"),
    "larger than the file": with_shape("[2]"),
    "deep": '{"a":' * 100_000,
    "deep lists": with_shape("[" * 100_000),
    "lists": "[" + "[]," * 1_000_000 + "[]]",
    "many tensors": "{" + ",".join(f'"{k}":{{}}' for k in range(MAX_TENSORS + 1)) + "}",
    "no fields": '{"w": {}}',
    "more fields": '{"w": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1], "more": 1}}',
    "no such type": '{"w": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}}',
    "type of a type": '{"w": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}',
    "backwards": '{"w": {"dtype": "F32", "shape": [0], "data_offsets": [4, 0]}}',
    "behind the end": '{"w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
    "twice the same place": (
        '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},'
        ' "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    ),
    "a gap": '{"w": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}',
    "not JSON": "{",
    "a number": "1",
}


@pytest.mark.parametrize("header", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.timeout(MAX_SECONDS)
def test_other_headers_are_refused_in_time(header: str) -> None:
    with checkpoint(with_header(header, b"\0" * 4)) as fd:
        assert count_parameters(fd) is None


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 7, b"\0" * 8, b"\xff" * 8, (9).to_bytes(8, "little") + b"{}", b"\xff" * 99]
)
def test_a_length_that_is_none_is_refused(content: bytes) -> None:
    with checkpoint(content) as fd:
        assert count_parameters(fd) is None


def test_a_trial_with_a_forged_header_is_that_versions_crash(bytes_data: Dataset, quick: Settings, bigram: str) -> None:
    """A train.py that sends its own checkpoint file in place of the one that `save` makes."""
    forge = f"""from autoresearch.measure import checkpoint_file
    header = {with_shape(f"[{'9' * 5000}]").encode()!r}
    checkpoint_file._parts = lambda *_: [len(header).to_bytes(8, "little"), header, bytes(4)]
    trial.save("""
    result = CellReferee(quick, bytes_data).measure(bigram.replace("trial.save(", forge, 1), 1)
    assert result.outcome == "crash", result.reason
    assert result.parameters == 8 + len(with_shape(f"[{'9' * 5000}]")) + 4  # every byte counts as one
