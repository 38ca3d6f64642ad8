"""The module `prepare` of a script, inside a cell: its names are those of karpathy/autoresearch's, its rows are ours.

Training rows come from the referee. The validation text is not here: `evaluate_bpb` hands over the model instead.
"""

import base64
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NoReturn, Protocol

from autoresearch.measure import wire
from autoresearch.measure.answers import Array

NOT_HERE = "the validation text is not in this cell: call evaluate_bpb(model, tokenizer, batch_size), at the end"
NO_TEXT = "the text of tokens is not in a cell: train on the batches of make_dataloader"


class Feed(Protocol):
    """Training rows for a script."""

    @property
    def epoch(self) -> int: ...

    def batches(self, size: int) -> Iterator[tuple[Array, Array]]:
        """Yield pairs x, y on the device, int64 [size, seq_len], without end."""


class ModelHandedOver(BaseException):
    """The script has called evaluate_bpb: nothing of it runs after that."""


def make_prepare(
    hello: wire.Fields, time_budget: float, feed: Feed, hand_over: Callable[[Any], None], torch: ModuleType
) -> ModuleType:
    """Return the module `prepare`; `hand_over` gets the model that evaluate_bpb is called with."""

    def evaluate_bpb(model: Any, *arguments: object, **options: object) -> NoReturn:
        hand_over(model)
        raise ModelHandedOver

    def make_dataloader(tokenizer: object, B: int, T: int, split: str, *rest: object, **options: object) -> Any:
        if split != "train":
            raise RuntimeError(NOT_HERE)
        if hello["seq_len"] < T:
            raise ValueError(f"make_dataloader: T is {T}, and the rows have MAX_SEQ_LEN = {hello['seq_len']} tokens")
        return ((x[:, :T].contiguous(), y[:, :T].contiguous(), feed.epoch) for x, y in feed.batches(B))

    module = ModuleType("prepare")
    module.__dict__.update(
        MAX_SEQ_LEN=hello["seq_len"],
        TIME_BUDGET=time_budget,
        EVAL_TOKENS=hello["prepare"]["eval_tokens"],
        VOCAB_SIZE=hello["vocab_size"],
        Tokenizer=_make_tokenizer(hello),
        make_dataloader=make_dataloader,
        evaluate_bpb=evaluate_bpb,
        get_token_bytes=lambda device="cpu", **options: torch.tensor(_read_lengths(hello), device=device),
    )
    return module


def _make_tokenizer(hello: wire.Fields) -> type:
    class Tokenizer:
        """Vocabulary of the referee's rows: its size, and the token that begins a document."""

        @classmethod
        def from_directory(cls, *folder: object, **options: object) -> "Tokenizer":
            return cls()

        def get_vocab_size(self) -> int:
            return int(hello["vocab_size"])

        def get_bos_token_id(self) -> int:
            return int(hello["prepare"]["bos"])

        def encode(self, *text: object, **options: object) -> NoReturn:
            raise RuntimeError(NO_TEXT)

        decode = encode

    return Tokenizer


def pack_lengths(lengths: bytes) -> str:
    """Return the byte lengths of all tokens, one byte each, as a field of a message."""
    return base64.b64encode(zlib.compress(lengths, 9)).decode()


def _read_lengths(hello: wire.Fields) -> list[int]:
    return list(zlib.decompress(base64.b64decode(hello["prepare"]["token_bytes"])))
