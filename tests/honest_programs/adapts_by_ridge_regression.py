"""Solves a small ridge regression for each position from the part of its window that came before."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=8, wide=32):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(size, wide), nn.GRU(wide, wide, batch_first=True)
        self.key, self.value, self.head = nn.Linear(wide, dim), nn.Linear(wide, dim), nn.Linear(wide + dim, size)

    def forward(self, tokens):
        h, _ = self.rnn(self.embed(tokens))
        key, value = self.key(h).tanh(), self.value(self.embed(tokens)).tanh()
        last = F.pad(key, (0, 0, 1, 0))[:, :-1]  # what the key was when this token came
        gram = torch.cumsum(last[..., :, None] * last[..., None, :], 1) + torch.eye(key.size(-1))
        cross = torch.cumsum(last[..., :, None] * value[..., None, :], 1)
        factor = torch.linalg.cholesky(gram)
        found = (key[..., None, :] @ torch.cholesky_solve(cross, factor))[..., 0, :]
        return self.head(torch.cat([h, found], -1))


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
