"""Trains with a Muon of its own (Newton-Schulz in bfloat16), without torch's optimisers."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, dim=32):
        super().__init__()
        self.embed, self.near, self.head = nn.Embedding(size, dim), nn.Linear(3 * dim, 64), nn.Linear(64, size)

    def forward(self, tokens):
        x = self.embed(tokens)
        return self.head(F.relu(self.near(torch.cat([F.pad(x, (0, 0, g, 0))[:, : x.size(1)] for g in range(3)], -1))))


def orthogonal(slope):
    x = slope.bfloat16() / (slope.norm() + 1e-7)
    x = x.T if len(slope) > slope.size(1) else x
    for _ in range(4):
        gram = x @ x.T
        x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
    return (x.T if len(slope) > slope.size(1) else x).float()


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    momentum = {p: torch.zeros_like(p) for p in model.parameters()}
    trial.start()
    batches = trial.batches(16)
    while (progress := trial.progress) < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        slopes = torch.autograd.grad(loss, list(momentum))
        with torch.no_grad():
            for (p, buffer), slope in zip(momentum.items(), slopes, strict=True):
                buffer.lerp_(slope, 0.1)
                step = orthogonal(buffer) if p is model.near.weight else buffer / (buffer.norm() + 1e-7) * len(p) ** 0.5
                p -= 0.1 * (1 - progress) * step
    trial.save(model.state_dict(), {"size": trial.vocab_size})


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)
    return model.eval()
