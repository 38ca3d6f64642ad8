"""Compiles a single function, in evaluation only, with fullgraph and in inference mode."""

import torch
import torch.nn.functional as F
from torch import nn


def scan(x, decay):
    h, out = torch.zeros_like(x[:, 0]), []
    for t in range(x.size(1)):
        h = h * decay + x[:, t]
        out.append(h)
    return torch.stack(out, 1)


class Model(nn.Module):
    def __init__(self, size, dim=32):
        super().__init__()
        self.embed, self.head, self.decay = (
            nn.Embedding(size, dim),
            nn.Linear(dim, size),
            nn.Parameter(torch.zeros(dim)),
        )
        self.scan = scan

    def forward(self, tokens):
        return self.head(self.scan(self.embed(tokens), torch.sigmoid(self.decay)).tanh())


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
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
    model = Model(**config)
    model.load_state_dict(state)
    model.scan = torch.compile(scan, fullgraph=True, mode="max-autotune-no-cudagraphs")
    return model.eval()
