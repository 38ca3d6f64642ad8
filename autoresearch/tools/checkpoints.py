"""Compare the weights of two checkpoints that cells wrote, whose bytes may be anything."""

import json
import os
from dataclasses import dataclass
from functools import partial

import numpy as np

from autoresearch.measure.safetensors_header import count_parameters
from autoresearch.tools.wording import Vocabulary

MAX_NAMED = 4
MAX_TENSOR_BYTES = 1 << 28
SAME_WEIGHT = 1e-5  # relative to the largest one of the tensor
_FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16}


@dataclass(frozen=True)
class _Tensor:
    dtype: str
    shape: tuple[int, ...]
    first: int  # byte in the file
    size: int


def compare_weights(ours: int, theirs: int, title: str, name: str, words: Vocabulary) -> list[str]:
    """Return in a line how the tensors of two sealed files differ; nothing if they are equal."""
    mine, other = _tensors(ours), _tensors(theirs)
    names = partial(_names, words)
    if mine is None or other is None:
        return ["a checkpoint has a header by which its tensors cannot be compared"]
    added, missing = names(mine.keys() - other.keys()), names(other.keys() - mine.keys())
    both = sorted(mine.keys() & other.keys())
    reshaped = [key for key in both if (mine[key].dtype, mine[key].shape) != (other[key].dtype, other[key].shape)]
    changed = {key: _change(ours, mine[key], theirs, other[key]) for key in both if key not in reshaped}
    different = sorted((key for key in changed if changed[key] > SAME_WEIGHT), key=lambda key: -changed[key])
    parts = [
        f"only yours has {added}" if added else "",
        f"only {name} has {missing}" if missing else "",
        f"of another shape or type: {names(reshaped)}" if reshaped else "",
        f"{len(different)} of {len(changed)} tensors differ, most of all {names(different)}" if different else "",
    ]
    found = "; ".join(filter(None, parts))
    return [f"{title}: {found}"] if found else []


def _names(words: Vocabulary, keys: "set[str] | list[str]") -> str:
    ordered = sorted(keys) if isinstance(keys, set) else keys
    more = f" and {len(ordered) - MAX_NAMED} more" if len(ordered) > MAX_NAMED else ""
    return ", ".join(words.name(key) for key in ordered[:MAX_NAMED]) + more


def _tensors(fd: int) -> dict[str, _Tensor] | None:
    """Return the tensors of a file by name; None if its header is not a strict one."""
    if count_parameters(fd) is None:
        return None
    length = int.from_bytes(os.pread(fd, 8, 0), "little")
    header = json.loads(os.pread(fd, length, 8))
    header.pop("__metadata__", None)
    return {
        name: _Tensor(each["dtype"], tuple(each["shape"]), 8 + length + begin, end - begin)
        for name, each in header.items()
        for begin, end in [each["data_offsets"]]
    }


def _change(ours: int, mine: _Tensor, theirs: int, other: _Tensor) -> float:
    """Return the largest difference of two tensors, relative to their largest number; 1 if they hold no floats."""
    one, two = (
        os.pread(fd, min(each.size, MAX_TENSOR_BYTES), each.first) for fd, each in ((ours, mine), (theirs, other))
    )
    if one == two:
        return 0.0
    if (numbers := _as_floats(one, mine.dtype)) is None or (others := _as_floats(two, mine.dtype)) is None:
        return 1.0
    with np.errstate(all="ignore"):
        scale = max(float(np.abs(numbers).max(initial=0.0)), float(np.abs(others).max(initial=0.0)), 1e-30)
        change = float(np.abs(numbers - others).max(initial=0.0)) / scale
    return change if np.isfinite(change) else 1.0


def _as_floats(data: bytes, dtype: str) -> "np.ndarray | None":
    if dtype == "BF16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, _FLOATS[dtype]) if dtype in _FLOATS else None
