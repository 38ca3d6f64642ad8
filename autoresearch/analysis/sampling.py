"""Sample text from a version, given a file of its weights."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from autoresearch.analysis.checkpoint import read_header
from autoresearch.data.dataset import TOKENIZER, Dataset
from autoresearch.data.encoding import encode
from autoresearch.errors import UserError
from autoresearch.measure.cell_process import Harness
from autoresearch.measure.score import Evaluator
from autoresearch.measure.scoring_cell import EvaluationError
from autoresearch.measure.settings import Settings
from autoresearch.sandbox.cell import CellError
from autoresearch.text import clean


@dataclass(frozen=True)
class Sample:
    """Sampled text and the settings of the sampling."""

    file: str
    prompt: str
    text: str
    tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True)
class Origin:
    """The version that a file of weights belongs to."""

    source: str  # text of train.py
    data: str  # hash of the data set


def draw(
    path: Path,
    prompt: str,
    count: int,
    temperature: float,
    seed: int,
    settings: Settings,
    data: Dataset,
    reserve: AbstractContextManager[None] = nullcontext(),
) -> Sample:
    """Continue a prompt with `count` tokens. The version runs in a cell while `reserve` holds; its text is cleaned.

    Raises UserError if the file is invalid or belongs to another data set, or if the version fails.
    """
    origin = read_origin(path)
    if origin.data != data.hash:
        which = f"({origin.data}; here it is {data.hash})"
        raise UserError(f"{path} was trained on another data set {which}: its tokens have other meanings")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        evaluator = Evaluator(origin.source, fd, Harness(settings, data))
        tokens = encode_prompt(prompt, data)
        with reserve:
            text = clean(evaluator.sample(tokens, count, temperature, seed))
    except (EvaluationError, CellError, SyntaxError) as error:
        raise UserError(f"the version could not be sampled from: {error}") from None
    finally:
        os.close(fd)
    return Sample(str(path), prompt, text, count, temperature, seed)


def encode_prompt(text: str, data: Dataset) -> list[int]:
    """Return the tokens of a document that starts with `text`."""
    tokenizer = data.meta["tokenizer"]
    ranks = (data.root / TOKENIZER).read_bytes() if tokenizer["kind"] == "bpe" else b""
    return [int(token) for token in encode(([text.encode()], ranks, tokenizer["bos"]))]


def read_origin(path: Path) -> Origin:
    """Return what a file of weights belongs to. Raises UserError."""
    try:
        with path.open("rb") as file:
            metadata = read_header(file).get("__metadata__", {})
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if not {"train.py", "data"} <= metadata.keys():
        make = "make one with `autoresearch export --checkpoint FILE`"
        raise UserError(f"{path} does not say which train.py it belongs to: {make}")
    return Origin(str(metadata["train.py"]), str(metadata["data"]))
