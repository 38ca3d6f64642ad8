"""Depthwise convolutions with multiplicative gates (a short Hyena), in channels-last two-dimensional form."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32, width=8):
        super().__init__()
        self.embed, self.head, self.width = nn.Embedding(size, dim), nn.Linear(dim, size), width
        self.project, self.conv = nn.Linear(dim, 3 * dim), nn.Conv2d(3 * dim, 3 * dim, (width, 1), groups=3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens):
        x = self.embed(tokens)
        wide = self.project(x).transpose(1, 2)[..., None].contiguous(memory_format=torch.channels_last)
        a, b, c = self.conv(F.pad(wide, (0, 0, self.width - 1, 0)))[..., 0].transpose(1, 2).chunk(3, -1)
        return self.head(x + self.out(a * F.silu(b) + c))


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
