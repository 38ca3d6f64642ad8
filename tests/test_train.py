"""The model in train.py: causal, learns, and comes back from a checkpoint bit for bit."""

import types
from pathlib import Path
from typing import Any

import pytest

from autoresearch import plan

pytestmark = pytest.mark.torch
SOURCE = plan.fitted((Path(__file__).parents[1] / "train.py").read_text(), "cpu")


@pytest.fixture(scope="module")
def train() -> Any:
    module = types.ModuleType("train")
    exec(compile(SOURCE, "train.py", "exec"), module.__dict__)
    return module


class Repeat:
    """A trial whose text repeats every five tokens, for `steps` batches."""

    vocab_size, seq_len, device, seed = 64, 32, "cpu", 3

    def __init__(self, steps: int) -> None:
        self.steps, self.drawn = steps, 0
        self.losses: list[float] = []

    def start(self) -> None:
        self.drawn = 0

    @property
    def progress(self) -> float:
        return self.drawn / self.steps

    def batches(self, size: int) -> Any:
        import torch

        tokens = (torch.arange(self.seq_len + 1) % 5 + torch.arange(size)[:, None] % 5) % 5
        while True:
            self.drawn += 1
            yield tokens[:, :-1], tokens[:, 1:]

    def log(self, **values: float) -> None:
        if "loss" in values:
            self.losses.append(values["loss"])

    def save(self, state: Any, config: Any) -> None:
        self.state, self.config = {name: value.clone() for name, value in state.items()}, config


@pytest.fixture(scope="module")
def trained(train: Any) -> Repeat:
    trial = Repeat(30)
    train.train(trial)
    return trial


def test_loss_falls(trained: Repeat) -> None:
    assert trained.losses[-1] < 0.5 * trained.losses[0]


def test_a_later_token_never_changes_earlier_logits(train: Any, trained: Repeat) -> None:
    import torch

    model = train.load(trained.state, trained.config, "cpu")
    tokens = torch.randint(64, (2, 32), generator=torch.Generator().manual_seed(0))
    other = tokens.clone()
    other[:, 20] = (other[:, 20] + 1) % 64
    with torch.inference_mode():
        a, b = model(tokens), model(other)
    assert torch.equal(a[:, :20], b[:, :20])
    assert not torch.equal(a[:, 20], b[:, 20])


def test_load_restores_every_weight(train: Any, trained: Repeat) -> None:
    import torch

    again = train.load(trained.state, trained.config, "cpu").state_dict()
    assert again.keys() == trained.state.keys()
    assert all(torch.equal(again[name], trained.state[name]) for name in again)


def test_the_warm_up_teaches_nothing(train: Any) -> None:
    import torch

    torch.manual_seed(1)
    model = train.GPT(64, 32, train.DEPTH, train.MODEL_DIM)
    model.reset()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer = train.Trainer(model, 4)
    trainer.warm_up(torch.randint(64, (4, 32)))
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert not trainer.optimizers.adamw.state
    assert not any(buffer.any() for buffer in trainer.optimizers.muon.buffers)


def test_a_batch_in_parts_has_the_same_gradients(train: Any) -> None:
    import torch

    x = torch.randint(64, (8, 32), generator=torch.Generator().manual_seed(0))
    model = train.GPT(64, 32, train.DEPTH, train.MODEL_DIM)
    model.reset()
    found = []
    for rows in (8, 3):
        model.zero_grad()
        loss = train.Trainer(model, rows).backward(x, x)
        found.append({"loss": loss, **{name: p.grad.clone() for name, p in model.named_parameters()}})
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-6) for name in found[0])


def test_updates_are_nearly_orthogonal(train: Any) -> None:
    import torch

    tall = train.orthogonalised(torch.randn(3, 96, 32, generator=torch.Generator().manual_seed(0)), torch.float32)
    singular = torch.linalg.svdvals(tall)
    assert singular.min() > 0.5 and singular.max() < 1.5


def test_an_explosion_ends_the_run(train: Any) -> None:
    import torch

    trial = Repeat(1)
    with pytest.raises(FloatingPointError):
        train.report(trial, 1, torch.tensor(float("nan")))
    with pytest.raises(FloatingPointError):
        train.report(trial, 1, torch.tensor(1e3))
