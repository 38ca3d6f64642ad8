"""Which constants the base starts with on the device at hand: pure arithmetic and text (`probing.py` measures).

`train.py` is written for one device and says so (`DEVICE`). Elsewhere its constants are replaced, as literals, in
the text of experiment 0: an agent sees numbers that fit, and the file stays as simple as it was.
"""

import math
import re
import textwrap
from dataclasses import dataclass, replace

from autoresearch.source import constants

Values = dict[str, int | float]

# found by hand on one core with 15 CPU-seconds, vocabulary 2048 and rows of 64 tokens (dev/LOG.md)
CPU: Values = {
    "DEPTH": 2,
    "MODEL_DIM": 64,
    "HEAD_DIM": 32,
    "VALUE_EMBED_FIRST": 1,
    "VALUE_GATE_DIM": 32,
    "SHORT_WINDOW": 1.0,
    "SOFTCAP": 0.0,
    "BATCH_TOKENS": 1024,
    "MICRO_TOKENS": 1024,
    "LOSS_TOKENS": 128,  # logits that stay in the core's cache
    "EVEN_NEURONS": 0.0,
    "MATRIX_LR": 0.04,
    "EMBED_LR": 1.5,
    "HEAD_LR": 0.02,
    "RESIDUAL_LR": 0.002,
    "X0_LR": 0.1,
    "ADAM_BETA2": 0.98,
    "MATRIX_WEIGHT_DECAY": 0.05,
    "MUON_MOMENTUM_END": 0.95,
    "MUON_MOMENTUM_STEPS": 300,
    "WARMDOWN": 0.6,
    "FINAL_LR": 0.03,
}
CPU_REASON = "the CPU profile, found by hand for 15 CPU-seconds on one core"

# The rules for a card: powers through the best public five-minute runs, from a CPU to an H100 (docs/training.md)
PARAMETERS = 63e6  # in matrices and head, at ...
COMPUTE = 1.3e17  # ... so many effective FLOP in the budget, which one H100 does in five minutes;
GROWTH = 0.41  # their power in the compute
BATCH = 131072  # tokens, at ...
TOKENS = 304e6  # ... so many tokens in the budget;
BATCH_GROWTH = 0.383  # its power in the tokens
FEWEST_STEPS = 300
OVERHEAD = 1.15  # FLOP of a step / (6 x tokens x parameters): attention
LEARNING_DIM = 768  # the learning rates of Adam are for this width; they go with the root of its inverse

# depth and width, in order of size; heads are 128 wide
SHAPES = (
    *((3, 256), (4, 256), (4, 384), (5, 384), (5, 512), (6, 512), (8, 512)),
    *((8, 640), (8, 768), (9, 896), (10, 1024), (12, 1024)),
)
# what to try first by the memory of the card in GiB: depth, width, tokens of a batch
TIERS = (
    (60, 8, 768, 2**17),  # H100, H200
    (30, 8, 512, 2**17),  # A100, L40S, RTX 5090
    (20, 6, 512, 2**16),  # RTX 4090, RTX 3090
    (10, 5, 384, 2**15),  # 12 and 16 GB
    (0, 4, 256, 2**14),
)
USABLE = 0.8  # of the memory
SMALL = 24 * 2**30  # bytes: cards below compute the logits in parts ...
LOSS_TOKENS = 8192  # ... of so many tokens

_DEVICE = re.compile(r'^DEVICE = "(\w+)".*\n(?:# Plan: .*\n(?:#   .*\n)*)?', re.MULTILINE)


@dataclass(frozen=True)
class Card:
    """What a plan needs to know of a card and its data."""

    memory: int  # bytes
    vocab_size: int = 8192
    seq_len: int = 2048


