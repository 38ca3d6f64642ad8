"""A small GPT, trained from scratch until the bell. This is the one file that research may change.

`autoresearch trial train.py` runs it. `train(trial)` gets its data, its clock and its seed from the trial;
`load(state, config, device)` rebuilds the model later, in another process, to be scored.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ----------------------------------------------------------------------------
# Constants (chosen for 15 CPU-seconds on one core)

# model
DEPTH = 2  # transformer blocks
MODEL_DIM = 64  # channels of the residual stream
HEAD_DIM = 32  # channels of one attention head
MLP_RATIO = 4  # hidden channels of the MLP / MODEL_DIM
ROPE_BASE = 10000.0  # longest wavelength of the rotary embedding, about, in tokens
SOFTCAP = 15.0  # logits are squashed smoothly to +- this
QK_SCALE = 1.15  # queries and keys are multiplied by this after their norm
VALUE_EMBED_EVERY = 2  # every such block, counted from the last, has a value embedding

# optimisation
BATCH_TOKENS = 1024  # tokens per optimiser step
MATRIX_LR = 0.04  # Muon: matrices of the blocks
EMBED_LR = 0.2  # AdamW: token and value embeddings
HEAD_LR = 0.02  # AdamW: the output head
SCALAR_LR = 0.02  # AdamW: one number a block
MATRIX_WEIGHT_DECAY = 0.05  # of the matrices, times the learning rate
ADAM_BETA1 = 0.8
ADAM_BETA2 = 0.95
MUON_MOMENTUM_START = 0.85  # momentum at step 0 ...
MUON_MOMENTUM_END = 0.95  # ... and after MUON_MOMENTUM_STEPS
MUON_MOMENTUM_STEPS = 100
NEWTON_SCHULZ_STEPS = 5  # iterations that make an update nearly orthogonal
WARMDOWN = 0.6  # last share of the run, over which learning rates fall ...
FINAL_LR = 0.03  # ... to this share of their height

LOG_EVERY = 10  # steps between two points of the curve


# ----------------------------------------------------------------------------
# Model


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.size(-1),))


def rotary_tables(seq_len: int, device: str) -> tuple[Tensor, Tensor]:
    """cos and sin, [1, 1, seq_len, HEAD_DIM / 2]."""
    frequency = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float32, device=device) / HEAD_DIM)
    angle = torch.arange(seq_len, dtype=torch.float32, device=device)[:, None] * frequency
    return angle.cos()[None, None], angle.sin()[None, None]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos + b * sin, b * cos - a * sin], dim=-1)


class Block(nn.Module):
    """Causal attention with normed queries and keys, then a relu^2 MLP."""

    def __init__(self, dim: int, vocab_size: int, has_value_embed: bool):
        super().__init__()
        self.heads = dim // HEAD_DIM
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.attn_out = nn.Linear(dim, dim, bias=False)
        self.mlp_in = nn.Linear(dim, MLP_RATIO * dim, bias=False)
        self.mlp_out = nn.Linear(MLP_RATIO * dim, dim, bias=False)
        self.value_embed = nn.Embedding(vocab_size, dim) if has_value_embed else None
        self.residual = nn.Parameter(torch.tensor([1.0, 0.1]))  # how much of the stream, of the embedding

    def forward(self, x: Tensor, x0: Tensor, tokens: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        B, T, C = x.shape
        x = self.residual[0] * x + self.residual[1] * x0
        q, k, v = self.qkv(norm(x)).chunk(3, dim=-1)
        if self.value_embed is not None:
            v = v + self.value_embed(tokens)
        q, k, v = (z.view(B, T, self.heads, HEAD_DIM).transpose(1, 2) for z in (q, k, v))
        q = QK_SCALE * rotate(norm(q), cos, sin)
        k = QK_SCALE * rotate(norm(k), cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_out(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp_out(F.relu(self.mlp_in(norm(x))).square())


class GPT(nn.Module):
    def __init__(self, vocab_size: int, seq_len: int, depth: int, dim: int):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        from_last = [(depth - 1 - i) % VALUE_EMBED_EVERY == 0 for i in range(depth)]
        self.blocks = nn.ModuleList(Block(dim, vocab_size, has) for has in from_last)
        self.head = nn.Linear(dim, vocab_size, bias=False)
        cos, sin = rotary_tables(seq_len, "cpu")
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    @torch.no_grad()
    def reset(self) -> None:
        """Initial weights: uniform matrices, outputs of the branches and of the model at zero."""
        for name, p in self.named_parameters():
            if name.endswith(("attn_out.weight", "mlp_out.weight", "head.weight")):
                p.zero_()
            elif "embed" in name:
                p.normal_() if name.startswith("embed") else p.zero_()
            elif p.ndim == 2:
                bound = (3 / p.size(1)) ** 0.5
                p.uniform_(-bound, bound)

    def forward(self, tokens: Tensor) -> Tensor:
        T = tokens.size(1)
        cos, sin = self.cos[:, :, :T], self.sin[:, :, :T]
        x = x0 = norm(self.embed(tokens))
        for block in self.blocks:
            x = block(x, x0, tokens, cos, sin)
        logits = self.head(norm(x)).float()
        return SOFTCAP * torch.tanh(logits / SOFTCAP)


# ----------------------------------------------------------------------------
# Optimiser: Muon for the matrices (Jordan et al., 2024), AdamW for the rest


def orthogonalised(G: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrices to G [n, rows, cols], about: a quintic Newton-Schulz iteration."""
    X = G.bfloat16() if G.is_cuda else G
    tall = X.size(-2) > X.size(-1)
    X = X.mT if tall else X
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        A = X @ X.mT
        X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    return (X.mT if tall else X).to(G.dtype)


