"""Read the header of a safetensors file that a cell wrote: bounded in time and memory, whatever it holds.

The file is an eight-byte length, a JSON object that maps the name of each tensor to its dtype, shape and place, and the
tensors, which fill the rest without gaps.
"""

import json
import os

MAX_HEADER_BYTES = 1 << 22
MAX_TENSORS = 20_000
MAX_RANK = 8
MAX_DIGITS = 15  # of an integer; a file has fewer bytes than that
_METADATA = "__metadata__"
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64,
}  # of one number, by dtype  # fmt: skip


def count_parameters(fd: int) -> int | None:
    """Return the number of parameters in a safetensors file; None if its header is not a strict one."""
    size = os.fstat(fd).st_size
    length = int.from_bytes(os.pread(fd, 8, 0), "little")
    if not 0 < length <= min(MAX_HEADER_BYTES, size - 8):
        return None
    try:
        return _count(os.pread(fd, length, 8), size - 8 - length)
    except (ValueError, RecursionError):
        return None


def _count(header: bytes, data_bytes: int) -> int:
    """Count the numbers of all tensors, which must fill `data_bytes`. Raises ValueError, RecursionError."""
    tensors = json.loads(header, parse_int=_small, parse_float=_refuse, parse_constant=_refuse)
    if not isinstance(tensors, dict) or len(tensors) > MAX_TENSORS:
        raise ValueError("not an object of some tensors")
    sizes = [_tensor_size(tensor, data_bytes) for name, tensor in tensors.items() if name != _METADATA]
    if sum(size for _, size in sizes) != data_bytes:
        raise ValueError("the tensors do not fill the file")
    return sum(numbers for numbers, _ in sizes)


def _tensor_size(tensor: object, data_bytes: int) -> tuple[int, int]:
    """Return the numbers and the bytes of a tensor. Raises ValueError if its fields do not agree."""
    if not isinstance(tensor, dict) or tensor.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError("not a tensor")
    bits, (begin, end) = _BITS[_one_of(tensor["dtype"])], _integers(tensor["data_offsets"], 2)
    numbers, most = 1, 8 * data_bytes // bits
    shape = _integers(tensor["shape"], MAX_RANK)
    for length in shape:
        numbers *= length
        if numbers > most and 0 not in shape:
            raise ValueError("larger than the file")
    if not begin <= end <= data_bytes or 8 * (end - begin) != numbers * bits:
        raise ValueError("its shape does not fit its place")
    return numbers, end - begin


def _integers(value: object, most: int) -> list[int]:
    if not isinstance(value, list) or len(value) > most or not all(type(each) is int and each >= 0 for each in value):
        raise ValueError("not a short list of natural numbers")
    return value


def _one_of(dtype: object) -> str:
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise ValueError("not a dtype")
    return dtype


def _small(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("a number beyond any file")
    return int(digits)


def _refuse(spelling: str) -> None:
    raise ValueError(f"not a natural number: {spelling[:20]}")
