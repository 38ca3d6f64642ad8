"""A recurrent network whose averaged weights are saved, with dropout in training."""

import torch
import torch.nn.functional as F
from torch import nn

DECAY = 0.9


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
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(DECAY))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    trial.start()
    batches = trial.batches(16)
    while trial.progress < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update_parameters(model)
        trial.log(loss=loss.item())
    trial.save(average.module.state_dict(), {"vocabulary": trial.vocab_size})


def load(state, config, device):
    model = Model(**config)
    model.load_state_dict(state)
    return model.eval()