class Muon:
    """Momentum, orthogonalised; matrices of one shape are stacked so that a step is a few large calls."""

    def __init__(self, matrices: list[nn.Parameter]):
        shapes = sorted({tuple(p.shape) for p in matrices})
        self.groups = [[p for p in matrices if tuple(p.shape) == shape] for shape in shapes]
        self.buffers = [torch.zeros(len(g), *g[0].shape, device=g[0].device) for g in self.groups]

    @torch.no_grad()
    def step(self, lr: float, momentum: float) -> None:
        for group, buffer in zip(self.groups, self.buffers, strict=True):
            grad = torch.stack([p.grad for p in group])
            buffer.lerp_(grad, 1 - momentum)
            update = orthogonalised(grad.lerp(buffer, momentum))
            scale = max(1.0, update.size(-2) / update.size(-1)) ** 0.5
            for p, u in zip(group, update.unbind(), strict=True):
                p.mul_(1 - lr * MATRIX_WEIGHT_DECAY).add_(u, alpha=-lr * scale)


def make_optimizers(model: GPT) -> tuple[Muon, torch.optim.AdamW]:
    named = list(model.named_parameters())
    matrices = [p for n, p in named if p.ndim == 2 and "embed" not in n and "head" not in n]
    groups = [
        {"params": [p for n, p in named if "embed" in n], "lr": EMBED_LR},
        {"params": [p for n, p in named if "head" in n], "lr": HEAD_LR},
        {"params": [p for n, p in named if p.ndim < 2], "lr": SCALAR_LR},
    ]
    for group in groups:
        group["height"] = group["lr"]
    return Muon(matrices), torch.optim.AdamW(groups, betas=(ADAM_BETA1, ADAM_BETA2), eps=1e-10, weight_decay=0.0)


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


def loss_of(model: GPT, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


def train(trial):
    """Build the model, warm up on random tokens, then trial.start(): the data arrives and the clock runs."""
    torch.manual_seed(trial.seed)
    model = GPT(trial.vocab_size, trial.seq_len, DEPTH, MODEL_DIM).to(trial.device)
    model.reset()
    batch_size = max(1, BATCH_TOKENS // trial.seq_len)
    noise = torch.randint(trial.vocab_size, (batch_size, trial.seq_len), device=trial.device)
    loss_of(model, noise, noise).backward()  # warm-up: no step is taken, so nothing is learned off the clock
    model.zero_grad(set_to_none=True)
    muon, adamw = make_optimizers(model)
    params = sum(p.numel() for p in model.parameters())
    trial.log(num_params=params, tokens_per_step=batch_size * trial.seq_len)

    trial.start()
    batches = trial.batches(batch_size)
    step = 0
    while (progress := trial.progress) < 1:
        x, y = next(batches)
        loss = loss_of(model, x, y)
        loss.backward()
        scale = lr_scale(progress)
        for group in adamw.param_groups:
            group["lr"] = group["height"] * scale
        adamw.step()
        muon.step(MATRIX_LR * scale, muon_momentum(step))
        model.zero_grad(set_to_none=True)
        step += 1
        if step % LOG_EVERY == 0:
            value = loss.item()
            if value != value:
                raise FloatingPointError("loss is nan")
            trial.log(step=step, loss=value)

    trial.log(step=step, loss=loss.item())
    config = {"vocab_size": trial.vocab_size, "seq_len": trial.seq_len, "depth": DEPTH, "dim": MODEL_DIM}
    trial.save(model.state_dict(), config)


def load(state, config, device):
    """Return a function from tokens int64 [B, T] to logits [B, T, vocab_size]."""
    model = GPT(**config)
    model.load_state_dict(state)
    return model.to(device).eval()
