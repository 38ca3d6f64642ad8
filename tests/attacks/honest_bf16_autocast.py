"""A small transformer under bf16 autocast, in training and in evaluation."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, vocabulary, length, width):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.queries, self.out = nn.Linear(width, 3 * width), nn.Linear(width, vocabulary)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        q, k, v = self.queries(F.rms_norm(x, x.shape[-1:])).chunk(3, -1)
        return self.out(x + F.scaled_dot_product_attention(q, k, v, is_causal=True))


def train(trial):
    torch.manual_seed(trial.seed)
    config = {"vocabulary": trial.vocab_size, "length": trial.seq_len, "width": 32}
    model = Model(**config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trial.save(model.state_dict(), config)


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)

    def logits(tokens):
        with torch.autocast("cpu", torch.bfloat16):
            return model(tokens)

    return logits
