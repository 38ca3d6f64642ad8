"""Keys and values come from a narrow latent; heads are absorbed into one einsum by opt_einsum's path."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32, latent=8, heads=4):
        super().__init__()
        self.embed, self.place, self.head = nn.Embedding(size, dim), nn.Embedding(length, dim), nn.Linear(dim, size)
        self.down = nn.Linear(dim, latent, bias=False)
        self.q = nn.Parameter(torch.randn(heads, dim, latent) * dim**-0.5)
        self.v = nn.Parameter(torch.randn(heads, latent, dim) * latent**-0.5 / heads)

    def forward(self, tokens):
        x = self.embed(tokens) + self.place.weight[: tokens.size(1)]
        c = self.down(F.rms_norm(x, x.shape[-1:]))
        score = torch.einsum("btd,hdl,bsl->bhts", x, self.q, c)
        future = torch.ones(score.shape[-2:], dtype=torch.bool).triu(1)
        weight = score.masked_fill(future, -torch.inf).softmax(-1)
        return self.head(x + torch.einsum("bhts,bsl,hld->btd", weight, c, self.v))


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
