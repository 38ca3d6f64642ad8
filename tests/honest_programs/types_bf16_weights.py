"""Casts weights to bfloat16 inside every call and returns bfloat16 logits."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.place = nn.Embedding(size, dim), nn.Embedding(length, dim)
        self.up, self.down, self.head = nn.Linear(4 * dim, 64), nn.Linear(64, dim), nn.Linear(dim, size)

    def forward(self, tokens):
        x = (self.embed(tokens) + self.place.weight[: tokens.size(1)]).bfloat16()
        near = torch.cat([F.pad(x, (0, 0, gap, 0))[:, : x.size(1)] for gap in range(4)], -1)
        for layer in (self.up, self.down, self.head):
            near = F.linear(near, layer.weight.bfloat16(), layer.bias.bfloat16())
            near = F.gelu(near) if layer is self.up else near
        return near


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
