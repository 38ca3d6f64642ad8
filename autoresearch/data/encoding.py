"""Train a tokenizer, and encode documents as tokens."""

import base64
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from autoresearch.data.dataset import read_ranks
from autoresearch.data.packing import Tokens
from autoresearch.errors import UserError

if TYPE_CHECKING:
    import tiktoken

CHUNK_BYTES = 4 << 20  # of text, encoded at a time
TOKENIZER_TEXT_BYTES = 256 << 20  # of train, that the tokenizer is trained on

# Split text before byte pairs are merged, similar to GPT-4: contractions, words with the character before them,
# numbers of at most two digits, runs of symbols, line ends, blanks. Runs of blanks are bounded because the regular
# expression engines recurse on long ones.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,2}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s{0,99}[\r\n]|\s{1,99}(?!\S)|\s"
)

Job = tuple[Sequence[bytes], bytes, int]  # documents, ranks (empty: plain bytes) and the separator


def train_tokenizer(texts: Sequence[bytes], size: int) -> bytes:
    """Train byte-pair encoding on `texts`; return `size` tokens as lines `base64 rank`. Raises UserError."""
    import rustbpe

    starts = itertools.accumulate(map(len, texts), initial=0)
    sample = (text.decode() for text, start in zip(texts, starts, strict=False) if start < TOKENIZER_TEXT_BYTES)
    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(sample, size, pattern=PATTERN)
    tokens = sorted((rank, bytes(token)) for token, rank in tokenizer.get_mergeable_ranks())
    if len(tokens) < size:
        raise UserError(f"the text gives only {len(tokens)} tokens: use a vocabulary of 256 (--vocab-size 256)")
    return b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in tokens)


@functools.lru_cache(maxsize=1)
def encoder(ranks: bytes) -> "tiktoken.Encoding":
    import tiktoken

    table = {token: rank for rank, token in enumerate(read_ranks(ranks))}
    return tiktoken.Encoding("autoresearch", pat_str=PATTERN, mergeable_ranks=table, special_tokens={})


def encode(job: Job) -> Tokens:
    """Return uint16 tokens `BOS document BOS document ...`; without ranks, tokens are bytes."""
    texts, ranks, bos = job
    parts: list[NDArray[np.unsignedinteger]] = []
    for text in texts:
        tokens = encoder(ranks).encode_to_numpy(text.decode()) if ranks else np.frombuffer(text, np.uint8)
        parts += [np.array([bos], np.uint32), tokens]
    return np.concatenate(parts).astype(np.uint16)


def chunks(texts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield runs of documents of about CHUNK_BYTES."""
    chunk: list[bytes] = []
    size = 0
    for text in texts:
        chunk.append(text)
        size += len(text)
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
