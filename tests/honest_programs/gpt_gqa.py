"""Grouped-query attention: four query heads share one pair of keys and values."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32, heads=4):
        super().__init__()
        self.heads, self.width = heads, dim // heads
        self.embed, self.place = nn.Embedding(size, dim), nn.Embedding(length, dim)
        self.q, self.kv, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * self.width), nn.Linear(dim, dim)
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, size)

    def forward(self, tokens):
        x = self.embed(tokens) + self.place.weight[: tokens.size(1)]
        q = self.q(self.norm(x)).unflatten(-1, (self.heads, self.width)).transpose(1, 2)
        k, v = self.kv(self.norm(x)).unsqueeze(1).chunk(2, -1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.head(x + self.out(y.transpose(1, 2).flatten(2)))


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
