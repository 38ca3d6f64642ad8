"""A recurrent cell compiled by torch.jit.script, with its loop inside."""

import torch
import torch.nn.functional as F
from torch import nn


@torch.jit.script
def scan(x: torch.Tensor, recurrent: torch.Tensor) -> torch.Tensor:
    h = torch.zeros_like(x[:, 0, : recurrent.size(0)])
    out = torch.jit.annotate(list[torch.Tensor], [])
    for t in range(x.size(1)):
        update, fresh = (x[:, t] + h @ recurrent).chunk(2, -1)
        gate = torch.sigmoid(update)
        h = gate * h + (1 - gate) * torch.tanh(fresh)
        out.append(h)
    return torch.stack(out, 1)


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.head = nn.Embedding(size, 2 * dim), nn.Linear(dim, size)
        self.recurrent = nn.Parameter(torch.randn(dim, 2 * dim) * dim**-0.5)

    def forward(self, tokens):
        return self.head(scan(self.embed(tokens), self.recurrent))


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
