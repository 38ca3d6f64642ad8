"""Train a small GPT from scratch within a time budget. This is the one file that research may change.

`autoresearch trial train.py` runs it. `train(trial)` gets its data, its clock and its seed from the trial;
`load(state, config, device)` rebuilds the model in another process, where it is scored.
"""

import gc
import importlib
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ----------------------------------------------------------------------------
# Constants. These fit DEVICE; for another device the session's base gets others (autoresearch/setup/plan.py).
# The CUDA values come from public searches on one H100 with five minutes of training: docs/training.md has the
# evidence for each of them.

DEVICE = "cuda"

# model
DEPTH = 8  # transformer blocks
MODEL_DIM = 768  # channels of the residual stream
HEAD_DIM = 128  # channels of one attention head
MLP_RATIO = 4  # hidden channels of the MLP / MODEL_DIM
ROPE_BASE = 10000.0  # longest wavelength of the rotary embedding / 2 pi, in tokens
QK_SCALE = 1.0  # queries and keys are multiplied by this after their norm
WINDOWS = "SSSL"  # blocks in turn see a Short or a Long window; the last block always a long one
SHORT_WINDOW = 0.125  # tokens that a short one reaches back / tokens in a row; a long one reaches back to the first
ATTENTION = "auto"  # the first kernel that works here; "fastest"; or names, for short and long windows: "varlen cudnn"
GRAPH = "blocks"  # what is compiled as one: "blocks", each by itself; or the "model": faster steps, a longer setup
ATTN_SCALE = 1.3  # of what attention adds to the stream
X0_INIT = 0.05  # how much of the embedding each block mixes in again, at the start
VALUE_EMBED_FIRST = 0  # this block has a value embedding ...
VALUE_EMBED_EVERY = 3  # ... and every such block after it, and the last one
VALUE_GATE_DIM = 128  # channels of the stream that gate it
VALUE_GATE_MAX = 1.8  # largest factor of the gate; half of it at the start
SOFTCAP = 15.0  # logits are squashed smoothly to +- this; 0: they are not

# optimisation
BATCH_TOKENS = 2**17  # tokens per optimiser step
MICRO_TOKENS = 2**17  # tokens per forward pass; fewer than BATCH_TOKENS: gradients are accumulated
LOSS_TOKENS = 0  # tokens whose logits are in memory at a time; 0: all of a pass
MATRIX_LR = 0.042  # Muon: matrices of the blocks
EMBED_LR = 0.74  # AdamW: token and value embeddings
HEAD_LR = 0.010  # AdamW: the output head
RESIDUAL_LR = 0.021  # AdamW: how much of the stream a block takes
X0_LR = 2.8  # AdamW: how much of the embedding it mixes in
MATRIX_WEIGHT_DECAY = 0.125  # of the matrices; falls with the square of what is left of the run
HEAD_WEIGHT_DECAY = 0.002
EMBED_WEIGHT_DECAY = 0.0005
VALUE_WEIGHT_DECAY = 0.004
ADAM_BETA1 = 0.8
X0_BETA1 = 0.96  # ADAM_BETA1 of X0_LR
ADAM_BETA2 = 0.95
MUON_MOMENTUM_START = 0.85  # momentum at step 0 ...
MUON_MOMENTUM_END = 0.92  # ... and after MUON_MOMENTUM_STEPS
MUON_MOMENTUM_STEPS = 100
ORTHOGONAL_STEPS = 5  # iterations that make an update nearly orthogonal
EVEN_NEURONS = 1.0  # how far the neurons of an update are brought to one length; 0: not, 1: wholly
WARMDOWN = 0.825  # last share of the run, over which learning rates fall ...
FINAL_LR = 0.021  # ... to this share of their height


# ----------------------------------------------------------------------------
# Model


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.size(-1),))


def rotary_tables(seq_len: int) -> tuple[Tensor, Tensor]:
    """Return cos and sin, [seq_len, 1, HEAD_DIM / 2]."""
    frequency = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float32) / HEAD_DIM)
    angle = torch.arange(seq_len, dtype=torch.float32)[:, None, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos + b * sin, b * cos - a * sin], dim=-1)


