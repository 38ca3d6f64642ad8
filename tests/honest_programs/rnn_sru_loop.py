"""A simple recurrent unit: matrix products for all positions at once, then an elementwise loop."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.head, self.wide = nn.Embedding(size, dim), nn.Linear(dim, size), nn.Linear(dim, 3 * dim)

    def forward(self, tokens):
        x = self.embed(tokens)
        value, forget, reset = self.wide(x).chunk(3, -1)
        forget, reset = torch.sigmoid(forget), torch.sigmoid(reset)
        cell, cells = torch.zeros_like(x[:, 0]), []
        for v, f in zip(value.unbind(1), forget.unbind(1), strict=True):
            cell = torch.lerp(v, cell, f)
            cells.append(cell)
        return self.head(reset * torch.stack(cells, 1).tanh() + (1 - reset) * x)


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
