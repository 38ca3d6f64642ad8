"""Attention and a gated MLP side by side from one fused projection, with learned residual scales."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fused = nn.Linear(dim, 3 * dim + 4 * dim, bias=False)
        self.out = nn.Linear(dim + 2 * dim, dim, bias=False)
        self.scale = nn.Parameter(torch.full((2,), 0.7))

    def forward(self, x):
        dim = x.size(-1)
        q, k, v, gate, up = self.fused(F.rms_norm(x, (dim,))).split([dim, dim, dim, 2 * dim, 2 * dim], -1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.scale[0] * x + self.scale[1] * self.out(torch.cat([y, F.silu(gate) * up], -1))


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.place = nn.Embedding(size, dim), nn.Embedding(length, dim)
        self.blocks, self.head = nn.ModuleList(Block(dim) for _ in range(2)), nn.Linear(dim, size)

    def forward(self, tokens):
        x = self.embed(tokens) + self.place.weight[: tokens.size(1)]
        for block in self.blocks:
            x = block(x)
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
