"""Linear attention in chunks: a running state between chunks, a masked product within them."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32, chunk=8):
        super().__init__()
        self.embed, self.head, self.chunk = nn.Embedding(size, dim), nn.Linear(dim, size), chunk
        self.qkv = nn.Linear(dim, 3 * dim)

    def forward(self, tokens):
        x = self.embed(tokens)
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        state, norm, out = x.new_zeros(len(x), x.size(-1), x.size(-1)), x.new_zeros(len(x), 1, x.size(-1)), []
        for a, b, c in zip(q.split(self.chunk, 1), k.split(self.chunk, 1), v.split(self.chunk, 1), strict=True):
            inner = (a @ b.mT).tril()
            top = a @ state + inner @ c
            bottom = (a * norm).sum(-1, keepdim=True) + inner.sum(-1, keepdim=True)
            out.append(top / bottom)
            state, norm = state + b.mT @ c, norm + b.sum(1, keepdim=True)
        return self.head(x + torch.cat(out, 1))


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
