"""Words and numbers that a cell reports, as a model may read them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from autoresearch.text import one_line, plausible

MAX_NAME_CHARS = 60
MAX_DIGITS = 2  # of a private name, such as `blocks.3.mlp`
OTHER = "(other)"
_WORD = re.compile(r"[A-Za-z]+")
_OPERATORS = """
trial batches progress log save load numpy ufunc ndarray method built in of function aten autograd backward forward
accumulate grad engine evaluate add addmm addcdiv addcmul mm bmm baddbmm matmul linear mul div sub neg pow sqrt rsqrt
exp sum mean max min norm layer rms softmax log nll loss cross entropy embedding dense gelu relu silu tanh sigmoid
copy clone contiguous to t transpose view reshape fill zero zeros empty like cat stack select slice index put where
scatter gather sort argsort cumsum dropout scaled dot product attention flash for cpu convolution unfold optimizer step
adam muon zip sort unique take dot einsum array astype reduce at random choice permutation tolist item clip
objects broadcast pad as type svd qr solve roll flip diff nonzero any all
"""


@dataclass(frozen=True)
class Vocabulary:
    """Names that may be shown: any, or (`private`) those made of words of train.py and of a fixed list.

    A name can be made at run time, and could spell out training text.
    """

    source: str
    private: bool
    words: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        known = {*_OPERATORS.split(), *map(str.lower, _WORD.findall(self.source))} if self.private else set[str]()
        object.__setattr__(self, "words", frozenset(known))

    def name(self, value: object) -> str:
        """Return a name as it may be shown."""
        name = one_line(str(value), MAX_NAME_CHARS)
        if not self.private:
            return name
        is_known = all(word.lower() in self.words for word in _WORD.findall(name)) and name.isascii()
        return name if is_known and len(re.findall(r"\d", name)) <= MAX_DIGITS else OTHER


def seconds(value: object) -> str:
    """Return a time that a cell reports; `?` if it is none."""
    number = plausible(value)
    if number is None:
        return "?"
    return f"{1000 * number:.3g} ms" if abs(number) < 1 else f"{number:.3g} s"


def number(value: object, form: str = ".4g") -> str:
    """Return a number that a cell reports, with at most four digits that say something; `?` if it is none."""
    plain = plausible(value)
    return "?" if plain is None else format(float(f"{plain:.4g}"), form)


def percent(share: float, form: str = ".0f") -> str:
    """Return a share of a whole that a cell reports, in percent."""
    return f"{100 * min(max(share, 0.0), 1.0):{form}} %"


def shares(rows: object, vocabulary: Vocabulary, most: int = 6) -> str:
    """Return the largest shares by name, as `name 71 %, other 9 %`; empty if there are none."""
    pairs = [row for row in rows if _is_pair(row)] if isinstance(rows, list) else []
    return ", ".join(f"{vocabulary.name(name)} {percent(share)}" for name, share in pairs[:most] if share >= 0.005)


def _is_pair(row: object) -> bool:
    return isinstance(row, Sequence) and len(row) == 2 and plausible(row[1]) is not None
