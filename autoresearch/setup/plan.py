"""Constants of the base for a device: pure arithmetic and text (`trial_run.py` measures).

`train.py` is written for one device and names it (`DEVICE`). On another device its constants are replaced, as
literals, in the text of experiment 0: an agent sees numbers that fit, and the file stays simple.
"""

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace

from autoresearch.source import constants

Values = dict[str, int | float]

# The sizes of the card's model, scaled to one core, vocabulary 2048 and rows of 64 tokens. Nothing else is changed
CPU: Values = {
    "DEPTH": 2,
    "MODEL_DIM": 64,
    "HEAD_DIM": 32,
    "VALUE_GATE_DIM": 32,
    "BATCH_TOKENS": 1024,
    "MICRO_TOKENS": 1024,
    "LOSS_TOKENS": 128,  # logits that stay in the core's cache
}
CPU_REASON = "the sizes of a card's model, scaled to one CPU core; nothing is tuned for it"

# The rules for a card: powers through the best public five-minute runs, from a CPU to an H100 (docs/training.md)
REFERENCE_PARAMETERS = 63e6  # in matrices and head, at REFERENCE_FLOP
REFERENCE_FLOP = 1.3e17  # effective FLOP of one H100 in five minutes
PARAMETERS_EXPONENT = 0.41  # parameters grow with this power of the FLOP
REFERENCE_BATCH = 131072  # tokens of a batch, at REFERENCE_TOKENS
REFERENCE_TOKENS = 304e6  # tokens in the budget
BATCH_EXPONENT = 0.383  # the batch grows with this power of the tokens
MIN_STEPS = 300
OVERHEAD = 1.15  # FLOP of a step / (6 x tokens x parameters): attention
REFERENCE_DIM = 768  # width of the learning rates of Adam, which scale with 1 / sqrt(width)

# depth and width, in order of size; heads are 128 wide
SHAPES = (
    *((3, 256), (4, 256), (4, 384), (5, 384), (5, 512), (6, 512), (8, 512)),
    *((8, 640), (8, 768), (9, 896), (10, 1024), (12, 1024)),
)
# first shape by the memory of the card: GiB, depth, width, tokens of a batch
TIERS = (
    (60, 8, 768, 2**17),  # H100, H200
    (30, 8, 512, 2**17),  # A100, L40S, RTX 5090
    (20, 6, 512, 2**16),  # RTX 4090, RTX 3090
    (10, 5, 384, 2**15),  # 12 and 16 GB
    (0, 4, 256, 2**14),
)
USABLE_FRACTION = 0.8  # of the memory
SMALL_CARD_BYTES = 24 * 2**30  # cards with less memory compute the logits in parts of LOSS_TOKENS
LOSS_TOKENS = 8192

MIN_GRAPH_GAIN = 0.005  # of a step: less is noise of a probe
MAX_SETUP_SHARE = 0.1  # of the budget, that a larger graph may add to a setup: experiments compile it again
MIN_GRAPH_BUDGET_S = 120  # below it no larger graph compiles in that share

_DEVICE = re.compile(r'^DEVICE = "(\w+)".*\n(?:# Plan: .*\n(?:#   .*\n)*)?', re.MULTILINE)


@dataclass(frozen=True)
class Card:
    """Memory of a card and shape of its data."""

    memory: int  # bytes
    vocab_size: int = 8192
    seq_len: int = 2048


@dataclass(frozen=True)
class Shape:
    """A model and its batch. `loss_tokens` is 0 if the logits of a whole pass exist at once."""

    depth: int
    dim: int
    batch: int
    micro: int
    loss_tokens: int = 0

    def matrix_parameters(self, vocab_size: int) -> int:
        """Count the parameters in matrices and head, which every token is multiplied with."""
        return 12 * self.depth * self.dim**2 + vocab_size * self.dim

    def training_bytes(self, vocab_size: int) -> float:
        """Estimate the memory of training: activations, logits, weights with gradients and optimiser."""
        embeddings = 1 + len({*range(0, self.depth, 3), self.depth - 1})
        parameters = self.matrix_parameters(vocab_size) + embeddings * vocab_size * self.dim
        logits = 10 * vocab_size * (self.loss_tokens or self.micro)
        return 34 * self.depth * self.dim * self.micro + logits + 18 * parameters

    @property
    def constants(self) -> Values:
        """Map names in train.py to values."""
        scale = math.sqrt(REFERENCE_DIM / self.dim)
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


