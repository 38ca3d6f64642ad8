"""Averages weights over the last part of training (SWA), on top of an exponential average."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def build(size, dim=32):
    return nn.Sequential(nn.Embedding(size, dim), nn.Linear(dim, 96), nn.GELU(), nn.Linear(96, size))


def train(trial):
    torch.manual_seed(trial.seed)
    model = build(trial.vocab_size)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.98))
    swa = AveragedModel(ema.module)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 20))
    trial.start()
    batches, step = trial.batches(16), 0
    while (progress := trial.progress) < 1:
        x, y = next(batches)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), label_smoothing=0.01)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        ema.update_parameters(model)
        if progress > 0.7 or step == 0:
            swa.update_parameters(ema.module)
        step += 1
    trial.save(swa.module.state_dict(), {"size": trial.vocab_size})


def load(state, config, device):
    model = build(**config)
    model.load_state_dict(state)
    return model.eval()
