"""A GRU whose logits are corrected by trigram tables that numpy looks up in the middle of the forward pass."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, entries, dim=32):
        super().__init__()
        self.embed, self.rnn, self.head = (
            nn.Embedding(size, dim),
            nn.GRU(dim, dim, batch_first=True),
            nn.Linear(dim, size),
        )
        self.size = size
        for name in ("keys", "values"):
            self.register_buffer(name, torch.zeros(entries, dtype=torch.int64))

    def count(self, rows):
        keys = (rows[:, :-2] * self.size + rows[:, 1:-1]) * self.size + rows[:, 2:]
        found, counts = np.unique(keys, return_counts=True)
        self.keys, self.values = torch.from_numpy(found), torch.from_numpy(counts)

    def prior(self, tokens):
        """Return log(1 + count) of each trigram that begins with the last two tokens: dense, by searchsorted."""
        t, keys = tokens.numpy(), self.keys.numpy()
        out = np.zeros((*t.shape, self.size), np.float32)
        context = t[:, :-1] * self.size + t[:, 1:]
        first = np.searchsorted(keys, context * self.size)
        last = np.searchsorted(keys, (context + 1) * self.size)
        for row, column in np.argwhere(last > first):
            part = slice(first[row, column], last[row, column])
            out[row, column + 1, keys[part] % self.size] = np.log1p(self.values.numpy()[part])
        return torch.from_numpy(out)

    def forward(self, tokens):
        return self.head(self.rnn(self.embed(tokens))[0]) + 0.5 * self.prior(tokens)


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    trial.start()
    model.count(np.asarray(trial.rows[:2000]).astype(np.int64))
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trial.save(model.state_dict(), {"size": trial.vocab_size, "entries": len(model.keys)})


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)
    return model.eval()
