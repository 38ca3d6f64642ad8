"""A checkpoint holds no more weights than it counts parameters."""

import os
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save

from autoresearch.data.dataset import Dataset
from autoresearch.measure import parameters, wire
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings
from autoresearch.session.constraints import Constraints

WEIGHTS = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
TEXT = WEIGHTS.astype(np.int8).tobytes().hex()


def counted(data: bytes) -> int:
    fd = wire.seal("checkpoint", data)
    try:
        return parameters.count(fd)
    finally:
        os.close(fd)


def checkpoint(tensors: Mapping[str, npt.NDArray[np.generic]], config: str = "{}") -> bytes:
    return bytes(save(dict(tensors), {"config": config}))


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.uint8, np.bool_])
def test_honest_tensors_count_by_their_elements(kind: type[np.generic]) -> None:
    assert counted(checkpoint({"w": WEIGHTS.astype(kind), "b": np.zeros(7, kind)}, '{"depth": 4}')) == 100_007


def test_ordinary_names_and_settings_are_free() -> None:
    tensors = {f"blocks.{k}.attention.c_q.weight": np.zeros((2, 3), np.float32) for k in range(400)}
    assert counted(checkpoint(tensors, '{"depth": 4}')) == 2400


@pytest.mark.parametrize(
    "data",
    [
        checkpoint({"w": np.zeros(3, np.float32)}, f'{{"weights": "{TEXT}"}}'),
        checkpoint({f"{TEXT[k : k + 1000]}{k}": np.zeros(1, np.int8) for k in range(0, len(TEXT), 1000)}),
        checkpoint({"w": WEIGHTS.astype(np.float64)}),
        checkpoint({"w": np.frombuffer(WEIGHTS.tobytes(), np.int64)}),
        checkpoint({"w": np.zeros(3, np.float32)}) + WEIGHTS.tobytes(),
        (100).to_bytes(8, "little") + b" " * 100 + WEIGHTS.tobytes(),
        (1 << 40).to_bytes(8, "little") + WEIGHTS.tobytes(),
        WEIGHTS.tobytes(),
    ],
    ids=["config", "names", "float64", "int64", "after the tensors", "no tensors", "a false length", "no header"],
)
def test_weights_count_wherever_they_are(data: bytes) -> None:
    assert counted(data) >= 99_999


def test_an_empty_file_counts_nothing() -> None:
    assert counted(b"") == 0


def test_weights_in_the_config_exceed_a_limit(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    saved = 'trial.save({"logits": logits.astype(np.float32)}, {})'
    assert saved in bigram
    hidden = 'trial.save({"none": np.zeros(1, np.float32)}, {"logits": logits.tolist()})'
    limits = Constraints(max_parameters=70_000)
    honest = CellReferee(quick, bytes_data).measure(bigram, 1)
    assert honest.parameters == 65_536 and limits.violation(vars(honest)) is None
    result = CellReferee(quick, bytes_data).measure(bigram.replace(saved, hidden), 1)
    assert "over the limit of 70,000" in str(limits.violation(vars(result)))
