"""Windows of attention of different lengths; masks live in an lru_cache that the first call fills."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn


@lru_cache(maxsize=8)
def window_mask(length, reach):
    back = torch.arange(length)[:, None] - torch.arange(length)
    return (back >= 0) & (back < reach)


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.reach = (4, 12, length)
        self.embed, self.place, self.head = nn.Embedding(size, dim), nn.Embedding(length, dim), nn.Linear(dim, size)
        self.qkv = nn.ModuleList(nn.Linear(dim, 3 * dim) for _ in self.reach)

    def forward(self, tokens):
        x = self.embed(tokens) + self.place(torch.arange(tokens.size(1)))
        for reach, qkv in zip(self.reach, self.qkv, strict=True):
            q, k, v = qkv(F.rms_norm(x, x.shape[-1:])).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=window_mask(tokens.size(1), reach))
            x = x + y.transpose(1, 2).flatten(2)
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
