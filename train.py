"""A small GPT, trained from scratch until the bell. This is the one file that research may change.

`autoresearch trial train.py` runs it. `train(trial)` gets its data, its clock and its seed from the trial;
`load(state, config, device)` rebuilds the model later, in another process, to be scored.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ----------------------------------------------------------------------------
# Constants. Those below fit DEVICE; on another one the session's base starts with others (autoresearch/plan.py).
# The CUDA values are those that public searches on one H100 arrived at with five minutes of training.

DEVICE = "cuda"

# model
DEPTH = 8  # transformer blocks
MODEL_DIM = 768  # channels of the residual stream
HEAD_DIM = 128  # channels of one attention head
MLP_RATIO = 4  # hidden channels of the MLP / MODEL_DIM
ROPE_BASE = 10000.0  # longest wavelength of the rotary embedding / 2 pi, in tokens
QK_SCALE = 1.0  # queries and keys are multiplied by this after their norm
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
ADAM_BETA2 = 0.95
MUON_MOMENTUM_START = 0.85  # momentum at step 0 ...
MUON_MOMENTUM_END = 0.92  # ... and after MUON_MOMENTUM_STEPS
MUON_MOMENTUM_STEPS = 100
NEWTON_SCHULZ_STEPS = 8  # iterations that make an update nearly orthogonal
WARMDOWN = 0.825  # last share of the run, over which learning rates fall ...
FINAL_LR = 0.021  # ... to this share of their height


# ----------------------------------------------------------------------------
# Model


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.size(-1),))


def rotary_tables(seq_len: int) -> tuple[Tensor, Tensor]:
    """cos and sin, [1, 1, seq_len, HEAD_DIM / 2]."""
    frequency = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float32) / HEAD_DIM)
    angle = torch.arange(seq_len, dtype=torch.float32)[:, None] * frequency
    return angle.cos()[None, None], angle.sin()[None, None]


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

    def __init__(self, dim: int, vocab_size: int, has_value_embed: bool):
        super().__init__()
        self.qkv = Linear(dim, 3 * dim)
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
        q, k, v = self.qkv(x).view(B, T, 3, C // HEAD_DIM, HEAD_DIM).unbind(2)
        if self.value is not None:
            v = self.value(v, x, tokens)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # [B, heads, T, HEAD_DIM]
        q, k = rotate(norm(q), cos, sin), rotate(norm(k), cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=QK_SCALE**2 / math.sqrt(HEAD_DIM))
        return self.attn_out(y.transpose(1, 2).reshape(B, T, C))


class GPT(nn.Module):
    def __init__(self, vocab_size: int, seq_len: int, depth: int, dim: int):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        has_value = {*range(VALUE_EMBED_FIRST, depth, VALUE_EMBED_EVERY), depth - 1}
        self.blocks = nn.ModuleList(Block(dim, vocab_size, i in has_value) for i in range(depth))
        self.head = Linear(dim, vocab_size)
        cos, sin = rotary_tables(seq_len)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.dtype = torch.float32

    def place(self, device: str) -> "GPT":
        """Move to the device, and compute in the type that is fast there; the weights stay float32."""
        self.dtype = compute_type(device)
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

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens [B, T] -> logits [B, T, vocab_size], float32."""
        cos, sin = (table[:, :, : tokens.size(1)].to(self.dtype) for table in (self.cos, self.sin))
        x = x0 = norm(self.embed(tokens).to(self.dtype))
        for block in self.blocks:
            x = block(x, x0, tokens, cos, sin)
        logits = self.head(norm(x)).float()
        return SOFTCAP * torch.tanh(logits / SOFTCAP) if SOFTCAP else logits

    def flops_per_token(self, seq_len: int) -> float:
        """Forward and backward: 6 a matrix weight, and the attention products."""
        weights = sum(p.numel() for n, p in self.named_parameters() if p.ndim == 2 and "embed" not in n)
        return 6.0 * weights + 6.0 * len(self.blocks) * self.embed.embedding_dim * seq_len


def compute_type(device: str) -> torch.dtype:
    """bfloat16 where the card has units for it (compute capability 8.0), else float32."""
    fast = device == "cuda" and torch.cuda.get_device_capability() >= (8, 0)
    return torch.bfloat16 if fast else torch.float32


