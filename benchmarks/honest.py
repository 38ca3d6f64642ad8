"""Count false alarms of the audit on honest trials of many architectures.

    python benchmarks/honest.py [--trials 200] [--budget 20steps]

Every trial goes through the whole protocol. Half are the repository's train.py with a random shape, half are other
models: recurrent, convolutional, tied, averaged, an ensemble, bfloat16, one that adapts within a window.
"""

import argparse
import random
from collections import Counter
from pathlib import Path

import numpy as np

from autoresearch.measure.referee import CellReferee
from autoresearch.setup import plan
from autoresearch.setup.project import open_project
from autoresearch.source import constants

ZOO = """
import copy
import torch
import torch.nn.functional as F
from torch import nn

KIND, DIM, LAYERS, BF16, AVERAGE = "{kind}", {dim}, {layers}, {bf16}, {average}


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(DIM, DIM, 4) for _ in range(LAYERS))

    def forward(self, x):
        for layer in self.layers:
            x = x + F.relu(layer(F.pad(x.transpose(1, 2), (3, 0)))).transpose(1, 2)
        return x


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(DIM, DIM, LAYERS, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(DIM, 2, 2 * DIM, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(LAYERS))

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.size(1))
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return x


class Net(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, DIM)
        kinds = {{"conv": [Convolutional], "gru": [Recurrent], "tied": [Attention], "adapt": [Recurrent],
                 "ensemble": [Convolutional, Recurrent, Attention]}}[KIND]
        self.bodies = nn.ModuleList(kind() for kind in kinds)
        self.head = nn.Linear(DIM, vocab_size)
        if KIND == "tied":
            self.head.weight = self.embed.weight

    def forward(self, tokens):
        with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            x = self.embed(tokens)
            logits = torch.stack([self.head(body(x)).float() for body in self.bodies]).mean(0)
        if KIND == "adapt":  # a bonus for what the window's own prefix holds
            seen = F.one_hot(tokens, logits.size(-1)).float().cumsum(1)
            logits = logits + 0.3 * torch.log1p(seen)
        return logits


def train(trial):
    torch.manual_seed(trial.seed)
    model = Net(trial.vocab_size)
    mean = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    trial.start()
    batches = trial.batches(8)
    while trial.progress < 1:
        x, y = next(batches)
        F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
        for slow, fast in zip(mean.parameters(), model.parameters()):
            slow.data.lerp_(fast.data, 0.2)
    trial.save((mean if AVERAGE else model).state_dict(), {{"vocab_size": trial.vocab_size}})


def load(state, config, device):
    model = Net(config["vocab_size"])
    model.load_state_dict(state)
    return model.to(device).eval()
"""
KINDS = ("conv", "gru", "tied", "adapt", "ensemble")


def drawn(rng: random.Random, base: str) -> tuple[str, str]:
    """Return a name and the text of a random honest train.py."""
    if rng.random() < 0.5:
        head = rng.choice([16, 32])
        shape = {
            "DEPTH": rng.randint(1, 3),
            "HEAD_DIM": head,
            "MODEL_DIM": head * rng.randint(1, 4),
            "MLP_RATIO": rng.randint(1, 4),
            "SOFTCAP": rng.choice([0.0, 15.0]),
            "QK_SCALE": rng.uniform(0.8, 1.4),
            "HEAD_LR": rng.choice([0.01, 0.1]),
        }
        return "gpt", constants.with_constants(base, shape)
    kind, bf16, average = rng.choice(KINDS), rng.random() < 0.4, rng.random() < 0.4
    name = kind + " bf16" * bf16 + " averaged" * average
    return name, ZOO.format(kind=kind, dim=32 * rng.randint(1, 3), layers=rng.randint(1, 2), bf16=bf16, average=average)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed of the first trial: runs can be split")
    parser.add_argument("--budget", default="20steps")
    options = parser.parse_args()
    project = open_project({"budget": options.budget}, Path.cwd())
    base = plan.fit_device(Path("train.py").read_text(), project.slot.device)
    outcomes: Counter[str] = Counter()
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(options.first, options.first + options.trials):
        name, text = drawn(random.Random(seed), base)
        result = CellReferee(project.settings, project.data).measure(text, seed)
        outcomes[result.outcome] += 1
        print(f"{seed:4} {name:28} {result.outcome} {result.val_bpb} {result.audit} {result.reason}", flush=True)
        if result.audit is not None:
            found.setdefault("bf16" if "bf16" in name else "float32", []).append(
                (abs(result.audit["d_mean"]), result.audit["d_rms"])
            )
    print("\noutcomes:", dict(outcomes))
    print(
        "\n| computed in | trials | abs(d_mean) median | largest | d_rms median | largest |\n|---|---|---|---|---|---|"
    )
    for name, pairs in found.items():
        mean, rms = np.array(pairs).T
        cells = (np.median(mean), mean.max(), np.median(rms), rms.max())
        print(f"| {name} | {len(pairs)} | {' | '.join(f'{cell:.1e}' for cell in cells)} |")


if __name__ == "__main__":
    main()
