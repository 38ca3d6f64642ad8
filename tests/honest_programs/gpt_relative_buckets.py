"""Relative position biases in logarithmic buckets, as in T5, registered as a buffer by the first call."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def bucket(distance, count=8):
    near = distance < count // 2
    far = count // 2 + (distance.clamp_min(1).float().log() / math.log(64) * count).long() // 2
    return torch.where(near, distance, far.clamp_max(count - 1))


class Model(nn.Module):
    def __init__(self, size, length, dim=32, heads=2):
        super().__init__()
        self.embed, self.head, self.bias = nn.Embedding(size, dim), nn.Linear(dim, size), nn.Embedding(8, heads)
        self.qkv, self.heads = nn.Linear(dim, 3 * dim), heads

    def forward(self, tokens):
        if not hasattr(self, "distance"):
            distance = torch.arange(tokens.size(1))[:, None] - torch.arange(tokens.size(1))
            self.register_buffer("distance", distance, persistent=False)
        bias = self.bias(bucket(self.distance.clamp_min(0))).permute(2, 0, 1)
        bias = bias.masked_fill(self.distance < 0, -torch.inf)
        x = self.embed(tokens)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        return self.head(x + y.transpose(1, 2).flatten(2))


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
