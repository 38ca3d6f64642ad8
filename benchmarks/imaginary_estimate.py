"""Estimate the time of a kernel on a card that is not there: data sheets, and coefficients that were set once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TILE = 128  # tokens of a tile of an attention kernel: a tile that a window touches is computed whole
BACKWARD = 2.5  # FLOP of the backward pass of attention / those of its forward pass
PARTS = ("gemm", "pointwise", "attention", "optimiser", "eager")


@dataclass(frozen=True)
class Card:
    """What the vendor says of a card, and which share of it kernels reach."""

    name: str
    capability: tuple[int, int]
    memory: int  # bytes
    multiprocessors: int
    shared_memory: int  # bytes that a block may ask for
    l2: int  # bytes
    bandwidth: float  # bytes a second
    flop_rate: float  # dense, 16 bit, summed in float32
    float32_rate: float  # matrices in float32 ("high": TF32 where the card has it)
    gemm: float  # share of the rate in products
    stream: float  # share of the bandwidth in pointwise kernels and reductions
    attention: Mapping[str, tuple[float, float]]  # kernel -> share of flop_rate, forward and backward
    launch_s: float = 3e-6  # least time of a kernel


# Data sheets; the shares of the H100 are set for two figures (docs/benchmarks.md), the others are guesses. Attention on
# an H100: about what the FlashAttention 3 paper shows for causal attention, heads of 128 and 2,048 tokens.
CARDS = {
    "h100": Card(
        name="NVIDIA H100 80GB HBM3",
        capability=(9, 0),
        memory=80 * 2**30,
        multiprocessors=132,
        shared_memory=232448,
        l2=50 * 2**20,
        bandwidth=3.35e12,
        flop_rate=989e12,
        float32_rate=494e12,
        gemm=0.66,
        stream=0.80,
        attention={"fa2": (0.37, 0.27), "fa3": (0.59, 0.43), "cudnn": (0.60, 0.45), "efficient": (0.20, 0.15)},
    ),
    "4090": Card(
        name="NVIDIA GeForce RTX 4090",
        capability=(8, 9),
        memory=24 * 2**30,
        multiprocessors=128,
        shared_memory=101376,
        l2=72 * 2**20,
        bandwidth=1.008e12,
        flop_rate=165e12,
        float32_rate=82.6e12,
        gemm=0.85,
        stream=0.85,
        attention={"fa2": (0.80, 0.65), "cudnn": (0.80, 0.65), "efficient": (0.50, 0.35)},
    ),
    "t4": Card(
        name="Tesla T4",
        capability=(7, 5),
        memory=16 * 2**30,
        multiprocessors=40,
        shared_memory=65536,
        l2=4 * 2**20,
        bandwidth=0.32e12,
        flop_rate=65e12,
        float32_rate=8.1e12,
        gemm=0.40,
        stream=0.80,
        attention={"efficient": (0.25, 0.15)},
    ),
}


@dataclass(frozen=True)
class Kernel:
    """One launch: what it reads and writes, and for products and attention what it computes."""

    kind: str  # gemm, attention, pointwise or eager
    name: str
    part: str  # model or optimiser
    bytes: int
    flop: float = 0.0
    dtype: str = "bfloat16"
    backward: bool = False
    shape: tuple[int, int, int] = (0, 0, 0)  # of attention: rows x heads, tokens, channels of a head
    window: int = -1  # tokens that one sees before it; -1: all

    @property
    def row(self) -> str:
        """Return the line of the table that it belongs to."""
        return "optimiser" if self.part == "optimiser" else self.kind


def attention_flop(shape: tuple[int, int, int], window: int, backward: bool) -> float:
    """Count the FLOP of causal attention, by whole tiles."""
    rows, tokens, channels = shape
    tiles = -(-tokens // TILE)
    reach = tiles if window < 0 else -(-window // TILE)
    touched = sum(min(tile, reach) + 1 for tile in range(tiles))
    return 4.0 * rows * touched * TILE**2 * channels * (BACKWARD if backward else 1.0)


def seconds(kernel: Kernel, card: Card) -> float:
    """Estimate the time of a kernel: the longer of computing and moving."""
    moving = max(card.launch_s, kernel.bytes / (card.stream * card.bandwidth))
    half = kernel.dtype in ("bfloat16", "float16")
    if kernel.kind == "gemm":
        rate = card.gemm * (card.flop_rate if half else card.float32_rate)
        return max(moving, kernel.flop / rate)
    if kernel.kind == "attention":
        share = card.attention[kernel.name][kernel.backward]
        rate = share * (card.flop_rate if half else card.float32_rate)
        return max(moving, attention_flop(kernel.shape, kernel.window, kernel.backward) / rate)
    return moving


@dataclass(frozen=True)
class Row:
    """One part of a step."""

    kernels: int
    gigabytes: float
    ms: float


def rows(kernels: Iterable[Kernel], card: Card) -> dict[str, Row]:
    """Return the parts of a step, and their sum under `step`."""
    kernels = list(kernels)
    groups = {part: [kernel for kernel in kernels if kernel.row == part] for part in PARTS} | {"step": kernels}
    return {
        part: Row(len(group), sum(k.bytes for k in group) / 1e9, 1e3 * sum(seconds(k, card) for k in group))
        for part, group in groups.items()
    }