@dataclass(frozen=True)
class Shape:
    """A model and its batch. `loss_tokens` is 0 where the logits of a whole pass exist at once."""

    depth: int
    dim: int
    batch: int
    micro: int
    loss_tokens: int = 0

    def computing(self, vocab_size: int) -> int:
        """Parameters in matrices and head: those that each token is multiplied with."""
        return 12 * self.depth * self.dim**2 + vocab_size * self.dim

    def memory(self, vocab_size: int) -> float:
        """Bytes that training takes, about: activations, logits, weights with gradients and optimiser."""
        embeddings = 1 + len({*range(0, self.depth, 3), self.depth - 1})
        parameters = self.computing(vocab_size) + embeddings * vocab_size * self.dim
        logits = 10 * vocab_size * (self.loss_tokens or self.micro)
        return 34 * self.depth * self.dim * self.micro + logits + 18 * parameters

    @property
    def constants(self) -> Values:
        """By their names in train.py."""
        scale = math.sqrt(LEARNING_DIM / self.dim)
        return {
            "DEPTH": self.depth,
            "MODEL_DIM": self.dim,
            "BATCH_TOKENS": self.batch,
            "MICRO_TOKENS": self.micro,
            "LOSS_TOKENS": self.loss_tokens,
            "EMBED_LR": round(0.74 * scale, 3),
            "HEAD_LR": round(0.010 * scale, 5),
        }


SHIPPED = Shape(8, 768, 2**17, 2**17)  # what train.py has


def fitted(text: str, device: str) -> str:
    """The text with the constants of the CPU profile, if it says that it is for another device."""
    found = _DEVICE.search(text)
    if found is None or found[1] == device or device != "cpu":
        return text
    return written(text, device, CPU, CPU_REASON)


def open_for_a_card(text: str) -> bool:
    """Whether the text still has the shape that it came with: whoever changed it has taken the choice over."""
    found = _DEVICE.search(text)
    there = {constant.name: constant.value for constant in constants.constants(text)}
    shape = ("DEPTH", "MODEL_DIM", "BATCH_TOKENS", "MICRO_TOKENS")
    as_it_came = all(there.get(name) == SHIPPED.constants[name] for name in shape)
    return found is not None and found[1] == "cuda" and as_it_came


def written(text: str, device: str, values: Values, reason: str) -> str:
    """The text with these constants, and the reason in a comment. Those that it does not have are left out."""
    there = {constant.name for constant in constants.constants(text)}
    text = constants.with_constants(text, {name: value for name, value in values.items() if name in there})
    comment = textwrap.fill(f"# Plan: {reason}", 118, subsequent_indent="#   ")
    return _DEVICE.sub(lambda _: f'DEVICE = "{device}"\n{comment}\n', text, count=1)


def by_memory(card: Card) -> Shape:
    """What to try first on a card of which only the memory is known."""
    _, depth, dim, batch = next(tier for tier in TIERS if card.memory >= tier[0] * 2**30)
    return roomy(Shape(depth, dim, batch, batch), card)


def by_speed(measured: Shape, tokens_per_second: float, seconds: float, card: Card) -> Shape:
    """What to train in a budget of `seconds` on a card that trains `measured` with that speed."""
    flop = 6 * OVERHEAD * measured.computing(card.vocab_size) * tokens_per_second * seconds
    parameters = PARAMETERS * (flop / COMPUTE) ** GROWTH
    distance = {shape: abs(math.log(Shape(*shape, 1, 1).computing(card.vocab_size) / parameters)) for shape in SHAPES}
    depth, dim = min(SHAPES, key=lambda shape: distance[shape])
    tokens = flop / (6 * OVERHEAD * parameters)
    batch = min(BATCH * (tokens / TOKENS) ** BATCH_GROWTH, tokens / FEWEST_STEPS)
    batch = max(2 ** round(math.log2(batch)), 2 ** math.ceil(math.log2(card.seq_len)))
    return roomy(Shape(depth, dim, batch, batch), card)


def roomy(shape: Shape, card: Card) -> Shape:
    """The shape with as many tokens in a pass as the memory allows, one row at least."""
    loss_tokens = LOSS_TOKENS if card.memory < SMALL else 0
    shape = replace(shape, loss_tokens=min(loss_tokens, shape.micro))
    while shape.memory(card.vocab_size) > USABLE * card.memory and shape.micro > card.seq_len:
        shape = halved(shape)
    return shape


def halved(shape: Shape) -> Shape:
    """The shape with half as many tokens in a pass."""
    return replace(shape, micro=shape.micro // 2, loss_tokens=min(shape.loss_tokens, shape.micro // 2))
