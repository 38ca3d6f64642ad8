"""Differential attention: one softmax map minus another, with a learned factor."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32, heads=2):
        super().__init__()
        self.embed, self.place, self.head = nn.Embedding(size, dim), nn.Embedding(length, dim), nn.Linear(dim, size)
        self.q, self.k, self.v = nn.Linear(dim, 2 * dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.factor, self.heads = nn.Parameter(torch.tensor(0.3)), heads

    def forward(self, tokens):
        x = self.embed(tokens) + self.place.weight[: tokens.size(1)]
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        mask = torch.full((x.size(1), x.size(1)), -torch.inf).triu(1)
        first, second = (
            (a @ b.mT / a.size(-1) ** 0.5 + mask).softmax(-1)
            for a, b in zip(q.chunk(2, -1), k.chunk(2, -1), strict=True)
        )
        y = (first - self.factor * second) @ v
        return self.head(x + F.layer_norm(y, y.shape[-1:]).transpose(1, 2).flatten(2))


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