class Linear(nn.Linear):
    """Linear layer without bias. The weight is cast to the type of the input; master weights stay float32."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


def embedded(embed: nn.Embedding, tokens: Tensor, dtype: torch.dtype) -> Tensor:
    """Look tokens up in a table that is cast once, not token by token."""
    return F.embedding(tokens, embed.weight.to(dtype))


class ValueEmbedding(nn.Module):
    """Second embedding of the tokens, added to the values of a block through a gate for each head."""

    def __init__(self, vocab_size: int, dim: int):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        self.gate = Linear(min(VALUE_GATE_DIM, dim), dim // HEAD_DIM)

    def forward(self, v: Tensor, x: Tensor, tokens: Tensor) -> Tensor:
        """Add the gated embedding to v [B, T, heads, HEAD_DIM]; x [B, T, dim] is the stream."""
        gate = VALUE_GATE_MAX * torch.sigmoid(self.gate(x[..., : self.gate.in_features]))
        return v + gate[..., None] * embedded(self.embed, tokens, v.dtype).view_as(v)


class Block(nn.Module):
    """Causal attention with normed queries and keys, then a relu^2 MLP."""

    def __init__(self, dim: int, vocab_size: int, has_value_embed: bool, window: int):
        super().__init__()
        self.window, self.attend = window, sdpa
        self.q, self.k, self.v = Linear(dim, dim), Linear(dim, dim), Linear(dim, dim)  # separate matrices for Muon
        self.attn_out = Linear(dim, dim)
        self.mlp_in = Linear(dim, MLP_RATIO * dim)
        self.mlp_out = Linear(MLP_RATIO * dim, dim)
        self.value = ValueEmbedding(vocab_size, dim) if has_value_embed else None
        self.residual = nn.Parameter(torch.ones(1))  # how much of the stream the block takes
        self.x0 = nn.Parameter(torch.full((1,), X0_INIT))  # how much of the embedding it mixes in

    def forward(self, x: Tensor, x0: Tensor, tokens: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = self.residual.to(x.dtype) * x + self.x0.to(x.dtype) * x0
        x = x + ATTN_SCALE * self.attention(norm(x), tokens, cos, sin)
        return x + self.mlp_out(F.relu(self.mlp_in(norm(x))).square())

    def attention(self, x: Tensor, tokens: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        B, T, C = x.shape
        weight = torch.cat([self.q.weight, self.k.weight, self.v.weight])
        q, k, v = F.linear(x, weight.to(x.dtype)).view(B, T, 3, C // HEAD_DIM, HEAD_DIM).unbind(2)
        if self.value is not None:
            v = self.value(v, x, tokens)
        q, k = rotate(norm(q), cos, sin), rotate(norm(k), cos, sin)
        return self.attn_out(self.attend(q, k, v, self.window).reshape(B, T, C))


class GPT(nn.Module):
    def __init__(self, vocab_size: int, seq_len: int, depth: int, dim: int):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        has_value = {*range(VALUE_EMBED_FIRST, depth, VALUE_EMBED_EVERY), depth - 1}
        short = {i for i in range(depth - 1) if WINDOWS[i % len(WINDOWS)] == "S"}
        windows = [int(SHORT_WINDOW * seq_len) if i in short else seq_len for i in range(depth)]
        self.blocks = nn.ModuleList(Block(dim, vocab_size, i in has_value, windows[i]) for i in range(depth))
        self.head = Linear(dim, vocab_size)
        self.seq_len = seq_len
        cos, sin = rotary_tables(seq_len)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.dtype, self.attention = torch.float32, "sdpa sdpa"
        self.encode = self.hidden  # of training; one compiled graph, if GRAPH says so

    def place(self, device: str, attention: str, rows: int = 1) -> "GPT":
        """Move to the device, choose type and attention kernels for it, compile; the weights stay float32."""
        self.dtype = compute_type(device)
        shape = (rows, self.seq_len, self.embed.embedding_dim // HEAD_DIM, HEAD_DIM)
        self.attention, self.kernel_ms = choose_attention(attention, device, self.dtype, shape)
        self.use_kernels(*self.attention.split(), device)
        if device == "cuda":
            for block in self.blocks:  # block by block: equal blocks are compiled once
                block.compile(dynamic=False)
            torch._dynamo.config.recompile_limit = 64  # enough for all kinds of blocks, in training and in scoring
            self.nats = torch.compile(self.nats, dynamic=False)
            self.encode = torch.compile(self.hidden, dynamic=False) if GRAPH == "model" else self.hidden
        return self.to(device)

    def use_kernels(self, short: str, long: str, device: str) -> None:
        """Give the blocks their attention kernels. Where sdpa is the only one on a card, windows become full."""
        kernels = {name: KERNELS[name]() for name in (short, long)}
        for block in self.blocks:
            if device == "cuda" and short == "sdpa":
                block.window = self.seq_len  # a mask would make sdpa slower, not faster
            block.attend = kernels[short if block.window < self.seq_len else long]

    @torch.no_grad()
    def reset(self) -> None:
        """Set initial weights: matrices uniform, outputs of branches and gates zero, the head near zero."""
        for name, p in self.named_parameters():
            if name == "embed.weight":
                p.normal_()
            elif name == "head.weight":
                p.normal_(std=0.001)
            elif name.endswith(("attn_out.weight", "mlp_out.weight", "gate.weight")):
                p.zero_()
            elif p.ndim == 2:
                bound = math.sqrt(3 / self.embed.embedding_dim)
                p.uniform_(-bound, bound)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Map contiguous tokens [B, T] to the input of the head, [B, T, dim]."""
        cos, sin = (table[: tokens.size(1)].to(self.dtype) for table in (self.cos, self.sin))
        x0 = norm(embedded(self.embed, tokens, self.dtype))
        x = x0.clone()  # with one tensor for both, the first block would be compiled separately
        for block in self.blocks:
            x = block(x, x0, tokens, cos, sin)
        return norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Map [..., dim] to [..., vocab_size], float32."""
        logits = self.head(hidden).float()
        return SOFTCAP * torch.tanh(logits / SOFTCAP) if SOFTCAP else logits

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens [B, T] to logits [B, T, vocab_size]."""
        return self.logits(self.hidden(tokens.contiguous()))

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return the summed loss of positions, from hidden [n, dim] and targets [n]."""
        return F.cross_entropy(self.logits(hidden), targets, reduction="sum")

    def backward(self, tokens: Tensor, targets: Tensor, share: float = 1.0, scale: float | Tensor = 1.0) -> Tensor:
        """Accumulate gradients of `share` times the mean loss of targets [B, T], times `scale`; return that loss.

        Only the logits of LOSS_TOKENS tokens exist at a time: the backward pass of the head is done part by part.
        """
        tokens = tokens.contiguous()  # batches are slices of rows, compiled code needs one layout
        hidden, targets = self.encode(tokens).flatten(0, 1), targets.flatten()
        size = LOSS_TOKENS or len(targets)
        parts = [part.detach().requires_grad_() for part in hidden.split(size)]
        total = torch.zeros((), device=hidden.device)
        for part, answers in zip(parts, targets.split(size), strict=True):
            loss = self.nats(part, answers) * (share / len(targets))
            (loss * scale).backward()
            total += loss.detach()
        hidden.backward(torch.cat([part.grad for part in parts]))
        return total

    def flops_per_token(self, seq_len: int) -> float:
        """Count forward and backward: 6 per matrix weight, 12 per channel and position that attention reaches."""
        weights = sum(p.numel() for n, p in self.named_parameters() if p.ndim == 2 and "embed" not in n)
        return 6.0 * weights + 12.0 * self.embed.embedding_dim * sum(block.window for block in self.blocks)


def compute_type(device: str) -> torch.dtype:
    """Return the 16-bit type that the card has units for, else float32."""
    capability = torch.cuda.get_device_capability() if device == "cuda" else (0, 0)
    return torch.bfloat16 if capability >= (8, 0) else torch.float16 if capability >= (7, 0) else torch.float32


# ----------------------------------------------------------------------------
# Attention: q, k, v [B, T, heads, HEAD_DIM] -> the same shape; a token sees itself and `window` tokens before it

Attention = Callable[[Tensor, Tensor, Tensor, int], Tensor]
ATTENTION_SCALE = QK_SCALE**2 / HEAD_DIM**0.5


def sdpa(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Use torch's own kernel: any device, any type; a window makes it no faster."""
    T, mask = q.size(1), None
    if window < T - 1:
        back = torch.arange(T, device=q.device)[:, None] - torch.arange(T, device=q.device)
        mask = (back >= 0) & (back <= window)
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=ATTENTION_SCALE)
    return y.transpose(1, 2)


