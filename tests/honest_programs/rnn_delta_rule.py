"""Fast weights by the delta rule: each row writes its own memory while it is read."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=24):
        super().__init__()
        self.embed, self.head = nn.Embedding(size, dim), nn.Linear(dim, size)
        self.qkv, self.rate = nn.Linear(dim, 3 * dim), nn.Linear(dim, 1)

    def forward(self, tokens):
        x = self.embed(tokens)
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k, rate = F.normalize(q, dim=-1), F.normalize(k, dim=-1), torch.sigmoid(self.rate(x))
        memory, out = x.new_zeros(len(x), x.size(-1), x.size(-1)), []
        for t in range(x.size(1)):
            error = v[:, t] - torch.einsum("bij,bj->bi", memory, k[:, t])
            memory = memory + rate[:, t, :, None] * error[:, :, None] * k[:, t, None]
            out.append(torch.einsum("bij,bj->bi", memory, q[:, t]))
        return self.head(x + torch.stack(out, 1))


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
