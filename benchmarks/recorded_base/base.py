"""A small GPT, trained from scratch until the bell. This is the one file that research may change.

`autoresearch trial train.py` runs it. `train(trial)` gets its data, its clock and its seed from the trial;
`load(state, config, device)` rebuilds the model later, in another process, to be scored.
"""

import gc
import importlib
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ----------------------------------------------------------------------------
# Constants. Those below fit DEVICE; on another one the session's base starts with others (autoresearch/plan.py).
# The CUDA values are those that public searches on one H100 arrived at with five minutes of training: docs/training.md
# has the evidence for each of them.

DEVICE = "cpu"
# Plan: the CPU profile, found by hand for 15 CPU-seconds on one core

# model
DEPTH = 2  # transformer blocks
MODEL_DIM = 64  # channels of the residual stream
HEAD_DIM = 32  # channels of one attention head
MLP_RATIO = 4  # hidden channels of the MLP / MODEL_DIM
ROPE_BASE = 10000.0  # longest wavelength of the rotary embedding / 2 pi, in tokens
QK_SCALE = 1.0  # queries and keys are multiplied by this after their norm
WINDOWS = "SSSL"  # blocks in turn see a Short or a Long window; the last block always a long one
SHORT_WINDOW = 1.0  # tokens that a short one reaches back / tokens in a row; a long one reaches back to the first
ATTENTION = "auto"  # the fastest kernel that works here; or one of those below by its name
ATTN_SCALE = 1.3  # of what attention adds to the stream
X0_INIT = 0.05  # how much of the embedding each block mixes in again, at the start
VALUE_EMBED_FIRST = 1  # this block has a value embedding ...
VALUE_EMBED_EVERY = 3  # ... and every such block after it, and the last one
VALUE_GATE_DIM = 32  # channels of the stream that gate it
VALUE_GATE_MAX = 1.8  # largest factor of the gate; half of it at the start
SOFTCAP = 0.0  # logits are squashed smoothly to +- this; 0: they are not

# optimisation
BATCH_TOKENS = 2**10  # tokens per optimiser step
MICRO_TOKENS = 2**10  # tokens per forward pass; fewer than BATCH_TOKENS: gradients are accumulated
LOSS_TOKENS = 128  # tokens whose logits are in memory at a time; 0: all of a pass
MATRIX_LR = 0.04  # Muon: matrices of the blocks
EMBED_LR = 1.5  # AdamW: token and value embeddings
HEAD_LR = 0.02  # AdamW: the output head
RESIDUAL_LR = 0.002  # AdamW: how much of the stream a block takes
X0_LR = 0.1  # AdamW: how much of the embedding it mixes in
MATRIX_WEIGHT_DECAY = 0.05  # of the matrices; falls with the square of what is left of the run
HEAD_WEIGHT_DECAY = 0.002
EMBED_WEIGHT_DECAY = 0.0005
VALUE_WEIGHT_DECAY = 0.004
ADAM_BETA1 = 0.8
X0_BETA1 = 0.96  # ADAM_BETA1 of X0_LR
ADAM_BETA2 = 0.98
MUON_MOMENTUM_START = 0.85  # momentum at step 0 ...
MUON_MOMENTUM_END = 0.95  # ... and after MUON_MOMENTUM_STEPS
MUON_MOMENTUM_STEPS = 300
ORTHOGONAL_STEPS = 5  # iterations that make an update nearly orthogonal
EVEN_NEURONS = 0.0  # how far the neurons of an update are brought to one length; 0: not, 1: wholly
WARMDOWN = 0.6  # last share of the run, over which learning rates fall ...
FINAL_LR = 0.03  # ... to this share of their height


# ----------------------------------------------------------------------------
# Model


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.size(-1),))


def rotary_tables(seq_len: int) -> tuple[Tensor, Tensor]:
    """cos and sin, [seq_len, 1, HEAD_DIM / 2]."""
    frequency = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float32) / HEAD_DIM)
    angle = torch.arange(seq_len, dtype=torch.float32)[:, None, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos + b * sin, b * cos - a * sin], dim=-1)


