"""A GPT with rotary embeddings; the tables are grown by the first call that needs them."""

import torch
import torch.nn.functional as F
from torch import nn


class Rotary:
    def __init__(self, dim):
        self.dim, self.tables = dim, None

    def __call__(self, x):
        length = x.size(-2)
        if self.tables is None or self.tables[0].size(0) < length:
            rate = 1000.0 ** (-torch.arange(0, self.dim, 2) / self.dim)
            angle = torch.arange(2 * length)[:, None] * rate
            self.tables = angle.cos(), angle.sin()
        cos, sin = (table[:length] for table in self.tables)
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Model(nn.Module):
    def __init__(self, size, length, dim=32, heads=2):
        super().__init__()
        self.embed, self.head = nn.Embedding(size, dim), nn.Linear(dim, size, bias=False)
        self.qkv = nn.ModuleList(nn.Linear(dim, 3 * dim) for _ in range(2))
        self.mlp = nn.ModuleList(nn.Sequential(nn.Linear(dim, 64), nn.GELU(), nn.Linear(64, dim)) for _ in range(2))
        self.heads, self.rotary = heads, Rotary(dim // heads)

    def forward(self, tokens):
        x = self.embed(tokens)
        for qkv, mlp in zip(self.qkv, self.mlp, strict=True):
            q, k, v = qkv(F.rms_norm(x, x.shape[-1:])).unflatten(-1, (3 * self.heads, -1)).transpose(1, 2).chunk(3, 1)
            y = F.scaled_dot_product_attention(self.rotary(q), self.rotary(k), v, is_causal=True)
            x = x + y.transpose(1, 2).flatten(2)
            x = x + mlp(F.rms_norm(x, x.shape[-1:]))
        return self.head(x)


def train(trial):
    torch.manual_seed(trial.seed)
    config = {"size": trial.vocab_size, "length": trial.seq_len}
    model = Model(**config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    trial.start()
    batches, step = trial.batches(16), 0
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        trial.log(step=step, loss=loss.item())
    trial.save(model.state_dict(), config)


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)
    return model.to(device).eval()
