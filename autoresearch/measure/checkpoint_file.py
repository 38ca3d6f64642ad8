"""Checkpoints as safetensors files in memory, written and read inside a cell.

A state may have gigabytes, and memory that is touched for the first time is slow (some 0.7 s for each GB): so tensors
are written one by one into the file, if possible over an earlier one, and read as views of it.
"""

import json
import math
import mmap
from collections.abc import Iterator, Mapping
from types import ModuleType

from autoresearch.measure import wire
from autoresearch.measure.answers import Array

ALIGNMENT = 64  # of the first tensor, in bytes
STAGING_BYTES = 64 << 20  # that a device sends at a time
FORMATS = {
    "float64": "F64", "int64": "I64", "uint64": "U64", "complex64": "C64", "float32": "F32", "int32": "I32",
    "uint32": "U32", "float16": "F16", "bfloat16": "BF16", "int16": "I16", "uint16": "U16", "int8": "I8",
    "uint8": "U8", "bool": "BOOL", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
}  # safetensors' names of dtypes, by those of numpy and torch  # fmt: skip
_DTYPES = {name: dtype for dtype, name in FORMATS.items()}


def write(
    fd: int, state: Mapping[str, Array], config: wire.Fields, torch: ModuleType | None, numpy: ModuleType
) -> None:
    """Write tensors (or, beside them, arrays) and configuration over what a file holds. Raises TypeError."""
    tensors = {name: _as_tensor(value, torch, numpy) for name, value in state.items()}
    for name, tensor in tensors.items():
        if _dtype_name(tensor) not in FORMATS:
            raise TypeError(f"trial.save: {name} is of type {_dtype_name(tensor)}, which a checkpoint cannot hold")
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))  # so that each one is aligned
    tensors = {name: tensors[name] for name in names}
    wire.write_parts(fd, _parts(tensors, config, torch, numpy))


def read(fd: int, torch: ModuleType | None, numpy: ModuleType) -> tuple[dict[str, Array], wire.Fields]:
    """Return tensors and configuration of a file. A tensor can be written to: what changes is copied then."""
    view = mmap.mmap(fd, 0, access=mmap.ACCESS_COPY)
    first = 8 + int.from_bytes(view[:8], "little")
    header = json.loads(view[8:first])
    config = json.loads(header.pop("__metadata__", {}).get("config", "{}"))
    library = numpy if torch is None else torch
    state = {}
    for name, about in header.items():
        dtype, shape, place = _DTYPES[about["dtype"]], about["shape"], first + about["data_offsets"][0]
        dtype = numpy.dtype(dtype) if torch is None else getattr(torch, dtype)
        if 0 in shape:  # `frombuffer` refuses it
            state[name] = library.empty(shape, dtype=dtype)
        else:
            state[name] = library.frombuffer(view, dtype=dtype, count=math.prod(shape), offset=place).reshape(shape)
    return state, config


def _as_tensor(value: Array, torch: ModuleType | None, numpy: ModuleType) -> Array:
    if torch is not None:
        return torch.as_tensor(value).detach()
    array = numpy.asarray(value)
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _dtype_name(tensor: Array) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _parts(
    tensors: Mapping[str, Array], config: wire.Fields, torch: ModuleType | None, numpy: ModuleType
) -> Iterator[memoryview]:
    """Yield the bytes of a file: the header, then the tensors in this order."""
    header: wire.Fields = {"__metadata__": {"config": json.dumps(config)}}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + math.prod(tensor.shape) * tensor.dtype.itemsize
        header[name] = {"dtype": FORMATS[_dtype_name(tensor)], "shape": [*tensor.shape], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    yield memoryview(len(text).to_bytes(8, "little") + text)
    for tensor in tensors.values():
        yield from [_bytes_of_array(tensor, numpy)] if torch is None else _bytes_of_tensor(tensor, torch)


def _bytes_of_array(array: Array, numpy: ModuleType) -> memoryview:
    return memoryview(numpy.ascontiguousarray(array).reshape(-1).view("uint8"))


def _bytes_of_tensor(tensor: Array, torch: ModuleType) -> Iterator[memoryview]:
    """Yield the bytes of a tensor, those of a device in chunks."""
    flat = tensor.resolve_conj().resolve_neg().contiguous().view(-1).view(torch.uint8)
    if flat.device.type == "cpu":
        yield memoryview(flat.numpy())
    else:
        yield from _fetch(flat, torch)


def _fetch(flat: Array, torch: ModuleType) -> Iterator[memoryview]:
    """Yield bytes of a device, all through one buffer."""
    buffer = torch.empty(min(len(flat), STAGING_BYTES), dtype=torch.uint8)
    for chunk in flat.split(STAGING_BYTES):
        yield memoryview(buffer[: len(chunk)].copy_(chunk).numpy())
