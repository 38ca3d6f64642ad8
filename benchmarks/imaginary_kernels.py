"""Record the kernels of one training step of a train.py on a card that is not there.

The whole of `train(trial)` runs on tensors without memory (FakeTensorMode) that say they are on CUDA. Compiled graphs
go through Inductor of this torch, with its fusions and partitions, up to its schedule, which names kernels and bytes.
Nothing is computed. Needs a CUDA build of torch; uses internals of torch 2.11.
"""

import contextlib
import importlib
import linecache
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch._inductor.compile_fx as compile_fx
import torch._inductor.config as inductor_config
import torch._inductor.graph as inductor_graph
import torch._subclasses.fake_tensor as fake_tensor
from imaginary_estimate import Card, Kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

GEMMS = ("mm", "addmm", "bmm", "baddbmm", "_scaled_mm")
ATTENTION = {  # operator -> kernel
    "_varlen_attn": "fa2",
    "_varlen_attn_backward": "fa2",
    "_scaled_dot_product_flash_attention": "fa2",
    "_scaled_dot_product_flash_attention_backward": "fa2",
    "_scaled_dot_product_cudnn_attention": "cudnn",
    "_scaled_dot_product_cudnn_attention_backward": "cudnn",
    "_scaled_dot_product_efficient_attention": "efficient",
    "_scaled_dot_product_efficient_attention_backward": "efficient",
    "fa3": "fa3",
    "fa3_backward": "fa3",
}
FREE = ("empty", "empty_strided", "empty_like")  # no kernel
ITEM = 0.001  # every number that is read from the card: small enough for a loss and for a difference
STEPS = 3  # of the training loop; the last one is recorded


class Lowered(BaseException):
    """Raised when Inductor has made the schedule of a graph; no `except Exception` may stop it."""


@dataclass(frozen=True)
class Graph:
    """A compiled graph: its kernels, and the shapes of what it returns."""

    kernels: list[Kernel]
    outputs: list[torch.Tensor | None]


