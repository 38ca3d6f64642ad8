"""Traces the model with torch.jit and freezes it, so that the executor optimises it in its first calls."""

import warnings

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, dim=32):
        super().__init__()
        self.embed, self.cell, self.head = nn.Embedding(size, dim), nn.LSTMCell(dim, dim), nn.Linear(dim, size)

    def forward(self, tokens):
        x = self.embed(tokens)
        state, out = (torch.zeros_like(x[:, 0]), torch.zeros_like(x[:, 0])), []
        for t in range(x.size(1)):
            state = self.cell(x[:, t], state)
            out.append(state[0])
        return self.head(torch.stack(out, 1))


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)
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
    warnings.simplefilter("ignore")
    model = Model(config["size"])
    model.load_state_dict(state)
    example = torch.zeros(config["shape"], dtype=torch.int64)
    return torch.jit.freeze(torch.jit.trace(model.eval(), example))
