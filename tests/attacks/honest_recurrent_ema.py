"""A recurrent network whose averaged weights are saved, with dropout in training."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

DECAY = 0.9  # of the average
LR = 0.5  # plain gradient descent: an optimiser of torch's would import its compiler, for two seconds


class Model(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.tokens, self.memory = nn.Embedding(vocabulary, 32), nn.GRU(32, 32, batch_first=True)
        self.drop, self.out = nn.Dropout(0.1), nn.Linear(32, vocabulary)

    def forward(self, tokens):
        return self.out(self.drop(self.memory(self.tokens(tokens))[0]))


def train(trial):
    torch.manual_seed(trial.seed)
    model = Model(trial.vocab_size)
    average = copy.deepcopy(model)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
                weight -= LR * weight.grad
                mean.lerp_(weight, 1 - DECAY)
        trial.log(loss=loss.item())
    trial.save(average.state_dict(), {"vocabulary": trial.vocab_size})


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)
    return model.eval()
