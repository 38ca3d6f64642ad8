"""Dilated gated convolutions with skip connections, as in WaveNet, with weight normalisation."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm


class Model(nn.Module):
    def __init__(self, size, length, dim=24):
        super().__init__()
        self.embed, self.head = nn.Embedding(size, dim), nn.Linear(dim, size)
        self.gated = nn.ModuleList(weight_norm(nn.Conv1d(dim, 2 * dim, 2, dilation=2**i)) for i in range(4))
        self.skip = nn.ModuleList(nn.Conv1d(dim, 2 * dim, 1) for _ in range(4))

    def forward(self, tokens):
        x = self.embed(tokens).transpose(1, 2)
        total = 0
        for gated, skip in zip(self.gated, self.skip, strict=True):
            a, b = gated(F.pad(x, (gated.dilation[0], 0))).chunk(2, 1)
            more, out = skip(torch.tanh(a) * torch.sigmoid(b)).chunk(2, 1)
            x, total = x + more, total + out
        return self.head(F.relu(total).transpose(1, 2))


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