class Recorder(TorchDispatchMode):
    """Kernels that a step starts: of compiled graphs, and of operators outside of them."""

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card, self.kernels = card, list[Kernel]()
        self.is_on, self.in_backward = True, False

    @classmethod
    def is_infra_mode(cls) -> bool:
        return True  # or Dynamo would compile nothing

    @property
    def part(self) -> str:
        return "model" if torch.is_grad_enabled() or self.in_backward else "optimiser"

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[-1]
        if name == "_local_scalar_dense":
            return ITEM
        out = func(*args, **(kwargs or {}))
        if self.is_on and not func.is_view and func.namespace != "prim" and name not in FREE:
            self._record(name, args, kwargs or {}, out)
        return out

    def _record(self, name: str, args: Any, kwargs: Any, out: Any) -> None:
        tensors = [*_tensors((args, kwargs)), *_tensors(out)]
        if not any(tensor.is_cuda for tensor in tensors):
            return
        kernel = operator_kernel(name, args, kwargs, out, self.part)
        size = sum({id(tensor): _bytes(tensor) for tensor in tensors}.values())
        self.kernels.append(kernel or Kernel("eager", name, self.part, size))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        before, self.is_on = self.is_on, False
        try:
            yield
        finally:
            self.is_on = before

    def compile(self, gm: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        """Compile a graph of Dynamo: the back end that train.py gets."""
        with self.paused():
            return compile_fx.compile_fx(gm, inputs, inner_compile=self.lower)

    def lower(self, gm: torch.fx.GraphModule, inputs: list[Any], **options: Any) -> Callable[..., Any]:
        """Let Inductor schedule a graph of AOTAutograd; return a function that records it and returns empty tensors."""
        is_inference = options.get("is_inference", False)
        part = "optimiser" if is_inference else "model"
        (output,) = (node for node in gm.graph.nodes if node.op == "output")
        outputs = [node.meta["val"] if isinstance(node, torch.fx.Node) else None for node in output.args[0]]
        kernels = [kernel for node in gm.graph.nodes if (kernel := _node_kernel(node, part))]
        if not torch.is_inference_mode_enabled():  # else it is for scoring
            with self.paused():
                kernels += schedule(gm, inputs, options, part)
        return self._run(Graph(kernels, outputs))

    def _run(self, graph: Graph) -> Callable[..., Any]:
        def run(*args: Any) -> list[torch.Tensor | None]:
            if len(args) == 1 and isinstance(args[0], list):
                args[0].clear()  # the boxed convention of Inductor
            if self.is_on:
                self.kernels += graph.kernels
            with self.paused():
                return [None if out is None else _empty(out) for out in graph.outputs]

        run._boxed_call = False  # type: ignore[attr-defined]
        return run


def schedule(gm: torch.fx.GraphModule, inputs: list[Any], options: Any, part: str) -> list[Kernel]:
    """Return the fused kernels of a graph, without products and attention, which _node_kernel counts."""
    found: list[Kernel] = []

    def record(self: Any) -> Any:
        self.init_wrapper_code()
        self._update_scheduler()
        found.extend(kernel for node in self.scheduler.nodes if (kernel := _scheduled(node, part)))
        raise Lowered

    before = inductor_graph.GraphLowering.codegen
    inductor_graph.GraphLowering.codegen = record  # type: ignore[method-assign]
    try:
        compile_fx.compile_fx_inner(gm, inputs, **options)
    except Lowered:
        pass
    finally:
        inductor_graph.GraphLowering.codegen = before  # type: ignore[method-assign]
    return found


def _scheduled(node: Any, part: str) -> Kernel | None:
    kind = type(node).__name__
    if kind == "NopKernelSchedulerNode":
        return None
    size = int(node.get_read_write_buffers_sizes())
    if kind != "ExternKernelSchedulerNode":
        return Kernel("pointwise", node.get_name(), part, size)
    name = str(getattr(node.node, "python_kernel_name", None) or type(node.node).__name__)
    short = name.split(".default")[0].split(".")[-1]
    known = short in GEMMS or short in ATTENTION or "Multi" in name
    return None if known else Kernel("pointwise", name, part, size)


def _node_kernel(node: torch.fx.Node, part: str) -> Kernel | None:
    if node.op != "call_function" or not hasattr(node.target, "_schema"):
        return None
    args = torch.fx.node.map_arg(node.args, lambda n: n.meta.get("val"))
    kwargs = torch.fx.node.map_arg(node.kwargs, lambda n: n.meta.get("val"))
    return operator_kernel(node.target._schema.name.split("::")[-1], args, kwargs, node.meta.get("val"), part)


def operator_kernel(name: str, args: Any, kwargs: Any, out: Any, part: str) -> Kernel | None:
    """Return the kernel of a product or an attention operator; None for others."""
    tensors = _tensors((args, kwargs))
    if name not in GEMMS and name not in ATTENTION:
        return None
    size = sum(map(_bytes, tensors)) + sum(map(_bytes, _tensors(out)))
    dtype = str(tensors[0].dtype).removeprefix("torch.")
    if name in GEMMS:
        flop = flop_registry[getattr(torch.ops.aten, name)](*args, **kwargs, out_val=out)
        return Kernel("gemm", name, part, size, float(flop), dtype)
    backward = name.endswith("_backward")
    shape, window = _attention_shape(name, args, kwargs)
    return Kernel("attention", ATTENTION[name], part, size, 0.0, dtype, backward, shape, window)


def _attention_shape(name: str, args: Any, kwargs: Any) -> tuple[tuple[int, int, int], int]:
    """Return (rows x heads, tokens, channels of a head) and how far a token sees, -1 for all before it."""
    tensors = _tensors((args, kwargs))
    first = tensors[0]
    if name.startswith("_varlen"):
        numbers = [value for value in _leaves((args, kwargs)) if type(value) is int]
        tokens, heads, channels = tensors[1 if name.endswith("_backward") else 0].shape
        length = numbers[0]
        return (tokens // length * heads, length, channels), _varlen_window(args, kwargs)
    if name.startswith("fa3"):
        rows, length, heads, channels = first.shape
        return (rows * heads, length, channels), int(args[-1])
    rows, heads, length, channels = first.shape
    return (rows * heads, length, channels), -1


def _varlen_window(args: Any, kwargs: Any) -> int:
    lists = [value for value in [*args, *kwargs.values()] if isinstance(value, (list, tuple)) and len(value) == 2]
    return int(lists[0][0]) if lists else -1


def _leaves(value: Any) -> list[Any]:
    return torch.utils._pytree.tree_leaves(value)


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in _leaves(value) if isinstance(leaf, torch.Tensor)]


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _empty(like: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype, device=like.device)


# ----------------------------------------------------------------------------
# The card that is not there


def imagine(card: Card, fa3: bool = False) -> None:
    """Let torch believe in a card, for the rest of this process; with `fa3`, in that wheel, too."""
    properties = types.SimpleNamespace(
        name=card.name,
        major=card.capability[0],
        minor=card.capability[1],
        multi_processor_count=card.multiprocessors,
        total_memory=card.memory,
        warp_size=32,
        regs_per_multiprocessor=65536,
        max_threads_per_multi_processor=2048,
        max_threads_per_block=1024,
        L2_cache_size=card.l2,
        shared_memory_per_block=49152,
        shared_memory_per_block_optin=card.shared_memory,
        shared_memory_per_multiprocessor=card.shared_memory + 1024,
        gcnArchName="",
        is_integrated=0,
    )
    cuda = torch.cuda
    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "_lazy_init": lambda: None,
        "_exchange_device": lambda index: 0,
        "_maybe_exchange_device": lambda index: 0,
        "set_device": lambda index: None,
        "synchronize": lambda device=None: None,
        "get_device_capability": lambda device=None: card.capability,
        "get_device_properties": lambda device=None: properties,
        "get_device_name": lambda device=None: card.name,
        "manual_seed_all": lambda seed: None,
        "is_current_stream_capturing": lambda: False,
        "is_bf16_supported": lambda including_emulation=True: card.capability >= (8, 0),
        "mem_get_info": lambda device=None: (card.memory, card.memory),
    }
    for name, answer in answers.items():
        setattr(cuda, name, answer)
    importlib.import_module("torch.cuda.random").manual_seed_all = answers["manual_seed_all"]  # type: ignore[attr-defined]
    for module in (importlib.import_module("torch.cuda.random"), cuda):
        module.get_rng_state = lambda device=None: torch.zeros(16, dtype=torch.uint8)  # type: ignore[attr-defined]
        module.set_rng_state = lambda state, device=None: None  # type: ignore[attr-defined]
    torch.nn.Module._apply = _replace_tensors  # type: ignore[method-assign]
    fake_tensor.init_gpu_context = lambda device=None: None
    for name in ("fuse_attention._sfdp_init", "pad_mm._pad_mm_init", "misc_patterns._misc_patterns_init"):
        module, function = name.split(".")  # they make tensors on the card
        setattr(importlib.import_module(f"torch._inductor.fx_passes.{module}"), function, lambda device=None: None)
    _imagine_interface(card, properties)
    _imagine_sdpa(card)
    if fa3:
        _imagine_fa3()


