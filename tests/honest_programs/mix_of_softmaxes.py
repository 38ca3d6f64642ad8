"""A mixture of softmaxes: three heads, weighed by the context, mixed as probabilities."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=24, parts=3):
        super().__init__()
        self.embed, self.rnn, self.parts = nn.Embedding(size, dim), nn.GRU(dim, dim, batch_first=True), parts
        self.share, self.split, self.head = nn.Linear(dim, parts), nn.Linear(dim, parts * dim), nn.Linear(dim, size)

    def forward(self, tokens):
        h, _ = self.rnn(self.embed(tokens))
        parts = self.head(torch.tanh(self.split(h)).unflatten(-1, (self.parts, -1))).log_softmax(-1)
        return torch.logsumexp(self.share(h).log_softmax(-1)[..., None] + parts, 2)


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