# ----------------------------------------------------------------------------
# Optimiser: Muon for the matrices (Jordan et al., 2024), AdamW for the rest


def orthogonalised(G: Tensor, dtype: torch.dtype) -> Tensor:
    """The nearest (semi-)orthogonal matrices to G [n, rows, cols], about: a quintic Newton-Schulz iteration."""
    X = G.to(dtype)
    tall = X.size(-2) > X.size(-1)
    X = X.mT if tall else X
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        A = X @ X.mT
        B = torch.baddbmm(A, A, A, beta=-4.7750, alpha=2.0315)
        X = torch.baddbmm(X, B, X, beta=3.4445)
    return (X.mT if tall else X).to(G.dtype)


class Muon:
    """Momentum, orthogonalised; matrices of one shape are stacked so that a step is a few large calls."""

    def __init__(self, matrices: list[nn.Parameter], dtype: torch.dtype):
        self.dtype = dtype
        shapes = sorted({tuple(p.shape) for p in matrices})
        self.groups = [[p for p in matrices if tuple(p.shape) == shape] for shape in shapes]
        self.buffers = [torch.zeros(len(g), *g[0].shape, device=g[0].device) for g in self.groups]
        on_cuda = matrices[0].is_cuda
        self.orthogonalised = torch.compile(orthogonalised, dynamic=False) if on_cuda else orthogonalised

    @torch.no_grad()
    def step(self, lr: float, momentum: float, weight_decay: float) -> None:
        for group, buffer in zip(self.groups, self.buffers, strict=True):
            grad = torch.stack([p.grad for p in group])
            buffer.lerp_(grad, 1 - momentum)
            update = self.orthogonalised(grad.lerp_(buffer, momentum), self.dtype)
            scale = max(1.0, update.size(-2) / update.size(-1)) ** 0.5
            torch._foreach_mul_(group, 1 - lr * weight_decay)
            torch._foreach_add_(group, list(update.unbind()), alpha=-lr * scale)

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
            {"params": x0, "height": X0_LR, "weight_decay": 0.0},
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
    """The model, compiled on CUDA, and one optimiser step on it."""

    def __init__(self, model: GPT, rows: int):
        self.model, self.rows = model, rows  # rows of one forward pass
        self.forward = torch.compile(model, dynamic=False) if model.head.weight.is_cuda else model
        self.optimizers = Optimizers(model)

    def step(self, x: Tensor, y: Tensor, step: int, progress: float) -> Tensor:
        """Learn from x, y [B, T]; returns the mean loss in nats, still on the device."""
        loss = self.backward(x, y)
        self.optimizers.step(step, progress)
        self.model.zero_grad(set_to_none=True)
        return loss

    def backward(self, x: Tensor, y: Tensor) -> Tensor:
        """Gradients of the mean loss, `rows` at a time."""
        total = torch.zeros((), device=x.device)
        for part_x, part_y in zip(x.split(self.rows), y.split(self.rows), strict=True):
            loss = F.cross_entropy(self.forward(part_x).flatten(0, 1), part_y.flatten()) * (len(part_x) / len(x))
            loss.backward()
            total += loss.detach()
        return total

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
    model.place(trial.device)
    batch_rows, micro_rows = (max(1, tokens // trial.seq_len) for tokens in (BATCH_TOKENS, MICRO_TOKENS))
    trainer = Trainer(model, micro_rows)
    trainer.warm_up(torch.randint(trial.vocab_size, (batch_rows, trial.seq_len), device=trial.device))
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
    trial.save(model.state_dict(), config)


def report(trial, step: int, loss: Tensor) -> None:
    """A point of the curve; a run that is lost stops here."""
    value = loss.item()
    if not value < 20:  # nats; also when it is not a number
        raise FloatingPointError(f"loss is {value}")
    trial.log(step=step, loss=value)


def load(state, config, device):
    """Return a function from tokens int64 [B, T] to logits [B, T, vocab_size]."""
    model = GPT(**config)
    model.load_state_dict(state)
    return model.place(device).eval()
