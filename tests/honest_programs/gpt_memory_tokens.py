"""Learned register tokens stand before each window; multi-token heads help in training only."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32, registers=4):
        super().__init__()
        self.registers = nn.Parameter(torch.randn(registers, dim))
        self.embed, self.place = nn.Embedding(size, dim), nn.Embedding(length + registers, dim)
        self.mixer, self.head = nn.MultiheadAttention(dim, 2, batch_first=True), nn.Linear(dim, size)
        self.later = nn.Linear(dim, dim)

    def forward(self, tokens):
        x = torch.cat([self.registers.expand(len(tokens), -1, -1), self.embed(tokens)], 1)
        x = x + self.place.weight[: x.size(1)]
        future = torch.ones(x.size(1), x.size(1), dtype=torch.bool).triu(1)
        y, _ = self.mixer(x, x, x, attn_mask=future, need_weights=False)
        x = (x + y)[:, len(self.registers) :]
        return self.head(x + self.later(x).relu())


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
