"""Takes gradient steps inside the forward pass: each row adapts a bias to its own earlier chunks only."""

import torch
import torch.nn.functional as F
from torch import nn

CHUNK, RATE = 8, 0.3


class Model(nn.Module):
    def __init__(self, size, dim=32):
        super().__init__()
        self.embed, self.rnn, self.head = (
            nn.Embedding(size, dim),
            nn.GRU(dim, dim, batch_first=True),
            nn.Linear(dim, size),
        )

    def forward(self, tokens):
        return self.head(self.rnn(self.embed(tokens))[0])


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trial.save(model.state_dict(), {"size": trial.vocab_size})


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)

    def adapted(tokens):
        with torch.inference_mode(False), torch.enable_grad():
            tokens = tokens.clone()
            logits = model(tokens).detach()
            bias = torch.zeros(len(tokens), 1, config["size"], requires_grad=True)
            out = []
            for first in range(0, tokens.size(1), CHUNK):
                part = logits[:, first : first + CHUNK] + bias
                out.append(part.detach())
                if part.size(1) > 1:
                    known = tokens[:, first + 1 : first + CHUNK]
                    loss = F.cross_entropy(part[:, : known.size(1)].flatten(0, 1), known.flatten(), reduction="sum")
                    (slope,) = torch.autograd.grad(loss, bias)
                    bias = (bias - RATE * slope).detach().requires_grad_()
            return torch.cat(out, 1)

    return adapted
