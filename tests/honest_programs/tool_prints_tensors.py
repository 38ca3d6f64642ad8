"""Prints tensors, warns and sends torch's own warnings in every call."""

import warnings

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=24):
        super().__init__()
        self.embed, self.rnn, self.head = (
            nn.Embedding(size, dim),
            nn.GRU(dim, dim, batch_first=True),
            nn.Linear(dim, size),
        )
        self.calls = 0

    def forward(self, tokens):
        h, _ = self.rnn(self.embed(tokens))
        self.calls += 1
        if not self.training:
            print("hidden:", h[0, 0, :4], "norm", round(h.norm().item(), 3))
            warnings.warn(f"call {self.calls}", UserWarning, stacklevel=1)
            torch.searchsorted(torch.arange(5), h[0, :, 0].long().unsqueeze(1).T)  # not contiguous: torch warns once
        return self.head(h)


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