def fit_device(text: str, device: str) -> str:
    """Return the text; on a CPU, a text for another device gets the constants of the CPU profile."""
    match = _DEVICE.search(text)
    if match is None or match[1] == device or device != "cpu":
        return text
    return write_constants(text, device, CPU, CPU_REASON)


def has_shipped_shape(text: str) -> bool:
    """Return whether the text is for a card and still has the shape that it was shipped with."""
    match = _DEVICE.search(text)
    values = {constant.name: constant.value for constant in constants.constants(text)}
    shape = ("DEPTH", "MODEL_DIM", "BATCH_TOKENS", "MICRO_TOKENS")
    unchanged = all(values.get(name) == SHIPPED.constants[name] for name in shape)
    return match is not None and match[1] == "cuda" and unchanged


def write_constants(text: str, device: str, values: Values, reason: str) -> str:
    """Return the text with those of the constants that it has, and the reason in a comment."""
    present = {constant.name for constant in constants.constants(text)}
    text = constants.with_constants(text, {name: value for name, value in values.items() if name in present})
    comment = textwrap.fill(f"# Plan: {reason}", 118, subsequent_indent="#   ")
    return _DEVICE.sub(lambda _: f'DEVICE = "{device}"\n{comment}\n', text, count=1)


def write_words(text: str, words: Mapping[str, str]) -> str:
    """Return the text with other words for constants that are a word in double quotes; those it lacks are left out."""
    for name, word in words.items():
        text = re.sub(rf'^({name} = )"[^"\n]*"', rf'\g<1>"{word}"', text, count=1, flags=re.MULTILINE)
    return text


def has_word(text: str, name: str, word: str) -> bool:
    return re.search(rf'^{name} = "{word}"', text, re.MULTILINE) is not None


def fastest_attention(reported: Mapping[str, float]) -> str | None:
    """Return the fastest kernels for short and long windows, from times that train.py reported; None without any."""
    names = []
    for windows in ("short", "long"):
        times = {match[1]: ms for name, ms in reported.items() if (match := re.fullmatch(rf"{windows}_(\w+)_ms", name))}
        if not times:
            return None
        names.append(min(times, key=times.__getitem__))
    return " ".join(names)


def prefers_one_graph(budget_s: float, blocks: tuple[float, float], model: tuple[float, float]) -> bool:
    """Return whether to compile the model as one graph, from seconds of a step and of a setup both ways."""
    gain, longer = 1 - model[0] / blocks[0], model[1] - blocks[1]
    return gain >= MIN_GRAPH_GAIN and longer <= MAX_SETUP_SHARE * budget_s


def shape_by_memory(card: Card) -> Shape:
    """Return the first shape to try on a card of which only the memory is known."""
    _, depth, dim, batch = next(tier for tier in TIERS if card.memory >= tier[0] * 2**30)
    return fit_memory(Shape(depth, dim, batch, batch), card)


def shape_by_speed(measured: Shape, tokens_per_second: float, seconds: float, card: Card) -> Shape:
    """Return the shape for a budget of `seconds` on a card that trains `measured` with this speed."""
    flop = 6 * OVERHEAD * measured.matrix_parameters(card.vocab_size) * tokens_per_second * seconds
    parameters = REFERENCE_PARAMETERS * (flop / REFERENCE_FLOP) ** PARAMETERS_EXPONENT
    sizes = {shape: Shape(*shape, 1, 1).matrix_parameters(card.vocab_size) for shape in SHAPES}
    depth, dim = min(SHAPES, key=lambda shape: abs(math.log(sizes[shape] / parameters)))
    tokens = flop / (6 * OVERHEAD * parameters)
    batch = min(REFERENCE_BATCH * (tokens / REFERENCE_TOKENS) ** BATCH_EXPONENT, tokens / MIN_STEPS)
    batch = max(2 ** round(math.log2(batch)), 2 ** math.ceil(math.log2(card.seq_len)))
    return fit_memory(Shape(depth, dim, batch, batch), card)


def fit_memory(shape: Shape, card: Card) -> Shape:
    """Return the shape with as many tokens in a pass as the memory allows, but one row at least."""
    loss_tokens = LOSS_TOKENS if card.memory < SMALL_CARD_BYTES else 0
    shape = replace(shape, loss_tokens=min(loss_tokens, shape.micro))
    while shape.training_bytes(card.vocab_size) > USABLE_FRACTION * card.memory and shape.micro > card.seq_len:
        shape = halve_pass(shape)
    return shape


def halve_pass(shape: Shape) -> Shape:
    return replace(shape, micro=shape.micro // 2, loss_tokens=min(shape.loss_tokens, shape.micro // 2))