class Linear(nn.Linear):
    """No bias; the weight follows the type of the input, so that master weights stay float32."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class ValueEmbedding(nn.Module):
    """A second embedding of the tokens, added to the values of a block through a gate for each head."""

    def __init__(self, vocab_size: int, dim: int):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        self.gate = Linear(min(VALUE_GATE_DIM, dim), dim // HEAD_DIM)

    def forward(self, v: Tensor, x: Tensor, tokens: Tensor) -> Tensor:
        """v [B, T, heads, HEAD_DIM] plus the gated embedding; x [B, T, dim] is the stream."""
        gate = VALUE_GATE_MAX * torch.sigmoid(self.gate(x[..., : self.gate.in_features]))
        return v + gate[..., None] * self.embed(tokens).view_as(v).to(v.dtype)


class Block(nn.Module):
    """Causal attention with normed queries and keys, then a relu^2 MLP."""

    def __init__(self, dim: int, vocab_size: int, has_value_embed: bool, window: int):
        super().__init__()
        self.window, self.attend = window, sdpa
        self.q, self.k, self.v = Linear(dim, dim), Linear(dim, dim), Linear(dim, dim)  # Muon takes each for itself
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
        cos, sin = rotary_tables(seq_len)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.dtype, self.attention = torch.float32, "sdpa"

    def place(self, device: str, attention: str) -> "GPT":
        """Move to the device and compute as is fast there: in its type, compiled; the weights stay float32."""
        self.dtype = compute_type(device)
        self.attention, attend = choose_attention(attention, device, self.dtype)
        for block in self.blocks:
            block.attend = attend
            if device == "cuda":  # one after the other: blocks that are alike are compiled once
                block.compile(dynamic=False)
        if device == "cuda":
            torch._dynamo.config.recompile_limit = 64  # kinds of blocks, in training and in scoring
            self.nats = torch.compile(self.nats, dynamic=False)
        return self.to(device)

    @torch.no_grad()
    def reset(self) -> None:
        """Initial weights: uniform matrices; outputs of the branches and gates at zero, of the model nearly."""
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
        """tokens [B, T] -> what the head reads, [B, T, dim]."""
        tokens = tokens.contiguous()  # batches are slices of rows: compiled code is made for one layout
        cos, sin = (table[: tokens.size(1)].to(self.dtype) for table in (self.cos, self.sin))
        x0 = norm(self.embed(tokens).to(self.dtype))
        x = x0.clone()  # were they one tensor, the first block would be compiled for itself
        for block in self.blocks:
            x = block(x, x0, tokens, cos, sin)
        return norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., dim] -> [..., vocab_size], float32."""
        logits = self.head(hidden).float()
        return SOFTCAP * torch.tanh(logits / SOFTCAP) if SOFTCAP else logits

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens [B, T] -> logits [B, T, vocab_size]."""
        return self.logits(self.hidden(tokens))

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """The summed loss of some positions, hidden [n, dim] and targets [n]."""
        return F.cross_entropy(self.logits(hidden), targets, reduction="sum")

    def backward(self, tokens: Tensor, targets: Tensor, share: float = 1.0) -> Tensor:
        """Gradients of `share` of the mean loss of targets [B, T], added to those that are there; returns the loss.

        Logits exist for LOSS_TOKENS at a time: what the head reads gets its gradient part by part, then the blocks.
        """
        hidden, targets = self.hidden(tokens).flatten(0, 1), targets.flatten()
        size = LOSS_TOKENS or len(targets)
        parts = [part.detach().requires_grad_() for part in hidden.split(size)]
        total = torch.zeros((), device=hidden.device)
        for part, answers in zip(parts, targets.split(size), strict=True):
            loss = self.nats(part, answers) * (share / len(targets))
            loss.backward()
            total += loss.detach()
        hidden.backward(torch.cat([part.grad for part in parts]))
        return total

    def flops_per_token(self, seq_len: int) -> float:
        """Forward and backward: 6 a matrix weight, 12 a channel and position that attention reaches."""
        weights = sum(p.numel() for n, p in self.named_parameters() if p.ndim == 2 and "embed" not in n)
        return 6.0 * weights + 12.0 * self.embed.embedding_dim * sum(block.window for block in self.blocks)


def compute_type(device: str) -> torch.dtype:
    """bfloat16 where the card has units for it (compute capability 8.0), else float32."""
    fast = device == "cuda" and torch.cuda.get_device_capability() >= (8, 0)
    return torch.bfloat16 if fast else torch.float32


# ----------------------------------------------------------------------------
# Attention: q, k, v [B, T, heads, HEAD_DIM] -> the same shape; a token sees itself and `window` tokens before it

Attention = Callable[[Tensor, Tensor, Tensor, int], Tensor]
ATTENTION_SCALE = QK_SCALE**2 / HEAD_DIM**0.5


def sdpa(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """torch's own: everywhere, any type; a window makes it no faster."""
    T, mask = q.size(1), None
    if window < T - 1:
        back = torch.arange(T, device=q.device)[:, None] - torch.arange(T, device=q.device)
        mask = (back >= 0) & (back <= window)
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=ATTENTION_SCALE)
    return y.transpose(1, 2)


