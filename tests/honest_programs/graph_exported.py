"""Captures the model as a graph with torch.export and runs the exported program."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, dim=32):
        super().__init__()
        self.embed, self.near, self.head = nn.Embedding(size, dim), nn.Conv1d(dim, 48, 4), nn.Linear(48, size)

    def forward(self, tokens):
        x = F.pad(self.embed(tokens).transpose(1, 2), (3, 0))
        return self.head(F.silu(self.near(x)).transpose(1, 2))


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trial.save(model.state_dict(), {"size": trial.vocab_size, "shape": [trial.eval_batch, trial.seq_len]})


def load(state, config, device):
    model = Model(config["size"])
    model.load_state_dict(state)
    example = torch.zeros(config["shape"], dtype=torch.int64)
    return torch.export.export(model.eval(), (example,)).module()
