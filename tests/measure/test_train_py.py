"""The model in train.py: causal, learns, and comes back from a checkpoint bit for bit."""

import types
from pathlib import Path
from typing import Any

import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings
from autoresearch.setup import plan

pytestmark = [pytest.mark.torch, pytest.mark.slow]
SOURCE = plan.fit_device((Path(__file__).parents[2] / "train.py").read_text(), "cpu")


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


def test_the_same_seed_gives_the_same_weights_bit_for_bit(train: Any, trained: Repeat) -> None:
    import torch

    again = Repeat(30)
    train.train(again)
    assert again.losses == trained.losses
    assert all(torch.equal(again.state[name], trained.state[name]) for name in trained.state)


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


def test_the_loss_in_parts_is_the_loss(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits of a few tokens at a time: the same value and gradients."""
    import torch

    x = torch.randint(64, (4, 32), generator=torch.Generator().manual_seed(0))
    model = train.GPT(64, 32, train.DEPTH, train.MODEL_DIM)
    model.reset()
    found = []
    for tokens in (0, 48):
        monkeypatch.setattr(train, "LOSS_TOKENS", tokens)
        model.zero_grad()
        loss = model.backward(x, x)
        found.append({"loss": loss, **{name: p.grad.clone() for name, p in model.named_parameters()}})
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-6) for name in found[0])


@pytest.mark.parametrize("window", [0, 1, 5, 11, 12, 99])
def test_a_window_is_what_an_explicit_mask_makes_of_it(train: Any, window: int) -> None:
    import torch

    q, k, v = torch.randn(3, 2, 12, 4, train.HEAD_DIM, generator=torch.Generator().manual_seed(0)).unbind()
    scores = torch.einsum("bihd,bjhd->bhij", q, k) * train.ATTENTION_SCALE
    back = torch.arange(12)[:, None] - torch.arange(12)
    weights = scores.masked_fill((back < 0) | (back > window), -torch.inf).softmax(-1)
    expected = torch.einsum("bhij,bjhd->bihd", weights, v)
    assert torch.allclose(train.sdpa(q, k, v, window), expected, atol=1e-5)


def test_windows_follow_the_pattern_and_the_last_is_long(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "SHORT_WINDOW", 0.125)
    windows = [block.window for block in train.GPT(64, 32, 8, 32).blocks]
    assert windows == [4, 4, 4, 32, 4, 4, 4, 32]
    assert [block.window for block in train.GPT(64, 32, 2, 32).blocks] == [4, 32]


def test_short_windows_are_causal_and_forget(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(train, "SHORT_WINDOW", 0.125)
    monkeypatch.setattr(train, "WINDOWS", "S")
    block = train.GPT(64, 32, 2, 32).blocks[0]
    q, k, v = torch.randn(3, 1, 32, 1, train.HEAD_DIM).unbind()
    other = v.clone()
    other[:, 10] += 1
    changed = (train.sdpa(q, k, v, block.window) != train.sdpa(q, k, other, block.window)).flatten(2).any(2)[0]
    assert changed.nonzero().flatten().tolist() == [10, 11, 12, 13, 14]


def test_a_kernel_that_is_wrong_or_does_not_start_is_refused_with_the_reason(train: Any) -> None:
    import torch

    def fault(make: Any) -> str | None:
        return train.fault(make, "cpu", torch.bfloat16)

    assert fault(lambda: train.sdpa) is None
    assert "off by" in str(fault(lambda: lambda q, k, v, window: train.sdpa(q, k, v, window - 1)))
    assert "with a window of 384" in str(fault(lambda: lambda q, k, v, window: train.sdpa(q, k, v, min(window, 300))))
    assert fault(train.KERNELS["fa3"]) == "No module named 'flash_attn_interface'"
    assert fault(train.KERNELS["varlen"]) is not None
    assert train.choose_attention("auto", "cpu", torch.float32) == ("sdpa", train.sdpa)


@pytest.mark.filterwarnings("ignore::UserWarning")  # the compiler's own
def test_blocks_that_are_alike_are_compiled_once(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile them as `place` does on a card, with a back end that counts."""
    import torch
    from torch._dynamo.testing import CompileCounter

    monkeypatch.setattr(train, "SHORT_WINDOW", 0.125)
    model, counter = train.GPT(64, 32, 7, 32), CompileCounter()
    model.reset()
    for block in model.blocks:
        block.compile(backend=counter, dynamic=False)
    rows = torch.randint(64, (2, 33))
    for tokens in (rows[:, :-1].contiguous(), rows[:, :-1], rows[:, 1:]):  # warm-up, batches
        model.backward(tokens, tokens)
    kinds = {(block.window, block.value is None) for block in model.blocks}
    assert counter.frame_count == len(kinds) < 7


@pytest.mark.filterwarnings("ignore::UserWarning")  # the compiler's own
def test_schedules_compile_nothing(train: Any) -> None:
    """Learning rate, momentum and decay change at every step; one update is compiled for each shape of matrix."""
    import torch
    from torch._dynamo.testing import CompileCounter

    counter, matrices = CompileCounter(), [torch.nn.Parameter(torch.randn(8, 4)), torch.nn.Parameter(torch.randn(4, 4))]
    muon = train.Muon(matrices, torch.float32)
    muon.update = torch.compile(train.muon_update, backend=counter, dynamic=False)
    for step in range(12):
        for matrix in matrices:
            matrix.grad = torch.randn_like(matrix)
        muon.step(0.04 * train.lr_scale(step / 12), train.muon_momentum(step), 0.1 * (1 - step / 12) ** 2)
    assert counter.frame_count == 2


def test_updates_are_nearly_orthogonal(train: Any) -> None:
    import torch

    tall = train.orthogonalised(torch.randn(3, 96, 32, generator=torch.Generator().manual_seed(0)), torch.float32)
    singular = torch.linalg.svdvals(tall)
    assert singular.min() > 0.5 and singular.max() < 1.5


@pytest.mark.parametrize(("shape", "inputs"), [((3, 96, 32), -1), ((3, 32, 96), -2), ((3, 32, 32), -1)])
def test_neurons_of_an_update_become_equally_long(
    train: Any, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], inputs: int
) -> None:
    import torch

    monkeypatch.setattr(train, "EVEN_NEURONS", 1.0)
    update = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 2, shape[1])[:, None]
    update[2] = 0
    even = train.evened(update)
    lengths = even.norm(dim=inputs)
    assert torch.allclose(lengths, lengths[:, :1].expand_as(lengths), atol=1e-5)
    assert torch.allclose(even.norm(dim=(1, 2)), update.norm(dim=(1, 2)), rtol=1e-5)  # nothing stays nothing
    assert torch.nn.functional.cosine_similarity(even, update, dim=inputs)[:2].min() > 0.999


