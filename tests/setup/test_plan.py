"""The constants that a base starts with: by profile, by memory, by speed."""

import ast
import importlib
from pathlib import Path

import pytest

from autoresearch.setup import plan
from autoresearch.setup.plan import Card, Shape
from autoresearch.source import constants

TRAIN = (Path(__file__).parents[2] / "train.py").read_text()
GIB = 2**30
CARDS = {"6 GB": 6, "8 GB": 8, "10 GB": 10, "12 GB": 12, "16 GB": 16, "24 GB": 24, "40 GB": 40, "H100": 80, "H200": 141}

# the configuration of the best public five-minute runs on one H100, in our words (docs/training.md)
RECORD = {
    "DEPTH": 8,
    "MODEL_DIM": 768,
    "HEAD_DIM": 128,
    "MLP_RATIO": 4,
    "ROPE_BASE": 10000.0,
    "SHORT_WINDOW": 0.125,
    "ATTN_SCALE": 1.3,
    "X0_INIT": 0.05,
    "VALUE_EMBED_FIRST": 0,
    "VALUE_EMBED_EVERY": 3,
    "SOFTCAP": 15.0,
    "VALUE_GATE_DIM": 128,
    "VALUE_GATE_MAX": 1.8,
    "BATCH_TOKENS": 2**17,
    "MICRO_TOKENS": 2**17,
    "MATRIX_LR": 0.042,
    "EMBED_LR": 0.74,
    "HEAD_LR": 0.010,
    "RESIDUAL_LR": 0.03 * 0.7,
    "X0_LR": 4 * 0.7,
    "MATRIX_WEIGHT_DECAY": 0.125,
    "HEAD_WEIGHT_DECAY": 0.002,
    "EMBED_WEIGHT_DECAY": 0.0005,
    "VALUE_WEIGHT_DECAY": 0.004,
    "ADAM_BETA1": 0.8,
    "ADAM_BETA2": 0.95,
    "X0_BETA1": 0.96,
    "EVEN_NEURONS": 1.0,
    "ORTHOGONAL_STEPS": 5,
    "MUON_MOMENTUM_START": 0.85,
    "MUON_MOMENTUM_END": 0.92,
    "MUON_MOMENTUM_STEPS": 100,
    "WARMDOWN": 0.825,
    "FINAL_LR": 0.021,
}


def values(text: str) -> dict[str, int | float]:
    return {constant.name: constant.value for constant in constants.constants(text)}


def test_the_plan_of_a_device_becomes_literals() -> None:
    fitted = plan.fit_device(TRAIN, "cpu")
    assert values(fitted) == values(TRAIN) | plan.CPU
    assert f'DEVICE = "cpu"\n# Plan: {plan.CPU_REASON}\n' in fitted
    assert plan.fit_device(fitted, "cpu") == fitted


def test_a_file_for_this_device_or_for_none_is_left_alone() -> None:
    assert plan.fit_device(TRAIN, "cuda") == TRAIN
    assert plan.fit_device("DEPTH = 3\n", "cpu") == "DEPTH = 3\n"


def test_a_constant_that_was_removed_stays_removed() -> None:
    text = TRAIN.replace("MUON_MOMENTUM_END = 0.92", "MUON_MOMENTUM_LATE = 0.92")
    assert "MUON_MOMENTUM_END" not in values(plan.fit_device(text, "cpu"))


def test_a_new_reason_takes_the_place_of_the_old_one() -> None:
    long = plan.write_constants(TRAIN, "cuda", {}, "surmised " * 40)
    again = plan.write_constants(long, "cuda", {}, "for another reason")
    assert "surmised" in long and "surmised" not in again
    assert ast.dump(ast.parse(again)) == ast.dump(ast.parse(TRAIN))
    assert max(map(len, long.splitlines())) <= 120


def test_train_has_the_constants_of_the_record() -> None:
    found = values(TRAIN)
    assert {name: found[name] for name in RECORD} == pytest.approx(RECORD)
    assert 'WINDOWS = "SSSL"' in TRAIN


def test_train_has_the_shape_that_the_rules_give_one_h100() -> None:
    """And every constant that a plan writes."""
    assert values(TRAIN).items() >= plan.SHIPPED.constants.items()
    assert values(TRAIN).keys() >= plan.CPU.keys()
    assert plan.shape_by_speed(plan.SHIPPED, 304e6 / 300, 300, Card(80 * GIB)) == plan.SHIPPED


@pytest.mark.parametrize(
    ("flop", "gib", "shape"),
    [
        (1.3e17, 80, (8, 768, 2**17)),  # H100
        (3.7e16, 40, (8, 640, 2**17)),  # A100
        (8e15, 24, (5, 512, 2**16)),  # RTX 3090
        (2.5e15, 12, (5, 384, 2**16)),  # RTX 3060
    ],
)
def test_by_speed_the_rules_give_a_shape_and_a_batch(flop: float, gib: int, shape: tuple[int, int, int]) -> None:
    card, probed = Card(gib * GIB), Shape(6, 512, 2**15, 2**15)
    speed = flop / 300 / (6 * plan.OVERHEAD * probed.matrix_parameters(card.vocab_size))
    found = plan.shape_by_speed(probed, speed, 300, card)
    assert (found.depth, found.dim, found.batch) == shape


@pytest.mark.parametrize("gib", CARDS.values(), ids=CARDS)
@pytest.mark.parametrize("vocab_size", [2048, 8192, 65535])
@pytest.mark.parametrize("speed", [None, 5e4, 1e6])
def test_every_plan_fits_into_its_card(gib: int, vocab_size: int, speed: float | None) -> None:
    card = Card(gib * GIB, vocab_size)
    first = plan.shape_by_memory(card)
    shape = first if speed is None else plan.shape_by_speed(first, speed, 300, card)
    assert shape.training_bytes(vocab_size) < plan.USABLE_FRACTION * card.memory
    assert card.seq_len <= shape.micro <= shape.batch and shape.batch % shape.micro == 0
    assert (shape.loss_tokens > 0) == (gib < 24) and shape.loss_tokens <= shape.micro
    assert shape.dim % values(TRAIN)["HEAD_DIM"] == 0


def test_the_formula_gives_the_memory_that_the_public_best_reported() -> None:
    """33.6 GB at 131,072 tokens on an H100; the formula is careful."""
    assert 33.6e9 < plan.SHIPPED.training_bytes(8192) < 45e9


@pytest.mark.slow
def test_a_changed_shape_is_not_planned_over() -> None:
    assert plan.has_shipped_shape(TRAIN)
    assert plan.has_shipped_shape(TRAIN.replace("MATRIX_LR = 0.042", "MATRIX_LR = 0.05"))
    assert not plan.has_shipped_shape(TRAIN.replace("\nDEPTH = 8", "\nDEPTH = 6"))
    assert not plan.has_shipped_shape(TRAIN.replace('DEVICE = "cuda"', ""))
    assert not plan.has_shipped_shape(plan.fit_device(TRAIN, "cpu"))


def test_the_plain_port_of_the_original_names_constants_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    train_core = importlib.import_module("train_core")
    base = plan.fit_device(TRAIN, "cpu")
    port = values(train_core.plain(base, "cpu"))
    assert port.items() >= train_core.PLAIN.items()
    assert {name: port[name] for name in ("DEPTH", "MODEL_DIM", "BATCH_TOKENS")} == {
        name: values(base)[name] for name in ("DEPTH", "MODEL_DIM", "BATCH_TOKENS")
    }
