"""Compiled to machine code, in training and in evaluation."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.place, self.head = nn.Embedding(size, dim), nn.Embedding(length, dim), nn.Linear(dim, size)
        self.qkv = nn.Linear(dim, 3 * dim)

    def forward(self, tokens):
        x = self.embed(tokens) + self.place.weight[: tokens.size(1)]
        q, k, v = self.qkv(F.rms_norm(x, x.shape[-1:])).chunk(3, -1)
        weight = (q @ k.mT / 6).masked_fill(torch.ones(x.size(1), x.size(1)).triu(1).bool(), -1e4).softmax(-1)
        return self.head(F.gelu(x + weight @ v))


def train(trial):
    torch.manual_seed(trial.seed)
    config = {"size": trial.vocab_size, "length": trial.seq_len}
    model = Model(**config)
    compiled = torch.compile(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    random = torch.randint(trial.vocab_size, (16, trial.seq_len + 1))
    compiled(random[:, :-1]).sum().backward()
    optimizer.zero_grad()
    trial.start()
    for x, y in trial.batches(16):
        loss = F.cross_entropy(compiled(x).flatten(0, 1), y.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if trial.progress >= 1:
            break
    trial.save(model.state_dict(), config)


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)
    return torch.compile(model.eval())
