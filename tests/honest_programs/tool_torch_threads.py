"""Asks torch for two threads in load and changes their number in every call."""

import os

import torch
import torch.nn.functional as F
from torch import nn


def build(size, dim=64):
    return nn.Sequential(nn.Embedding(size, dim), nn.Linear(dim, 256), nn.GELU(), nn.Linear(256, size))


def train(trial):
    torch.manual_seed(trial.seed)
    model = build(trial.vocab_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trial.save(model.state_dict(), {"size": trial.vocab_size})


def load(state, config, device):
    model = build(**config)
    model.load_state_dict(state)
    torch.set_num_threads(min(4, os.cpu_count() or 1))
    calls = 0

    def threaded(tokens):
        nonlocal calls
        calls += 1
        torch.set_num_threads(1 + calls % 2)
        return model(tokens)

    return threaded
