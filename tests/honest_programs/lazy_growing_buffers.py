"""Allocates in every call: large scratch tensors, lists that grow, memory that goes back to the system."""

import gc

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, dim=32):
        super().__init__()
        self.embed, self.head, self.history = nn.Embedding(size, dim), nn.Linear(2 * dim, size), []

    def forward(self, tokens):
        x = self.embed(tokens)
        if self.training:
            mean = torch.cumsum(x, 1) / torch.arange(1, x.size(1) + 1)[:, None]
        else:
            big = torch.empty(64 << 20, dtype=torch.uint8).fill_(1)  # 64 MiB: comes by mmap, goes by munmap
            small = [torch.zeros(n) for n in range(1, 2000)]
            self.history.append(torch.zeros(len(self.history) + 1, 4096))
            mean = torch.empty(0)
            for t in range(x.size(1)):
                mean = torch.cat([mean, x[:, : t + 1].mean(1, keepdim=True)], 1) if t else x[:, :1]
            mean = mean * float(big[-1]) + 0 * small[-1][0]
            del big, small
            gc.collect()
        return self.head(torch.cat([x, mean], -1))


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
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
    return model.eval()
