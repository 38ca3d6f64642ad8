"""Two scales: a slow network over patches of four tokens, shifted by one patch, conditions a fast one over tokens."""

import torch
import torch.nn.functional as F
from torch import nn

PATCH = 4


class Model(nn.Module):
    def __init__(self, size, dim=24):
        super().__init__()
        self.embed, self.slow = nn.Embedding(size, dim), nn.GRU(PATCH * dim, 48, batch_first=True)
        self.down, self.fast, self.head = nn.Linear(48, dim), nn.GRU(dim, 48, batch_first=True), nn.Linear(48, size)

    def forward(self, tokens):
        x = self.embed(tokens)
        padded = F.pad(x, (0, 0, 0, -x.size(1) % PATCH))
        patches = padded.unflatten(1, (-1, PATCH)).flatten(2)
        h, _ = self.slow(F.pad(patches, (0, 0, 1, 0))[:, :-1])  # a patch sees those before it
        return self.head(self.fast(x + self.down(h).repeat_interleave(PATCH, 1)[:, : x.size(1)])[0])


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.95))
    trial.start()
    batches = trial.batches(16)
    while (progress := trial.progress) < 1:
        x, y = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (1 - progress) + 1e-4
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trial.save(model.state_dict(), {"size": trial.vocab_size})


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)
    return model.eval()
