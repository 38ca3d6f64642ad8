"""A recurrent network of complex rotations; the readout sees real and imaginary parts."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=24):
        super().__init__()
        self.real, self.imag = nn.Embedding(size, dim), nn.Embedding(size, dim)
        self.angle, self.size = nn.Parameter(torch.rand(dim) * 3), nn.Parameter(torch.full((dim,), 2.0))
        self.head = nn.Linear(2 * dim, size)

    def forward(self, tokens):
        x = torch.complex(self.real(tokens), self.imag(tokens))
        turn = torch.polar(torch.sigmoid(self.size), self.angle)
        h, out = torch.zeros_like(x[:, 0]), []
        for t in range(x.size(1)):
            h = turn * h + x[:, t]
            out.append(h)
        return self.head(torch.view_as_real(torch.stack(out, 1)).flatten(-2))


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
