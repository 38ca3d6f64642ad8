"""Time the kernels of train.py outside a cell, at the shapes that it has: attention, blocks, loss, optimiser, a step.

Used by first_card.py, in a process of its own. Times are medians, by the card's own events.
"""

import linecache
import statistics
import sys
import time
from collections.abc import Callable
from types import ModuleType

import torch
import torch.nn.functional as F
from phases import Bench
from torch import Tensor, nn

PLAIN_TOKENS = {"cuda": 1 << 15, "cpu": 256}  # of a pass without fast attention, which needs more memory
PROFILED_STEPS, PROFILED_KERNELS = {"cuda": 5, "cpu": 1}, 15
REPEATS = {"cuda": 20, "cpu": 1}

Step = Callable[[], object]


class Kernels:
    """Measurements of one version of train.py on one device."""

    def __init__(self, bench: Bench, text: str, device: str, vocab_size: int, seq_len: int) -> None:
        self.bench, self.train, self.device = bench, load(text), device
        self.vocab_size, self.seq_len = vocab_size, seq_len
        self.rows = max(1, self.train.MICRO_TOKENS // seq_len)
        self.repeats = REPEATS[device]
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high")

    def run(self) -> None:
        """Measure everything, what decides most first: a timeout loses the rest."""
        self.attention()
        with self.bench.attempt("step"):
            self.step()
        with self.bench.attempt("whole graph"):
            self.whole_graph()
        with self.bench.attempt("flex"):
            self.flex()

    def attention(self) -> None:
        """Time each attention kernel with a short and a long window, forward and backward."""
        for name, make in self.train.KERNELS.items():
            for window in self._windows():
                with self.bench.attempt(f"attention {name}, window {window}"):
                    self._time_attention(name, make(), window, self.rows, self._dtype())
        if self.device == "cuda":
            from torch.nn.attention import SDPBackend, sdpa_kernel

            with self.bench.attempt(f"attention cudnn, window {self.seq_len}"), sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
                self._time_attention("cudnn", self.train.sdpa, self.seq_len, self.rows, self._dtype())

    def flex(self) -> None:
        """Time flex_attention with both windows; it is compiled."""
        if self.device == "cpu":
            return self.bench.note("attention flex", "not on a CPU")
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        compiled = torch.compile(flex_attention, dynamic=False)
        for window in self._windows():

            def reach(_b: Tensor, _h: Tensor, q: Tensor, k: Tensor, window: int = window) -> Tensor:
                return (q >= k) & (q - k <= window)

            mask = create_block_mask(reach, None, None, self.seq_len, self.seq_len, device=self.device)

            def attend(q: Tensor, k: Tensor, v: Tensor, _: int, mask: object = mask) -> Tensor:
                q, k, v = (part.transpose(1, 2) for part in (q, k, v))
                return compiled(q, k, v, block_mask=mask, scale=self.train.ATTENTION_SCALE).transpose(1, 2)

            with self.bench.attempt(f"attention flex, window {window}"):
                self._time_attention("flex", attend, window, self.rows, self._dtype())

    def step(self) -> None:
        """Time a step as train.py compiles it, its parts, and profile it."""
        model = self._model()
        model.place(self.device, self.train.ATTENTION)
        self.bench.note("attention chosen", str(model.attention))
        trainer, tokens = self._time_step("step", model)
        with self.bench.attempt("profile"):
            self._profile(lambda: trainer.step(tokens, tokens, 0, 0.0))
        trainer.backward(tokens, tokens)  # so that there are gradients
        for name, optimizer in (("Muon", trainer.optimizers.muon), ("AdamW", trainer.optimizers.adamw)):
            schedule = (0.0, 0.9, 0.0) if name == "Muon" else ()
            with self.bench.attempt(name):
                self._note_ms(name, lambda o=optimizer, s=schedule: o.step(*s))
        self._blocks(model, tokens)
        with self.bench.attempt("nats"):
            self._nats(model, tokens)
        with self.bench.attempt("relu^2"):
            self._mlp(model.blocks[0])

    def whole_graph(self) -> None:
        """Time a step whose blocks are compiled as one graph."""
        model = self._model().to(self.device)
        model.dtype, (model.attention, attend) = self._dtype(), self._choose_attention()
        for block in model.blocks:
            block.attend = attend
        if self.device == "cuda":
            model.hidden = torch.compile(model.hidden, dynamic=False)
            model.nats = torch.compile(model.nats, dynamic=False)
        self._time_step("step as one graph", model)

    def plain(self) -> None:
        """Time masked SDPA and a step with it in bfloat16 and float32, not compiled: what older cards have."""
        rows = max(1, PLAIN_TOKENS[self.device] // self.seq_len)
        torch.compiler.set_stance("force_eager")
        for dtype in (torch.bfloat16, torch.float32):
            kind = str(dtype).removeprefix("torch.")
            for window in self._windows():
                with self.bench.attempt(f"attention sdpa {kind}, window {window}"):
                    self._time_attention(f"sdpa {kind}", self.train.sdpa, window, rows, dtype)
            with self.bench.attempt(f"step with sdpa in {kind}"):
                self._plain_step(kind, dtype, rows)

    def _plain_step(self, kind: str, dtype: torch.dtype, rows: int) -> None:
        self.train.compute_type = lambda device: dtype
        model = self._model()
        model.place(self.device, "sdpa")
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        trainer = self.train.Trainer(model, rows)
        tokens = self._tokens(rows)
        trainer.step(tokens, tokens, 0, 0.0)
        self._note_ms(
            f"step of {tokens.numel()} tokens with sdpa in {kind}", lambda: trainer.step(tokens, tokens, 1, 0)
        )
        if self.device == "cuda":
            self.bench.note(f"MB of it in {kind}", torch.cuda.max_memory_allocated() / 2**20)

    def _time_step(self, name: str, model: nn.Module) -> tuple[object, Tensor]:
        trainer = self.train.Trainer(model, self.rows)
        tokens = self._tokens(max(1, self.train.BATCH_TOKENS // self.seq_len))
        began = time.monotonic()
        trainer.warm_up(tokens)
        self._wait()
        self.bench.note(f"{name}: compile and warm up s", time.monotonic() - began)
        seconds = self._note_ms(name, lambda: trainer.step(tokens, tokens, 0, 0.0)) / 1000
        self.bench.note(f"{name}: tokens a second", tokens.numel() / seconds)
        return trainer, tokens

    def _blocks(self, model: nn.Module, tokens: Tensor) -> None:
        """Time one block of each kind, forward and backward."""
        tokens = tokens[: self.rows].contiguous()
        cos, sin = (table[: self.seq_len].to(model.dtype) for table in (model.cos, model.sin))
        shape = (*tokens.shape, self.train.MODEL_DIM)
        x, x0, up = (torch.randn(shape, device=self.device, dtype=model.dtype) for _ in range(3))
        x, x0 = x.requires_grad_(), x0.requires_grad_()
        kinds = {(block.value is not None, block.window): block for block in model.blocks}
        for (has_value, window), block in kinds.items():
            name = f"block{' with a value embedding' if has_value else ''}, window {window}"
            with self.bench.attempt(name):
                self._note_ms(name, lambda b=block: b(x, x0, tokens, cos, sin).backward(up))

    def _nats(self, model: nn.Module, tokens: Tensor) -> None:
        """Time head and loss, forward and backward, of as many tokens as train.py takes at once."""
        targets = tokens[: self.rows].flatten()[: self.train.LOSS_TOKENS or None].contiguous()
        shape = (len(targets), self.train.MODEL_DIM)
        hidden = torch.randn(shape, device=self.device, dtype=model.dtype).requires_grad_()
        self._note_ms(f"nats of {len(targets)} tokens", lambda: model.nats(hidden, targets).backward())

    def _mlp(self, block: nn.Module) -> None:
        """Time the MLP of a block as separate kernels and compiled: what a fused linear + relu^2 could gain."""
        shape = (self.rows * self.seq_len, self.train.MODEL_DIM)
        x = torch.randn(shape, device=self.device, dtype=self._dtype()).requires_grad_()
        up = torch.randn_like(x)

        def mlp(x: Tensor) -> Tensor:
            return block.mlp_out(F.relu(block.mlp_in(x)).square())

        self._note_ms("MLP, not compiled", lambda: mlp(x).backward(up))
        self._note_ms("its products alone", lambda: block.mlp_out(block.mlp_in(x)).backward(up))
        if self.device == "cuda":
            compiled = torch.compile(mlp, dynamic=False)
            self._note_ms("MLP, compiled", lambda: compiled(x).backward(up))

    def _profile(self, step: Step) -> None:
        """Note the kernels that take most of a step, in ms, and how many are launched."""
        steps, kinds = PROFILED_STEPS[self.device], torch.profiler.ProfilerActivity
        activities = [kinds.CPU] if self.device == "cpu" else [kinds.CPU, kinds.CUDA]
        with torch.profiler.profile(activities=activities) as profiler:
            for _ in range(steps):
                step()
            self._wait()
        field = "self_cpu_time_total" if self.device == "cpu" else "self_device_time_total"
        events = sorted(profiler.key_averages(), key=lambda event: -getattr(event, field))
        events = [event for event in events if getattr(event, field) > 0]
        top = events[:PROFILED_KERNELS]
        self.bench.note(
            "profile, ms a step",
            {event.key[:60]: round(getattr(event, field) / 1000 / steps, 3) for event in top},
        )
        self.bench.note("profile, all ms a step", sum(getattr(e, field) for e in events) / 1000 / steps)
        self.bench.note("profile, launches a step", sum(event.count for event in events) / steps)

    def _time_attention(
        self, name: str, attend: Callable[..., Tensor], window: int, rows: int, dtype: torch.dtype
    ) -> None:
        heads, size = self.train.MODEL_DIM // self.train.HEAD_DIM, self.train.HEAD_DIM
        shape = (rows, self.seq_len, heads, size)
        q, k, v, up = (torch.randn(shape, device=self.device, dtype=dtype) for _ in range(4))
        q, k, v = (part.requires_grad_() for part in (q, k, v))

        def both() -> None:
            torch.autograd.grad(attend(q, k, v, window), (q, k, v), up)

        self._note_ms(f"attention {name}, window {window}", both)

    def _note_ms(self, name: str, call: Step) -> float:
        """Note the median milliseconds of a call and return them."""
        for _ in range(min(3, self.repeats)):
            call()
        self._wait()
        times = [self._time_ms(call) for _ in range(self.repeats)]
        self.bench.note(f"{name}: ms", statistics.median(times))
        return statistics.median(times)

    def _time_ms(self, call: Step) -> float:
        if self.device == "cpu":
            began = time.perf_counter()
            call()
            return 1000 * (time.perf_counter() - began)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end))

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def _model(self) -> nn.Module:
        train = self.train
        model = train.GPT(self.vocab_size, self.seq_len, train.DEPTH, train.MODEL_DIM)
        model.reset()
        return model

    def _choose_attention(self) -> tuple[str, Callable[..., Tensor]]:
        name, attend = self.train.choose_attention(self.train.ATTENTION, self.device, self._dtype())
        return name, attend

    def _dtype(self) -> torch.dtype:
        return self.train.compute_type(self.device)

    def _windows(self) -> list[int]:
        return sorted({int(self.train.SHORT_WINDOW * self.seq_len), self.seq_len})

    def _tokens(self, rows: int) -> Tensor:
        return torch.randint(self.vocab_size, (rows, self.seq_len), device=self.device)


def load(text: str) -> ModuleType:
    """Return train.py as a module; compilers find its source."""
    module = ModuleType("train")
    sys.modules["train"] = module
    linecache.cache["train.py"] = (len(text), None, text.splitlines(keepends=True), "train.py")
    exec(compile(text, "train.py", "exec"), module.__dict__)
    return module