def _replace_tensors(self: torch.nn.Module, fn: Callable[[Any], Any], recurse: bool = True) -> torch.nn.Module:
    """Move a module by new parameters: the tensors of FakeTensorMode cannot be swapped in their place."""
    moved: dict[int, Any] = {}
    for module in self.modules():
        for name, p in module._parameters.items():
            if p is not None:
                moved.setdefault(id(p), torch.nn.Parameter(fn(p.detach()), p.requires_grad))
                module._parameters[name] = moved[id(p)]
        module._buffers.update({name: b if b is None else fn(b) for name, b in module._buffers.items()})
    return self


def _imagine_interface(card: Card, properties: Any) -> None:
    """Answer the questions of Inductor about the device."""
    interface = importlib.import_module("torch._dynamo.device_interface")
    number = 10 * card.capability[0] + card.capability[1]

    class Imaginary(interface.CudaInterface):  # type: ignore[misc, name-defined]
        is_available = staticmethod(lambda: True)
        get_compute_capability = staticmethod(lambda device=None: number)
        get_device_properties = staticmethod(lambda device=None: properties)
        current_device = staticmethod(lambda: 0)
        is_triton_capable = staticmethod(lambda device=None: True)
        raise_if_triton_unavailable = staticmethod(lambda device=None: None)

        class Worker:
            set_device = staticmethod(lambda device: None)
            current_device = staticmethod(lambda: 0)
            get_device_properties = staticmethod(lambda device=None: properties)

    interface.get_registered_device_interfaces()  # the real ones first
    for name in ("cuda", "cuda:0"):
        interface.register_interface_for_device(name, Imaginary)


def _imagine_sdpa(card: Card) -> None:
    """Choose a kernel of scaled_dot_product_attention as torch would on this card: torch itself asks the driver."""
    aten, attention = torch.ops.aten, importlib.import_module("torch.nn.attention")
    modern = card.capability >= (8, 0)

    @torch._dynamo.assume_constant_result
    def choose(is_half: bool, is_masked: bool) -> str:
        enabled = [backend.name for backend in attention._cur_sdpa_kernel_backends(with_priority=True)]
        fast = ["CUDNN_ATTENTION", "FLASH_ATTENTION"] if is_half and modern and not is_masked else []
        return next((name for name in enabled if name in (*fast, "EFFICIENT_ATTENTION")), "MATH")

    def scaled_dot_product_attention(
        q: Any,
        k: Any,
        v: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: Any = None,
    ) -> Any:
        name = choose(q.dtype in (torch.bfloat16, torch.float16), attn_mask is not None)
        if name == "CUDNN_ATTENTION":
            return aten._scaled_dot_product_cudnn_attention(q, k, v, None, True, 0.0, is_causal, False, scale=scale)[0]
        if name == "FLASH_ATTENTION":
            return aten._scaled_dot_product_flash_attention(q, k, v, 0.0, is_causal, False, scale=scale)[0]
        bias = None
        if attn_mask is not None:
            bias = torch.where(attn_mask, 0.0, -torch.inf).to(q.dtype).expand(*q.shape[:2], -1, -1)
        return aten._scaled_dot_product_efficient_attention(q, k, v, bias, True, 0.0, is_causal, scale=scale)[0]

    torch.nn.functional.scaled_dot_product_attention = scaled_dot_product_attention


