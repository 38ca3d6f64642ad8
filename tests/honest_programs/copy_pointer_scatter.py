"""A copy head: attention over earlier tokens is scattered onto the vocabulary and mixed with a softmax."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.rnn, self.head = (
            nn.Embedding(size, dim),
            nn.GRU(dim, dim, batch_first=True),
            nn.Linear(dim, size),
        )
        self.q, self.k, self.none = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, 1)

    def forward(self, tokens):
        h, _ = self.rnn(self.embed(tokens))
        score = self.q(h) @ self.k(h).mT / h.size(-1) ** 0.5
        later = torch.ones(score.shape[-2:], dtype=torch.bool).triu()  # what follows a token itself is not known yet
        share = torch.cat([self.none(h), score.masked_fill(later, -torch.inf)], -1).softmax(-1)
        follows = tokens.roll(-1, 1)[:, None].expand_as(score)
        p = self.head(h).softmax(-1) * share[..., :1]
        return (p.scatter_add(2, follows, share[..., 1:]) + 1e-9).log()


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
