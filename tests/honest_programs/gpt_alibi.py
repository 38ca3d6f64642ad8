"""Attention with linear biases; the bias matrix is built in each call."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32, heads=4):
        super().__init__()
        self.embed, self.head, self.heads = nn.Embedding(size, dim), nn.Linear(dim, size), heads
        self.layers = nn.ModuleList(nn.ModuleList([nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)]) for _ in range(2))

    def bias(self, length):
        slopes = 2.0 ** -torch.arange(1, self.heads + 1)
        distance = torch.arange(length) - torch.arange(length)[:, None]
        return (slopes[:, None, None] * distance).masked_fill(distance > 0, -torch.inf)

    def forward(self, tokens):
        x, bias = self.embed(tokens), self.bias(tokens.size(1))
        for qkv, out in self.layers:
            q, k, v = qkv(F.layer_norm(x, x.shape[-1:])).unflatten(-1, (3, self.heads, -1)).unbind(2)
            weight = torch.einsum("bthd,bshd->bhts", q, k) / q.size(-1) ** 0.5 + bias
            x = x + out(torch.einsum("bhts,bshd->bthd", weight.softmax(-1), v).flatten(2))
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
