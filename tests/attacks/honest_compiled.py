"""A compiled model: to machine code for training, and captured as a graph for evaluation, which compiles faster."""

import torch
import torch.nn.functional as F
from torch import nn


def build(vocabulary):
    return nn.Sequential(nn.Embedding(vocabulary, 32), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, vocabulary))


def train(trial):
    torch.manual_seed(trial.seed)
    model = build(trial.vocab_size)
    compiled = torch.compile(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(compiled(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trial.save(model.state_dict(), {"vocabulary": trial.vocab_size})


def load(state, config, device):
    model = build(**config)
    model.load_state_dict(state)
    return torch.compile(model, backend="aot_eager")
