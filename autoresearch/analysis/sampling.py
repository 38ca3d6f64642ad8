"""Text that a version goes on with, from a file of weights."""

import os
from dataclasses import dataclass
from pathlib import Path

import prepare
from autoresearch.analysis.checkpoint import read_header
from autoresearch.data.dataset import TOKENIZER, Dataset
from autoresearch.errors import UserError
from autoresearch.measure.sample import sample
from autoresearch.measure.score import EvaluationError, Evaluator
from autoresearch.measure.settings import Settings
from autoresearch.sandbox.cell import CellError
from autoresearch.text import clean


@dataclass(frozen=True)
class Sample:
    """What was said first, what the model went on with, and how it was drawn."""

    file: str
    prompt: str
    text: str
    tokens: int
    temperature: float
    seed: int


def draw(
    path: Path, prompt: str, count: int, temperature: float, seed: int, settings: Settings, data: Dataset
) -> Sample:
    """Let the version whose weights are in a file go on with a text. Its code runs in a cell; what it says is cleaned.

    Raises UserError where the file is none, does not fit the data set, or the version fails.
    """
    source, trained_on = _about(path)
    if trained_on != data.hash:
        which = f"({trained_on}; here it is {data.hash})"
        raise UserError(f"{path} was trained on another data set {which}: its tokens mean other text")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = clean(sample(Evaluator(source, fd, settings, data), tokens_of(prompt, data), count, temperature, seed))
    except (EvaluationError, CellError) as error:
        raise UserError(f"the version could not be sampled from: {error}") from None
    finally:
        os.close(fd)
    return Sample(str(path), prompt, text, count, temperature, seed)


def tokens_of(text: str, data: Dataset) -> list[int]:
    """The beginning of a document, as the model saw them in training."""
    tokenizer = data.meta["tokenizer"]
    ranks = (data.root / TOKENIZER).read_bytes() if tokenizer["kind"] == "bpe" else None
    return [int(token) for token in prepare.encode(([text.encode()], ranks, tokenizer["bos"]))]


def _about(path: Path) -> tuple[str, str]:
    """The text of train.py that a file of weights belongs to, and the data set that it was trained on."""
    try:
        with path.open("rb") as file:
            about = read_header(file).get("__metadata__", {})
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if not {"train.py", "data"} <= about.keys():
        make = "make one with `autoresearch export --checkpoint FILE`"
        raise UserError(f"{path} does not say which train.py it belongs to: {make}")
    return str(about["train.py"]), str(about["data"])
