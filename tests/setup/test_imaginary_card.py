"""The arithmetic of the imaginary card: what a kernel costs, without torch."""

import importlib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def estimate(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("imaginary_estimate")


def test_a_pointwise_kernel_takes_as_long_as_its_bytes_and_never_less_than_a_launch(estimate: Any) -> None:
    card = estimate.CARDS["h100"]
    large, none = (estimate.Kernel("pointwise", "x", "model", size) for size in (10**9, 0))
    assert estimate.seconds(large, card) == pytest.approx(1e9 / (card.stream * card.bandwidth))
    assert estimate.seconds(none, card) == card.launch_s


def test_a_product_is_limited_by_what_it_computes_or_by_what_it_moves(estimate: Any) -> None:
    card = estimate.CARDS["h100"]
    computes = estimate.Kernel("gemm", "mm", "model", 10**6, 1e12)
    moves = estimate.Kernel("gemm", "mm", "model", 10**9, 1e6)
    assert estimate.seconds(computes, card) == pytest.approx(1e12 / (card.gemm * card.flop_rate))
    assert estimate.seconds(moves, card) == pytest.approx(1e9 / (card.stream * card.bandwidth))


def test_attention_counts_whole_tiles_in_reach(estimate: Any) -> None:
    def flop(window: int, backward: bool = False) -> float:
        return float(estimate.attention_flop((3, 1024, 64), window, backward))

    tile = 4 * 3 * estimate.TILE**2 * 64
    assert flop(-1) == 36 * tile  # 8 rows of tiles: 1 + 2 + ... + 8
    assert flop(1024) == flop(-1)
    assert flop(128) == flop(1) == 15 * tile  # the own tile and the one before it
    assert flop(128, True) == estimate.BACKWARD * flop(128)


def test_the_parts_of_a_step_add_up(estimate: Any) -> None:
    card = estimate.CARDS["t4"]
    kernels = [
        estimate.Kernel("gemm", "mm", "model", 10**6, 1e12, "float16"),
        estimate.Kernel("gemm", "bmm", "optimiser", 10**6, 1e11, "float32"),
        estimate.Kernel("attention", "efficient", "model", 10**6, 0.0, "float16", True, (8, 512, 128)),
        estimate.Kernel("eager", "add", "model", 10**8),
    ]
    found = estimate.rows(kernels, card)
    assert found["gemm"].kernels == found["optimiser"].kernels == found["eager"].kernels == 1
    parts = [found[part] for part in estimate.PARTS]
    assert found["step"].ms == pytest.approx(sum(part.ms for part in parts))
    assert found["step"].gigabytes == pytest.approx(sum(part.gigabytes for part in parts))
