"""A long convolution over the whole window by complex FFTs."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.head = nn.Embedding(size, dim), nn.Linear(dim, size)
        decay = torch.exp(-torch.arange(length)[:, None] * torch.logspace(-2, 0.5, dim))
        self.kernel = nn.Parameter(decay * torch.randn(length, dim))
        self.gate = nn.Linear(dim, dim)

    def forward(self, tokens):
        x, length = self.embed(tokens), tokens.size(1)
        spectrum = torch.fft.rfft(x, 2 * length, dim=1) * torch.fft.rfft(self.kernel[:length], 2 * length, dim=0)
        y = torch.fft.irfft(spectrum, 2 * length, dim=1)[:, :length]
        return self.head(x + y * torch.sigmoid(self.gate(x)))


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