def cudnn() -> Attention:
    """Return the kernel of cuDNN: without windows; on Hopper faster than FlashAttention 2."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def attend(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
        if window < q.size(1) - 1:
            raise ValueError("it has no windows")
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return sdpa(q, k, v, window)

    return attend


def varlen() -> Attention:
    """Return FlashAttention 2 as part of torch: with windows from 2.11 on, bfloat16 on cards from Ampere on."""
    from torch.nn.attention.varlen import varlen_attn

    def attend(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
        B, T, H, D = q.shape
        starts = torch.arange(0, (B + 1) * T, T, dtype=torch.int32, device=q.device)
        reach = (window if window < T - 1 else -1, 0)
        q, k, v = (part.reshape(B * T, H, D) for part in (q, k, v))
        y = varlen_attn(q, k, v, starts, starts, T, T, scale=ATTENTION_SCALE, window_size=reach)
        return y.view(B, T, H, D)

    return attend


def flash(module: str) -> Attention:
    """Return FlashAttention 3 (Hopper; wheels exist) or 4 (`flash-attn-4`: Hopper and Blackwell)."""
    kernel = importlib.import_module(module).flash_attn_func

    def attend(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
        reach = {"window_size": (window, 0)} if window < q.size(1) - 1 else {}
        y = kernel(q, k, v, softmax_scale=ATTENTION_SCALE, causal=True, **reach)
        return y[0] if isinstance(y, tuple) else y

    return attend


KERNELS = {
    "fa3": lambda: flash("flash_attn_interface"),
    "fa4": lambda: flash("flash_attn.cute"),
    "varlen": varlen,
    "cudnn": cudnn,
    "sdpa": lambda: sdpa,  # the last resort: nothing is compared with it, and windows become full
}


def choose_attention(wanted: str, device: str, dtype: torch.dtype, shape: tuple[int, ...]) -> tuple[str, dict]:
    """Return kernels for short and long windows, by name, and the times of those that were timed, to report.

    `auto`: the first that agrees with sdpa; `fastest`: of those, at q's shape [B, T, heads, HEAD_DIM].
    """
    if device != "cuda" or dtype != torch.bfloat16:
        return "sdpa sdpa", {}  # the others need bfloat16 on CUDA
    if wanted not in ("auto", "fastest"):
        return wanted if " " in wanted else f"{wanted} {wanted}", {}
    names, times = [], {}
    for windows, window in (("short", int(SHORT_WINDOW * shape[1])), ("long", shape[1])):
        taken = {}  # name -> milliseconds
        for name in [name for name in KERNELS if name != "sdpa"]:
            why = fault(KERNELS[name], device, dtype, 48 if windows == "short" else 384)
            print(f"attention, {windows} windows: {name}: {why or 'works'}")
            if why is None:
                is_timed = wanted == "fastest"
                taken[name] = milliseconds(KERNELS[name](), window, device, dtype, shape) if is_timed else 0.0
                if not is_timed:
                    break
        names.append(min(taken, key=taken.__getitem__, default="sdpa"))
        times |= {f"{windows}_{name}_ms": ms for name, ms in taken.items() if ms}
    return " ".join(names), times


def fault(make: Callable[[], Attention], device: str, dtype: torch.dtype, window: int) -> str | None:
    """Return why a kernel cannot be used; None if outputs and gradients agree with sdpa in float32."""
    try:
        inputs = torch.randn(4, 2, 384, 2, HEAD_DIM, device=device).unbind()  # q, k, v, gradient of the output
        found = gradients(compiled(make(), device), inputs, window, dtype)
        true = gradients(sdpa, inputs, window, torch.float32)
        error = max(float((a - b).norm() / b.norm()) for a, b in zip(found, true, strict=True))
        if not error < 0.02:  # rounding to bfloat16 makes it about 0.005
            return f"off by {error:.3f}"
    except Exception as error:  # a third-party kernel may raise anything: the next one is tried
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None


def gradients(attend: Attention, inputs: tuple[Tensor, ...], window: int, dtype: torch.dtype) -> list[Tensor]:
    """Return the output of a kernel and the gradients of q, k, v, in float32."""
    q, k, v, upstream = (part.to(dtype, copy=True).requires_grad_() for part in inputs)
    y = attend(q, k, v, window)
    return [part.detach().float() for part in (y, *torch.autograd.grad(y, (q, k, v), upstream))]


def milliseconds(attend: Attention, window: int, device: str, dtype: torch.dtype, shape: tuple[int, ...]) -> float:
    """Return the time of a kernel, forward and backward: the median of nine."""
    q, k, v, upstream = (torch.randn(shape, device=device, dtype=dtype).requires_grad_() for _ in range(4))
    attend, times = compiled(attend, device), []
    for _ in range(12):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        torch.autograd.grad(attend(q, k, v, window), (q, k, v), upstream)
        ended.record()
        ended.synchronize()
        times.append(began.elapsed_time(ended))
    return sorted(times[3:])[4]


def compiled(function: Callable, device: str) -> Callable:
    return torch.compile(function, dynamic=False) if device == "cuda" else function


# ----------------------------------------------------------------------------
# Optimiser: Muon for the matrices (Jordan et al., 2024), AdamW for the rest

# Coefficients of the odd quintic of each iteration: Polar Express (Amsel et al., 2025); the last is repeated
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def orthogonalised(G: Tensor, dtype: torch.dtype) -> Tensor:
    """Return approximately the nearest (semi-)orthogonal matrices to G [n, rows, cols]."""
    tall = G.size(-2) > G.size(-1)
    X = G.mT if tall else G
    X = (X / (1.02 * X.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(dtype)
    for step in range(ORTHOGONAL_STEPS):
        a, b, c = POLAR_EXPRESS[min(step, len(POLAR_EXPRESS) - 1)]
        A = X @ X.mT
        B = torch.baddbmm(A, A, A, beta=b, alpha=c)
        X = torch.baddbmm(X, B, X, beta=a)
    return (X.mT if tall else X).to(G.dtype)


def evened(update: Tensor) -> Tensor:
    """Even out row norms of tall matrices [n, rows, cols], column norms of wide ones; keep matrix norms."""
    inputs = -1 if update.size(-2) >= update.size(-1) else -2
    scaled = update * update.norm(dim=inputs, keepdim=True).clamp_min(1e-5) ** -EVEN_NEURONS
    before, after = (matrix.norm(dim=(-2, -1), keepdim=True) for matrix in (update, scaled))
    return scaled * (before / after.clamp_min(1e-5))


def muon_update(
    weight: Tensor, grad: Tensor, buffer: Tensor, lr: Tensor, momentum: Tensor, decay: Tensor, dtype: torch.dtype
) -> None:
    """Update weights [n, rows, cols]: Nesterov momentum, and decay only where signs agree."""
    buffer.lerp_(grad, 1 - momentum)
    update = orthogonalised(grad.lerp(buffer, momentum), dtype)
    update = evened(update) if EVEN_NEURONS else update
    lr = lr * max(1.0, update.size(-2) / update.size(-1)) ** 0.5
    weight.sub_(lr * (update + decay * weight * (update * weight >= 0)))


class Muon:
    """Muon optimiser. Matrices of one shape are views of one stack, so that a step is a few large calls."""

    def __init__(self, matrices: list[nn.Parameter], dtype: torch.dtype):
        self.dtype = dtype
        shapes = sorted({tuple(p.shape) for p in matrices})
        self.groups = [[p for p in matrices if tuple(p.shape) == shape] for shape in shapes]
        self.stacks = [torch.stack([p.detach() for p in group]) for group in self.groups]
        for group, stack in zip(self.groups, self.stacks, strict=True):
            for p, matrix in zip(group, stack, strict=True):
                p.data = matrix
        self.buffers = [torch.zeros_like(stack) for stack in self.stacks]
        self.update = compiled(muon_update, matrices[0].device.type)

    @torch.no_grad()
    def step(self, *schedule: float) -> None:
        """Update with learning rate, momentum, weight decay; tensors, because floats would be compiled in."""
        numbers = [torch.tensor(value) for value in schedule]
        for group, stack, buffer in zip(self.groups, self.stacks, self.buffers, strict=True):
            self.update(stack, torch.stack([p.grad for p in group]), buffer, *numbers, self.dtype)

    def reset(self) -> None:
        for buffer in self.buffers:
            buffer.zero_()


class LossScale:
    """Factor of the loss that keeps gradients within the range of float16. All on the device: nothing waits for it."""

    first, growth = 2.0**16, 1.001

    def __init__(self, model: GPT):
        self.parameters = list(model.parameters())
        self.factor = torch.full((), self.first, device=self.parameters[0].device)

    @torch.no_grad()
    def divide_gradients(self) -> None:
        """Divide by the factor and let it grow; after an overflow halve it, and make all gradients zero."""
        grads = [p.grad for p in self.parameters]
        finite = torch.stack([grad.isfinite().all() for grad in grads]).all()
        for grad in grads:
            grad.copy_(torch.where(finite, grad / self.factor, 0.0))
        self.factor = torch.where(finite, self.factor * self.growth, self.factor / 2)


class Optimizers:
    """Muon and AdamW with their schedules."""

    def __init__(self, model: GPT):
        named = dict(model.named_parameters())
        embeds = [p for n, p in named.items() if n == "embed.weight"]
        values = [p for n, p in named.items() if n.endswith("value.embed.weight")]
        head = [named["head.weight"]]
        residual = [p for n, p in named.items() if n.endswith("residual")]
        x0 = [p for n, p in named.items() if n.endswith("x0")]
        taken = {id(p) for p in [*embeds, *values, *head, *residual, *x0]}
        self.muon = Muon([p for p in named.values() if id(p) not in taken], model.dtype)
        groups = [
            {"params": embeds, "height": EMBED_LR, "weight_decay": EMBED_WEIGHT_DECAY},
            {"params": values, "height": EMBED_LR, "weight_decay": VALUE_WEIGHT_DECAY},
            {"params": head, "height": HEAD_LR, "weight_decay": HEAD_WEIGHT_DECAY},
            {"params": residual, "height": RESIDUAL_LR, "weight_decay": 0.0},
            {"params": x0, "height": X0_LR, "weight_decay": 0.0, "betas": (X0_BETA1, ADAM_BETA2)},
        ]
        self.adamw = torch.optim.AdamW(groups, betas=(ADAM_BETA1, ADAM_BETA2), eps=1e-10, fused=True)

    def step(self, step: int, progress: float) -> None:
        scale = lr_scale(progress)
        for group in self.adamw.param_groups:
            group["lr"] = group["height"] * scale
        self.adamw.step()
        self.muon.step(MATRIX_LR * scale, muon_momentum(step), MATRIX_WEIGHT_DECAY * (1 - progress) ** 2)

    def reset(self) -> None:
        self.adamw.state.clear()
        self.muon.reset()


# ----------------------------------------------------------------------------
# Schedules: functions of progress (0 -> 1) or of the step


def lr_scale(progress: float) -> float:
    if progress < 1 - WARMDOWN:
        return 1.0
    left = (1 - progress) / WARMDOWN
    return left + (1 - left) * FINAL_LR


def muon_momentum(step: int) -> float:
    warm = min(step / MUON_MOMENTUM_STEPS, 1.0)
    return MUON_MOMENTUM_START + warm * (MUON_MOMENTUM_END - MUON_MOMENTUM_START)


# ----------------------------------------------------------------------------
# The contract: train and load


class Trainer:
    """Model with an optimiser step."""

    def __init__(self, model: GPT, rows: int):
        self.model, self.rows = model, rows  # rows of one forward pass
        self.optimizers = Optimizers(model)
        self.scale = LossScale(model) if model.dtype == torch.float16 else None

    def step(self, x: Tensor, y: Tensor, step: int, progress: float) -> Tensor:
        """Take one optimiser step on x, y [B, T]; return the mean loss in nats, on the device."""
        loss = self.backward(x, y)
        if self.scale:
            self.scale.divide_gradients()
        self.optimizers.step(step, progress)
        self.model.zero_grad(set_to_none=True)
        return loss

    def backward(self, x: Tensor, y: Tensor) -> Tensor:
        """Accumulate gradients of the mean loss, `rows` at a time."""
        scale = self.scale.factor if self.scale else 1.0
        parts = zip(x.split(self.rows), y.split(self.rows), strict=True)
        return sum(self.model.backward(tokens, targets, len(tokens) / len(x), scale) for tokens, targets in parts)

    def warm_up(self, batch: Tensor, steps: int = 2) -> None:
        """Compile everything on random tokens, then reset weights and optimisers."""
        before = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        for step in range(steps):
            self.step(batch, batch, step, 0.0)
        with torch.no_grad():
            for name, p in self.model.named_parameters():
                p.copy_(before[name])
        self.optimizers.reset()
        if self.scale:
            self.scale = LossScale(self.model)


def train(trial):
    """Build the model and warm up; then trial.start() delivers the data and starts the clock."""
    torch.manual_seed(trial.seed)
    torch.set_float32_matmul_precision("high")
    model = GPT(trial.vocab_size, trial.seq_len, DEPTH, MODEL_DIM)
    model.reset()
    batch_rows, micro_rows = (max(1, tokens // trial.seq_len) for tokens in (BATCH_TOKENS, MICRO_TOKENS))
    model.place(trial.device, ATTENTION, micro_rows)
    trainer = Trainer(model, micro_rows)
    random_tokens = torch.randint(trial.vocab_size, (batch_rows, trial.seq_len), device=trial.device)
    trainer.warm_up(random_tokens)
    if trial.device == "cuda":
        with torch.inference_mode():  # so that the kernels for scoring are in the compile cache
            model(torch.randint(trial.vocab_size, (trial.eval_batch, trial.seq_len), device=trial.device))
        torch.cuda.synchronize()
    gc.collect()
    gc.freeze()  # objects from compiling need no further collections
    trial.log(
        num_params=sum(p.numel() for p in model.parameters()),
        tokens_per_step=batch_rows * trial.seq_len,
        flops_per_token=model.flops_per_token(trial.seq_len),
        **model.kernel_ms,
    )
    config = {"vocab_size": trial.vocab_size, "seq_len": trial.seq_len, "depth": DEPTH, "dim": MODEL_DIM}
    config |= {"attention": model.attention}
    trial.save(model.state_dict(), config)  # a rehearsal: its time is reserved for the real one

    trial.start()
    batches = trial.batches(batch_rows)
    step, losses, every = 0, [], 2 if trial.device == "cpu" else 10  # a card works off its queue for each report
    while (progress := trial.progress) < 1:
        x, y = next(batches)
        losses.append(trainer.step(x, y, step, progress))
        step += 1
        if len(losses) == every:
            report(trial, step, losses)

    if losses:
        report(trial, step, losses)
    trial.save(model.state_dict(), config)


def report(trial, step: int, losses: list[Tensor]) -> None:
    """Log a point of the curve, the mean of the losses since the last one; stop a run that diverges."""
    value = torch.stack(losses).mean().item()
    losses.clear()
    if not value < 20:  # nats; also when it is not a number
        raise FloatingPointError(f"loss is {value}")
    trial.log(step=step, loss=value)


def load(state, config, device):
    """Return a function from tokens int64 [B, T] to logits [B, T, vocab_size]."""
    shape = {name: value for name, value in config.items() if name != "attention"}
    model = GPT(**shape)
    model.load_state_dict(state)
    return model.place(device, config["attention"]).eval()