def _imagine_fa3() -> None:
    """Offer a module like the wheel of FlashAttention 3, where a text asks for it."""

    @torch.library.custom_op("imaginary::fa3", mutates_args=())
    def fa3(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int) -> torch.Tensor:
        return torch.empty_like(q)

    @torch.library.custom_op("imaginary::fa3_backward", mutates_args=())
    def backward(
        g: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, window: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)

    fa3.register_fake(lambda q, k, v, window: torch.empty(q.shape, dtype=q.dtype, device=q.device))
    backward.register_fake(
        lambda g, q, k, v, window: tuple(torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in (q, k, v))
    )

    def keep(ctx: Any, inputs: Any, output: Any) -> None:
        *tensors, ctx.window = inputs
        ctx.save_for_backward(*tensors)

    fa3.register_autograd(lambda ctx, g: (*backward(g, *ctx.saved_tensors, ctx.window), None), setup_context=keep)

    def flash_attn_func(
        q: Any, k: Any, v: Any, softmax_scale: float = 1.0, causal: bool = True, window_size: Any = (-1, 0)
    ) -> Any:
        return fa3(q, k, v, window_size[0])

    module = types.ModuleType("flash_attn_interface")
    module.flash_attn_func = flash_attn_func  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module


# ----------------------------------------------------------------------------
# The trial


class Finished(Exception):
    """The recorded step is over."""


class ImaginaryTrial:
    """A trial of STEPS steps on empty tokens."""

    device, seed, eval_batch, budget, reserve = "cuda", 0, 16, 300.0, 3.0

    def __init__(self, recorder: Recorder, vocab_size: int, seq_len: int) -> None:
        self.recorder, self.vocab_size, self.seq_len = recorder, vocab_size, seq_len
        self.drawn, self.tokens, self.is_started = 0, 0, False
        self.reported: dict[str, float] = {}

    def start(self) -> None:
        self.is_started = True

    @property
    def progress(self) -> float:
        return min(1.0, self.drawn / STEPS)

    def batches(self, rows: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            if self.drawn == STEPS:
                raise Finished
            self.drawn += 1
            self.tokens = rows * self.seq_len
            with self.recorder.paused():
                both = torch.empty(rows, self.seq_len + 1, dtype=torch.int64, device="cuda")
                batch = both[:, :-1], both[:, 1:]
            self.recorder.kernels.clear()
            yield batch

    def log(self, **values: float) -> None:
        self.reported |= values

    def save(self, state: Any, config: Any) -> None:
        if self.is_started:  # the one before is a rehearsal
            raise Finished


@dataclass(frozen=True)
class Step:
    """One optimiser step: its kernels, and the tokens it takes."""

    kernels: list[Kernel]
    tokens: int


def record_step(text: str, card: Card, vocab_size: int = 8192, seq_len: int = 2048) -> Step:
    """Run train(trial) of a text on an imaginary card; return its last step."""
    torch._dynamo.reset()
    inductor_config.force_disable_caches = True
    inductor_config.joint_graph_constant_folding = False  # it computes constants on the card
    recorder = Recorder(card)
    module = types.ModuleType("train")
    sys.modules["train"] = module
    linecache.cache["train.py"] = (len(text), None, text.splitlines(keepends=True), "train.py")
    trial = ImaginaryTrial(recorder, vocab_size, seq_len)
    with fake_tensor.FakeTensorMode(), _as_back_end(recorder), torch.autograd.set_multithreading_enabled(False):
        exec(compile(text, "train.py", "exec"), module.__dict__)
        with contextlib.suppress(Finished), recorder:
            module.train(trial)
    return Step(list(recorder.kernels), trial.tokens)


@contextlib.contextmanager
def _as_back_end(recorder: Recorder) -> Iterator[None]:
    """Make the recorder the back end of torch.compile, and notice backward passes."""
    compile_, backward = torch.compile, torch.autograd.backward

    def compile_here(model: Any = None, **options: Any) -> Any:
        return compile_(model, **{**options, "backend": recorder.compile})

    def backward_here(*args: Any, **kwargs: Any) -> Any:
        recorder.in_backward = True
        try:
            return backward(*args, **kwargs)
        finally:
            recorder.in_backward = False

    torch.compile, torch.autograd.backward = compile_here, backward_here  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compile, torch.autograd.backward = compile_, backward
