"""Program inside a cell that tries a card: `card_program.py init|product DEVICE`; no code of train.py runs in it.

Each step is a line of JSON on descriptor 3, so that an end on the way names the step that it came from.
"""

import contextlib
import ctypes
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

# what is shown of cuInit's errors if the library does not name them
_ERRORS = {100: "CUDA_ERROR_NO_DEVICE", 304: "CUDA_ERROR_OPERATING_SYSTEM", 999: "CUDA_ERROR_UNKNOWN"}
_SIZE, _TOLERANCE = 512, 0.02  # of the product in bfloat16, relative to its largest entry
_ROWS, _LENGTH, _HEADS, _CHANNELS, _WINDOW, _SCALE = 2, 256, 2, 128, 64, 0.1  # of attention


def main() -> None:
    """Run the steps until one fails."""
    mode, device = sys.argv[1:]
    steps: list[tuple[str, Callable[[], dict[str, Any]]]] = [("libcuda", load_driver), ("cuInit", initialise)]
    if mode == "product":
        steps += [("torch", lambda: open_torch(device)), ("product", lambda: multiply(device))]
        steps += [("memory", lambda: read_memory(device)), ("attention", lambda: try_attention(device))]
    with open(3, "w", buffering=1) as out:
        for name, step in steps:
            print(json.dumps({"step": name}), file=out)
            if not succeeds(step, out):
                return


def succeeds(step: Callable[[], dict[str, Any]], out: TextIO) -> bool:
    """Run a step, write what it found or why it failed, and return whether it worked."""
    try:
        found = step()
    except Exception as error:  # torch may raise anything, and the reason is what is asked for
        print(json.dumps({"error": describe(error)}), file=out)
        return False
    print(json.dumps(found), file=out)
    return True


def describe(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def load_driver() -> dict[str, Any]:
    ctypes.CDLL("libcuda.so.1")
    return {}


def initialise() -> dict[str, Any]:
    driver = ctypes.CDLL("libcuda.so.1")
    code = driver.cuInit(0)
    if code != 0:
        raise RuntimeError(f"error {code}, {name_error(driver, code)}")
    return {}


def name_error(driver: ctypes.CDLL, code: int) -> str:
    """Return CUDA's name of an error."""
    with contextlib.suppress(AttributeError):
        name = ctypes.c_char_p()
        if driver.cuGetErrorName(code, ctypes.byref(name)) == 0 and name.value:
            return name.value.decode()
    return _ERRORS.get(code, "unknown to this program")


def open_torch(device: str) -> dict[str, Any]:
    """Import torch and open a context on the card."""
    torch = importlib.import_module("torch")
    torch.zeros(1, device=device)
    if device == "cpu":
        return {"torch": torch.__version__, "capability": None}
    major, minor = torch.cuda.get_device_capability()
    return {"torch": torch.__version__, "capability": 10 * major + minor}


def multiply(device: str) -> dict[str, Any]:
    """Compare a product of matrices in bfloat16 with the same in float64 on the CPU."""
    torch = importlib.import_module("torch")
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(_SIZE, _SIZE, generator=generator).bfloat16() for _ in range(2))
    true = left.double() @ right.double()
    found = (left.to(device) @ right.to(device)).cpu().double()
    error = ((found - true).abs().max() / true.abs().max()).item()
    if not error < _TOLERANCE:
        raise RuntimeError(f"it is wrong by {error:.3g} of its largest entry")
    return {"error_share": error}


def read_memory(device: str) -> dict[str, Any]:
    """Return the memory of the card in bytes, as CUDA sees it."""
    if device == "cpu":
        return {}
    free, total = importlib.import_module("torch").cuda.mem_get_info()
    return {"free": free, "total": total}


def try_attention(device: str) -> dict[str, Any]:
    """Return, by kernel, why a forward and backward pass does not work; None where it does."""
    torch = importlib.import_module("torch")
    return {"kernels": {name: fault(attend, device, torch) for name, attend in attention_kernels(torch)}}


def fault(attend: Callable[..., Any], device: str, torch: Any) -> str | None:
    shape = (_ROWS, _LENGTH, _HEADS, _CHANNELS)
    inputs = [torch.randn(shape, device=device, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    try:
        attend(*inputs).float().square().mean().backward()
        return None if all(torch.isfinite(each.grad).all() for each in inputs) else "its gradients are not finite"
    except Exception as error:  # a missing module, a card that is too old, an argument that this version lacks
        return describe(error)


def attention_kernels(torch: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield kernels by name, the fastest first: q, k, v [rows, length, heads, channels] to the same shape."""
    yield "fa3", lambda q, k, v: flash("flash_attn_interface", q, k, v)
    yield "fa4", lambda q, k, v: flash("flash_attn.cute", q, k, v)
    yield "varlen", lambda q, k, v: varlen(torch, q, k, v)
    for name, backend in (("cudnn", "CUDNN_ATTENTION"), ("flash sdpa", "FLASH_ATTENTION"), ("math sdpa", "MATH")):
        yield name, lambda q, k, v, backend=backend: sdpa(torch, backend, q, k, v)


def flash(module: str, q: Any, k: Any, v: Any) -> Any:
    found = importlib.import_module(module).flash_attn_func(q, k, v, softmax_scale=_SCALE, causal=True)
    return found[0] if isinstance(found, tuple) else found


def varlen(torch: Any, q: Any, k: Any, v: Any) -> Any:
    """Attend with a window, which this kernel can from torch 2.11 on."""
    attend = importlib.import_module("torch.nn.attention.varlen").varlen_attn
    starts = torch.arange(0, (_ROWS + 1) * _LENGTH, _LENGTH, dtype=torch.int32, device=q.device)
    flat = [each.flatten(0, 1) for each in (q, k, v)]
    return attend(*flat, starts, starts, _LENGTH, _LENGTH, scale=_SCALE, window_size=(_WINDOW, 0))


def sdpa(torch: Any, backend: str, q: Any, k: Any, v: Any) -> Any:
    attention = importlib.import_module("torch.nn.attention")
    with attention.sdpa_kernel(getattr(attention.SDPBackend, backend)):
        heads_first = [each.transpose(1, 2) for each in (q, k, v)]
        return torch.nn.functional.scaled_dot_product_attention(*heads_first, is_causal=True, scale=_SCALE)


if __name__ == "__main__":
    main()
