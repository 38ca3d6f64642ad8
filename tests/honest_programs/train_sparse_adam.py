"""Sparse gradients for a large hashed table, with SparseAdam beside AdamW, and gradient accumulation."""

import torch
import torch.nn.functional as F
from torch import nn

BUCKETS, ACCUMULATE = 16384, 2


class Model(nn.Module):
    def __init__(self, size, dim=16):
        super().__init__()
        self.table, self.embed = nn.Embedding(BUCKETS, dim, sparse=True), nn.Embedding(size, dim)
        self.up, self.head = nn.Linear(2 * dim, 64), nn.Linear(64, size)

    def forward(self, tokens):
        before = F.pad(tokens, (1, 0))[:, :-1]
        pair = self.table((tokens * 92821 + before * 68917) % BUCKETS)
        return self.head(F.relu(self.up(torch.cat([self.embed(tokens), pair], -1))))


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    dense = [p for name, p in model.named_parameters() if not name.startswith("table")]
    optimizers = torch.optim.AdamW(dense, lr=4e-3), torch.optim.SparseAdam([model.table.weight], lr=1e-2)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        for _ in range(ACCUMULATE):
            x, y = next(batches)
            (F.cross_entropy(model(x).flatten(0, 1), y.flatten()) / ACCUMULATE).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    trial.save(model.state_dict(), {"size": trial.vocab_size})


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)
    return model.eval()