def varlen() -> Attention:
    """FlashAttention 2 as torch has it from about 2.11 on: bfloat16 on cards from Ampere on."""
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
    """FlashAttention 3 (Hopper, built by the user) or 4 (`flash-attn-4`: Hopper and Blackwell)."""
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
    "sdpa": lambda: sdpa,
}


def choose_attention(name: str, device: str, dtype: torch.dtype) -> tuple[str, Attention]:
    """A kernel by its name; `auto`: the first that runs here and agrees with sdpa. Says which, and why no other."""
    if name == "auto" and (device != "cuda" or dtype != torch.bfloat16):
        name = "sdpa"  # the others need bfloat16 on CUDA
    if name != "auto":
        return name, KERNELS[name]()
    refused = []
    for name, make in KERNELS.items():
        why = None if name == "sdpa" else fault(make, device, dtype)
        if why is None:
            break
        refused.append(f"not {name}: {why}")
    print(f"attention: {name}", *refused, sep="; ")
    return name, KERNELS[name]()


def fault(make: Callable[[], Attention], device: str, dtype: torch.dtype) -> str | None:
    """Why a kernel cannot be used; None if outputs and gradients are sdpa's in float32, with a window and without."""
    inputs = torch.randn(4, 2, 384, 2, HEAD_DIM, device=device).unbind()  # q, k, v, gradient of the output
    try:
        attend = make()
        for window in (48, 384):
            found, true = gradients(attend, inputs, window, dtype), gradients(sdpa, inputs, window, torch.float32)
            error = max(float((a - b).norm() / b.norm()) for a, b in zip(found, true, strict=True))
            if not error < 0.02:  # rounding to bfloat16 makes it about 0.005
                return f"off by {error:.3f} with a window of {window}"
    except Exception as error:  # whatever somebody else's kernel raises here: there is another one
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None


