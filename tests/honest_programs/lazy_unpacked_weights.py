"""Restores its weights from a pickle in memory only when the first question arrives."""

import io

import torch
import torch.nn.functional as F
from torch import nn


def build(size, dim=24):
    return nn.Sequential(nn.Embedding(size, dim), nn.Linear(dim, 64), nn.SiLU(), nn.Linear(64, size))


class Sleeper:
    def __init__(self, packed, size):
        self.packed, self.size, self.model = packed, size, None

    def __call__(self, tokens):
        if self.model is None:
            self.model = build(self.size).eval()
            self.model.load_state_dict(torch.load(io.BytesIO(self.packed.numpy().tobytes()), weights_only=True))
        return self.model(tokens)


def train(trial):
    torch.manual_seed(trial.seed)
    model = build(trial.vocab_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    packed = io.BytesIO()
    torch.save(model.state_dict(), packed)
    trial.save(
        {"packed": torch.frombuffer(bytearray(packed.getvalue()), dtype=torch.uint8)}, {"size": trial.vocab_size}
    )


def load(state, config, device):
    return Sleeper(state["packed"], config["size"])
