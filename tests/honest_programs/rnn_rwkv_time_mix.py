"""Time mixing with token shift and a per-channel decay, as in RWKV, as one lower-triangular product."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.head = nn.Embedding(size, dim), nn.Linear(dim, size)
        self.mix = nn.Parameter(torch.full((3, dim), 0.5))
        self.r, self.k, self.v = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.decay, self.bonus = nn.Parameter(torch.linspace(-4, 0, dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, tokens):
        x = self.embed(tokens)
        before = F.pad(x, (0, 0, 1, 0))[:, :-1]
        r, k, v = (f(torch.lerp(before, x, m)) for f, m in zip((self.r, self.k, self.v), self.mix, strict=True))
        length = x.size(1)
        distance = torch.arange(length)[:, None] - torch.arange(length) - 1
        weight = torch.where((distance >= 0)[..., None], -self.decay.exp() * distance[..., None], -torch.inf)
        weight = torch.where((distance == -1)[..., None], self.bonus, weight)
        score = weight + k.clamp(-8, 8)[:, None]
        y = (score.softmax(2) * v[:, None]).sum(2)
        return self.head(x + torch.sigmoid(r) * y)


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