def gradients(attend: Attention, inputs: tuple[Tensor, ...], window: int, dtype: torch.dtype) -> list[Tensor]:
    """The output of a kernel and the gradients of q, k, v, in float32."""
    q, k, v, upstream = (part.to(dtype, copy=True).requires_grad_() for part in inputs)
    y = attend(q, k, v, window)
    return [part.detach().float() for part in (y, *torch.autograd.grad(y, (q, k, v), upstream))]


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
    """The nearest (semi-)orthogonal matrices to G [n, rows, cols], about."""
    X = G.to(dtype)
    tall = X.size(-2) > X.size(-1)
    X = X.mT if tall else X
    X = X / (1.02 * X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for step in range(ORTHOGONAL_STEPS):
        a, b, c = POLAR_EXPRESS[min(step, len(POLAR_EXPRESS) - 1)]
        A = X @ X.mT
        B = torch.baddbmm(A, A, A, beta=b, alpha=c)
        X = torch.baddbmm(X, B, X, beta=a)
    return (X.mT if tall else X).to(G.dtype)


def evened(update: Tensor) -> Tensor:
    """Rows of tall matrices [n, rows, cols], columns of wide ones, of more equal length; each matrix keeps its own."""
    inputs = -1 if update.size(-2) >= update.size(-1) else -2
    scaled = update * update.norm(dim=inputs, keepdim=True).clamp_min(1e-5) ** -EVEN_NEURONS
    before, after = (matrix.norm(dim=(-2, -1), keepdim=True) for matrix in (update, scaled))
    return scaled * (before / after.clamp_min(1e-5))


def muon_update(
    weight: Tensor, grad: Tensor, buffer: Tensor, lr: Tensor, momentum: Tensor, decay: Tensor, dtype: torch.dtype
) -> Tensor:
    """New weights [n, rows, cols]; Nesterov momentum, and decay only where the update agrees with it."""
    buffer.lerp_(grad, 1 - momentum)
    update = orthogonalised(grad.lerp(buffer, momentum), dtype)
    update = evened(update) if EVEN_NEURONS else update
    lr = lr * max(1.0, update.size(-2) / update.size(-1)) ** 0.5
    return weight - lr * (update + decay * weight * (update * weight >= 0))


class Muon:
    """Matrices of one shape are stacked, so that a step is a few large calls."""

    def __init__(self, matrices: list[nn.Parameter], dtype: torch.dtype):
        self.dtype = dtype
        shapes = sorted({tuple(p.shape) for p in matrices})
        self.groups = [[p for p in matrices if tuple(p.shape) == shape] for shape in shapes]
        self.buffers = [torch.zeros(len(g), *g[0].shape, device=g[0].device) for g in self.groups]
        self.update = torch.compile(muon_update, dynamic=False) if matrices[0].is_cuda else muon_update

    @torch.no_grad()
    def step(self, *schedule: float) -> None:
        """`schedule`: learning rate, momentum, weight decay; as tensors they are no constants of what is compiled."""
        numbers = [torch.tensor(value) for value in schedule]
        for group, buffer in zip(self.groups, self.buffers, strict=True):
            weight, grad = torch.stack(group), torch.stack([p.grad for p in group])
            torch._foreach_copy_(group, list(self.update(weight, grad, buffer, *numbers, self.dtype).unbind()))

    def reset(self) -> None:
        for buffer in self.buffers:
            buffer.zero_()


class Optimizers:
    """One step of everything, at the learning rates that belong to the progress."""

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
    """The model, and one optimiser step on it."""

    def __init__(self, model: GPT, rows: int):
        self.model, self.rows = model, rows  # rows of one forward pass
        self.optimizers = Optimizers(model)

    def step(self, x: Tensor, y: Tensor, step: int, progress: float) -> Tensor:
        """Learn from x, y [B, T]; returns the mean loss in nats, still on the device."""
        loss = self.backward(x, y)
        self.optimizers.step(step, progress)
        self.model.zero_grad(set_to_none=True)
        return loss

    def backward(self, x: Tensor, y: Tensor) -> Tensor:
        """Gradients of the mean loss, `rows` at a time."""
        parts = zip(x.split(self.rows), y.split(self.rows), strict=True)
        return sum(self.model.backward(tokens, targets, len(tokens) / len(x)) for tokens, targets in parts)

    def warm_up(self, batch: Tensor, steps: int = 2) -> None:
        """Compile everything on random tokens, and undo what that taught."""
        before = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        for step in range(steps):
            self.step(batch, batch, step, 0.0)
        with torch.no_grad():
            for name, p in self.model.named_parameters():
                p.copy_(before[name])
        self.optimizers.reset()


def train(trial):
    """Build the model, warm up on random tokens, then trial.start(): the data arrives and the clock runs."""
    torch.manual_seed(trial.seed)
    torch.set_float32_matmul_precision("high")
    model = GPT(trial.vocab_size, trial.seq_len, DEPTH, MODEL_DIM)
    model.reset()
    model.place(trial.device, ATTENTION)
    batch_rows, micro_rows = (max(1, tokens // trial.seq_len) for tokens in (BATCH_TOKENS, MICRO_TOKENS))
    trainer = Trainer(model, micro_rows)
    random_tokens = torch.randint(trial.vocab_size, (batch_rows, trial.seq_len), device=trial.device)
    trainer.warm_up(random_tokens)
    if trial.device == "cuda":
        with torch.inference_mode():  # what scoring compiles is in the cache then
            model(torch.randint(trial.vocab_size, (trial.eval_batch, trial.seq_len), device=trial.device))
        torch.cuda.synchronize()
    gc.collect()
    gc.freeze()  # what compiling left behind need not be looked at again
    trial.log(
        num_params=sum(p.numel() for p in model.parameters()),
        tokens_per_step=batch_rows * trial.seq_len,
        flops_per_token=model.flops_per_token(trial.seq_len),
    )

    trial.start()
    batches = trial.batches(batch_rows)
    step = 0
    while (progress := trial.progress) < 1:
        x, y = next(batches)
        loss = trainer.step(x, y, step, progress)
        step += 1
        if step % 10 == 0:
            report(trial, step, loss)

    report(trial, step, loss)
    config = {"vocab_size": trial.vocab_size, "seq_len": trial.seq_len, "depth": DEPTH, "dim": MODEL_DIM}
    trial.save(model.state_dict(), config | {"attention": model.attention})


def report(trial, step: int, loss: Tensor) -> None:
    """A point of the curve; a run that is lost stops here."""
    value = loss.item()
    if not value < 20:  # nats; also when it is not a number
        raise FloatingPointError(f"loss is {value}")
    trial.log(step=step, loss=value)


def load(state, config, device):
    """Return a function from tokens int64 [B, T] to logits [B, T, vocab_size]."""
    shape = {name: value for name, value in config.items() if name != "attention"}
    model = GPT(**shape)
    model.load_state_dict(state)
    return model.place(device, config["attention"]).eval()
