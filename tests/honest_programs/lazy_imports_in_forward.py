"""Imports what it needs inside its functions, at the first call."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.rnn, self.head = (
            nn.Embedding(size, dim),
            nn.GRU(dim, dim, batch_first=True),
            nn.Linear(dim, size),
        )

    def forward(self, tokens):
        import colorsys
        import fractions
        import math
        from collections import OrderedDict
        from statistics import NormalDist

        from torch.nn import functional

        parts = OrderedDict(hidden=self.rnn(self.embed(tokens))[0])
        scale = (
            float(fractions.Fraction(9, 10)) * math.sqrt(1.2) * NormalDist().cdf(1.5) + colorsys.rgb_to_hls(0, 0, 0)[0]
        )
        return self.head(functional.layer_norm(parts["hidden"], parts["hidden"].shape[-1:]) * scale)


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