def test_queries_keys_and_values_are_updated_each_for_itself(train: Any) -> None:
    model = train.GPT(64, 32, 2, 64)
    muon = train.Optimizers(model).muon
    square = next(group for group in muon.groups if group[0].shape == (64, 64))
    assert {id(part.weight) for block in model.blocks for part in (block.q, block.k, block.v)} <= set(map(id, square))


def test_an_explosion_ends_the_run(train: Any) -> None:
    import torch

    trial = Repeat(1)
    with pytest.raises(FloatingPointError):
        train.report(trial, 1, torch.tensor(float("nan")))
    with pytest.raises(FloatingPointError):
        train.report(trial, 1, torch.tensor(1e3))


def test_two_whole_trials_with_one_seed_and_a_budget_in_steps_are_equal_row_by_row(bytes_data: Dataset) -> None:
    settings = Settings(Budget.parse("200steps"), eval_rows=64)
    first, again = (CellReferee(settings, bytes_data).measure(SOURCE, 5) for _ in range(2))
    assert first.outcome == "ok", first.reason + first.log
    assert first.rows is not None and again.rows is not None
    assert first.val_bpb == again.val_bpb and (first.rows == again.rows).all()
    assert [point["loss"] for point in first.curve] == [point["loss"] for point in again.curve]
