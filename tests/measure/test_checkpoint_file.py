"""Checkpoints: written into sealed memory and read as views of it, in the format of safetensors."""

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import safetensors.numpy

from autoresearch.measure import checkpoint_file, wire
from autoresearch.measure.safetensors_header import count_parameters

STATE = {
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
    "transposed": np.arange(12, dtype=np.float64).reshape(3, 4).T,
    "every other": np.arange(10, dtype=np.int16)[::2],
    "foreign order": np.arange(3, dtype=">i4"),
    "flags": np.array([True, False, True]),
    "scalar": np.float16(1.5),
    "broadcast": np.broadcast_to(np.uint8(7), (2, 5)),
    "nothing": np.zeros((0, 3), np.int64),
    "list": [1.0, 2.0],
}
CONFIG = {"depth": 2, "name": "an \u00fcmlaut"}


@pytest.fixture
def written() -> Iterator[int]:
    fd = wire.create("checkpoint")
    os.write(fd, b"an earlier one, which may be longer" * 100)
    checkpoint_file.write(fd, STATE, CONFIG, None, np)
    yield fd
    os.close(fd)


def test_what_is_written_is_a_safetensors_file(written: int) -> None:
    assert count_parameters(written) == sum(np.size(value) for value in STATE.values())
    tensors = safetensors.numpy.load(os.pread(written, os.fstat(written).st_size, 0))
    assert tensors.keys() == STATE.keys()
    assert all(np.array_equal(tensors[name], STATE[name]) for name in STATE)


def test_what_is_read_equals_what_was_written(written: int) -> None:
    state, config = checkpoint_file.read(written, None, np)
    assert config == CONFIG and state.keys() == STATE.keys()
    for name, value in STATE.items():
        assert np.array_equal(state[name], value) and state[name].shape == np.shape(value), name
        assert state[name].flags.aligned and state[name].dtype == np.asarray(value).dtype.newbyteorder("="), name


def test_who_changes_what_was_read_changes_a_copy(written: int) -> None:
    state, _ = checkpoint_file.read(written, None, np)
    state["matrix"][:] = -1
    assert np.array_equal(checkpoint_file.read(written, None, np)[0]["matrix"], STATE["matrix"])


def test_a_file_of_safetensors_can_be_read() -> None:
    fd = wire.seal("checkpoint", safetensors.numpy.save({"x": np.arange(5)}, {"config": '{"a": 1}'}))
    state, config = checkpoint_file.read(fd, None, np)
    os.close(fd)
    assert state["x"].tolist() == [0, 1, 2, 3, 4] and config == {"a": 1}


@pytest.mark.parametrize("value", [np.array(["text"]), np.array([None]), np.complex128(1j)])
def test_what_no_checkpoint_can_hold_is_named(value: object) -> None:
    fd = wire.create("checkpoint")
    with pytest.raises(TypeError, match=r"trial.save: w is of type \S+, which a checkpoint cannot hold"):
        checkpoint_file.write(fd, {"w": value}, {}, None, np)
    os.close(fd)


TORCH = """
import os, numpy, torch, safetensors.torch
from autoresearch.measure import checkpoint_file, wire

base = torch.arange(12.0)
state = {
    "weight": torch.nn.Parameter(base.reshape(3, 4)),
    "tied": base,
    "transposed": base.reshape(3, 4).T,
    "sliced": base[::5],
    "scalar": torch.tensor(2.5, dtype=torch.float64),
    "empty": torch.zeros(0, 7),
    "flags": torch.tensor([True, False, True]),
    "conjugate": torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex64).conj(),
    **{str(dtype): base.to(dtype) for dtype in (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.int8)},
}
counts = {"counts": numpy.arange(6, dtype="uint16").reshape(2, 3)[:, ::2], "one": 0.5}  # of a version that counts, too
fd = wire.create("checkpoint")
checkpoint_file.write(fd, state | counts, {"depth": 2}, torch, numpy)
state |= {"counts": torch.tensor([[0, 2], [3, 5]], dtype=torch.uint16), "one": torch.tensor(0.5)}
theirs = safetensors.torch.load(os.pread(fd, os.fstat(fd).st_size, 0))
ours, config = checkpoint_file.read(fd, torch, numpy)
assert config == {"depth": 2} and ours.keys() == theirs.keys() == state.keys()
for name, value in state.items():
    for read in (ours[name], theirs[name]):
        assert (read.dtype, read.shape) == (value.dtype, value.shape), name
        assert torch.equal(read.to(torch.complex64), value.detach().to(torch.complex64)), name
ours["tied"].zero_()
assert checkpoint_file.read(fd, torch, numpy)[0]["tied"][1] == 1

checkpoint_file.STAGING_BYTES = 7
flat = base.view(torch.uint8)
assert b"".join(map(bytes, checkpoint_file._fetch(flat, torch))) == flat.numpy().tobytes()
assert list(checkpoint_file._fetch(flat[:0], torch)) in ([], [memoryview(b"")])
"""


@pytest.mark.torch
@pytest.mark.slow
def test_tensors_of_torch_are_written_and_read_as_they_are() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", TORCH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
