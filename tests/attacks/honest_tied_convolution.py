"""Causal convolutions between two uses of one table: embeddings and output are tied."""

import torch
import torch.nn.functional as F
from torch import nn

LR = 0.5  # plain gradient descent: an optimiser of torch's would import its compiler, for two seconds


class Model(nn.Module):
    def __init__(self, vocabulary, width=32, taps=4):
        super().__init__()
        self.tokens, self.mix = nn.Embedding(vocabulary, width), nn.Conv1d(width, width, taps)
        self.out = nn.Linear(width, vocabulary, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.out.weight = self.tokens.weight
        self.taps = taps

    def forward(self, tokens):
        x = self.tokens(tokens)
        past = F.pad(x.transpose(1, 2), (self.taps - 1, 0))
        return self.out(x + F.gelu(self.mix(past)).transpose(1, 2))


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in model.parameters():
                weight -= LR * weight.grad
    trial.save(model.state_dict(), {"vocabulary": trial.vocab_size})


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)
    return model
