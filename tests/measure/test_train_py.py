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

    def fault(make: Any, window: int = 384) -> str | None:
        return train.fault(make, "cpu", torch.bfloat16, window)

    assert fault(lambda: train.sdpa, 48) is None and fault(lambda: train.sdpa) is None
    assert "off by" in str(fault(lambda: lambda q, k, v, window: train.sdpa(q, k, v, window - 1), 48))
    assert "off by" in str(fault(lambda: lambda q, k, v, window: train.sdpa(q, k, v, min(window, 300))))
    assert fault(train.KERNELS["fa3"]) == "No module named 'flash_attn_interface'"
    assert fault(train.KERNELS["varlen"]) is not None
    assert fault(train.KERNELS["cudnn"], 48) == "it has no windows"


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_kernel_must_pass_forward_and_backward_compiled(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    class WrongBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, q: Any, k: Any, v: Any) -> Any:
            ctx.save_for_backward(q, k, v)
            return train.sdpa(q, k, v, 384)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return tuple(torch.zeros_like(each) for each in ctx.saved_tensors)

    def wrong_if_compiled(q: Any, k: Any, v: Any, window: int) -> Any:
        return q + k + v if torch.compiler.is_compiling() else train.sdpa(q, k, v, window)

    def fault(attend: Any) -> str | None:
        return train.fault(lambda: attend, "cpu", torch.bfloat16, 384)

    assert fault(wrong_if_compiled) is None
    monkeypatch.setattr(train, "compiled", lambda function, device: torch.compile(function, backend="aot_eager"))
    assert fault(train.sdpa) is None
    assert "off by" in str(fault(wrong_if_compiled))
    assert "off by" in str(fault(lambda q, k, v, window: WrongBackward.apply(q, k, v)))


def test_kernels_by_name_are_taken_without_a_test_and_where_none_works_it_is_sdpa(train: Any) -> None:
    import torch

    shape = (2, 384, 2, train.HEAD_DIM)
    for wanted in ("auto", "fastest", "fa3"):
        assert train.choose_attention(wanted, "cpu", torch.float32, shape) == ("sdpa sdpa", {})
        assert train.choose_attention(wanted, "cuda", torch.float16, shape) == ("sdpa sdpa", {})
    assert train.choose_attention("varlen cudnn", "cuda", torch.bfloat16, shape) == ("varlen cudnn", {})
    assert train.choose_attention("fa3", "cuda", torch.bfloat16, shape) == ("fa3 fa3", {})
    if not torch.cuda.is_available():
        assert train.choose_attention("fastest", "cuda", torch.bfloat16, shape) == ("sdpa sdpa", {})


def test_with_sdpa_alone_windows_on_a_card_are_full(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "SHORT_WINDOW", 0.125)
    model = train.GPT(64, 32, 4, 32)
    flops = model.flops_per_token(32)
    model.use_kernels("sdpa", "sdpa", "cpu")
    assert [block.window for block in model.blocks] == [4, 4, 4, 32]
    model.use_kernels("sdpa", "sdpa", "cuda")
    assert [block.window for block in model.blocks] == [32] * 4
    assert model.flops_per_token(32) > flops


def test_short_and_long_windows_have_kernels_of_their_own(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "SHORT_WINDOW", 0.125)
    monkeypatch.setitem(train.KERNELS, "windows", lambda: lambda *inputs: "short")
    monkeypatch.setitem(train.KERNELS, "full", lambda: lambda *inputs: "long")
    model = train.GPT(64, 32, 4, 32)
    model.use_kernels("windows", "full", "cuda")
    assert [block.attend() for block in model.blocks] == ["short", "short", "short", "long"]
    assert len({id(block.attend) for block in model.blocks}) == 2  # one object for each: else blocks recompile


def train_in_float16(train: Any, steps: int) -> tuple[Any, list[float]]:
    import torch

    torch.manual_seed(0)
    model = train.GPT(64, 32, train.DEPTH, train.MODEL_DIM)
    model.reset()
    model.dtype = torch.float16
    trainer, batches = train.Trainer(model, 16), Repeat(steps).batches(32)
    losses = [float(trainer.step(*next(batches), step, 0.0)) for step in range(steps)]
    return trainer, losses


def test_float16_learns_with_a_scale_of_the_loss(train: Any) -> None:
    trainer, losses = train_in_float16(train, 30)
    assert losses[-1] < 0.5 * losses[0]
    assert float(trainer.scale.factor) > trainer.scale.first / 2**8


def test_an_overflow_in_float16_halves_the_scale_and_leaves_the_weights_finite(train: Any) -> None:
    import torch

    trainer, _ = train_in_float16(train, 2)
    trainer.scale.factor.fill_(2.0**40)
    x, y = next(Repeat(1).batches(32))
    trainer.step(x, y, 2, 0.0)
    assert float(trainer.scale.factor) == 2.0**39
    assert all(p.isfinite().all() for p in trainer.model.parameters())
    trainer.warm_up(torch.randint(64, (16, 32)), 1)
    assert float(trainer.scale.factor) == trainer.scale.first


def test_a_budget_without_a_step_saves_what_there_is(train: Any) -> None:
    class NoTime(Repeat):
        progress = 1.0

    trial = NoTime(1)
    train.train(trial)
    assert trial.state and not trial.losses


@pytest.mark.filterwarnings("ignore::UserWarning")  # the compiler's own
def test_the_model_as_one_graph_is_compiled_once_and_its_blocks_only_for_scoring(train: Any) -> None:
    import torch
    from torch._dynamo.testing import CompileCounter

    model, parts, whole = train.GPT(64, 32, 4, 32), CompileCounter(), CompileCounter()
    model.reset()
    for block in model.blocks:
        block.compile(backend=parts, dynamic=False)
    model.encode = torch.compile(model.hidden, backend=whole, dynamic=False)
    rows = torch.randint(64, (2, 33))
    for tokens in (rows[:, :-1].contiguous(), rows[:, :-1], rows[:, 1:]):
        model.backward(tokens, tokens)
    assert (whole.frame_count, parts.frame_count) == (1, 0)
    with torch.inference_mode():
        model(rows[:, :-1])
    assert whole.frame_count == 1 and parts.frame_count > 0


def test_matrices_are_views_of_one_stack_and_their_checkpoint_is_not(train: Any, trained: Repeat) -> None:
    model = train.GPT(64, 32, 2, 64)
    muon = train.Optimizers(model).muon
    for group, stack in zip(muon.groups, muon.stacks, strict=True):
        assert [p.data_ptr() for p in group] == [matrix.data_ptr() for matrix in stack]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for matrix in (p for group in muon.groups for p in group):
        matrix.grad = matrix.detach().clone()
    muon.step(0.1, 0.9, 0.0)
    assert all((p != before[name]).any() for name, p in model.named_parameters() if "mlp" in name or "attn" in name)


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
        train.report(trial, 1, [torch.tensor(float("nan"))])
    with pytest.raises(FloatingPointError):
        train.report(trial, 1, [torch.tensor(1e3)])


def test_two_whole_trials_with_one_seed_and_a_budget_in_steps_are_equal_row_by_row(bytes_data: Dataset) -> None:
    settings = Settings(Budget.parse("200steps"), eval_rows=64)
    first, again = (CellReferee(settings, bytes_data).measure(SOURCE, 5) for _ in range(2))
    assert first.outcome == "ok", first.reason + first.log
    assert first.rows is not None and again.rows is not None
    assert first.val_bpb == again.val_bpb and (first.rows == again.rows).all()
    assert [point["loss"] for point in first.curve] == [point["loss"] for point in again.curve]
