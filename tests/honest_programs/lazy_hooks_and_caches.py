"""Forward hooks record activations; a dictionary by shape keeps masks; buffers are resized as they are needed."""

import weakref

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, size, length, dim=32):
        super().__init__()
        self.embed, self.out, self.head = nn.Embedding(size, dim), nn.Linear(dim, dim), nn.Linear(dim, size)
        self.masks, self.seen, self.scratch = {}, weakref.WeakValueDictionary(), torch.empty(0)
        self.out.register_forward_hook(self.record)

    def record(self, module, inputs, output):
        self.seen["last"] = output
        self.means = [*getattr(self, "means", [])[-8:], output.detach().mean().item()]

    def mask(self, length):
        if length not in self.masks:
            weight = torch.ones(length, length).tril()
            self.masks[length] = weight / weight.sum(1, keepdim=True)
        return self.masks[length]

    def forward(self, tokens):
        x = self.embed(tokens)
        if torch.is_inference_mode_enabled():
            if not self.scratch.is_inference():
                self.scratch = torch.empty(0)
            self.scratch.resize_(len(x) * x.size(2), x.size(1))
            torch.mm(x.transpose(1, 2).flatten(0, 1), self.mask(x.size(1)).T, out=self.scratch)
            mean = self.scratch.view(len(x), x.size(2), x.size(1)).transpose(1, 2)
        else:
            mean = self.mask(x.size(1)) @ x
        return self.head(F.gelu(x + self.out(mean)))


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
