"""Answers of a model about tokens, computed inside a cell; numpy and torch are imported only where they are used."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

Array = Any  # a numpy array, or a torch tensor where torch is not None
Model = Callable[[Array], Array]  # tokens [batch, seq_len] -> logits [batch, seq_len, vocab_size]


def losses(model: Model, tokens: Array, device: str, torch: ModuleType | None) -> Array:
    """Return minus log-likelihood of each next token, float32 [batch, seq_len], for tokens [batch, seq_len + 1]."""
    numpy = importlib.import_module("numpy")
    if torch is None:
        logits = numpy.asarray(model(tokens[:, :-1]))
        return numpy.stack([_row_losses(row, after) for row, after in zip(logits, tokens[:, 1:], strict=True)])
    with torch.inference_mode():
        x = torch.from_numpy(tokens).to(device)
        logits = model(x[:, :-1])
        losses = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), x[:, 1:].flatten(), reduction="none")
        return losses.view(len(tokens), -1).cpu().numpy()


def _row_losses(logits: Array, targets: Array) -> Array:
    """Return minus log-likelihood float64 [seq_len] of `targets` under `logits` [seq_len, vocab_size] of any type.

    One row at a time stays in the cache. exp is taken in float32: with the sum in float64, its error (4e-8) is below
    what the float32 of a claim rounds away.
    """
    numpy = importlib.import_module("numpy")
    top = logits.max(-1, keepdims=True).astype("float64")
    total = numpy.exp((logits - top).astype("float32")).sum(-1, dtype="float64")
    return numpy.log(total) + top[:, 0] - numpy.take_along_axis(logits, targets[:, None], -1)[:, 0]


def logits_at(model: Model, tokens: Array, positions: Array, device: str, torch: ModuleType | None) -> Array:
    """Return logits of the token after `positions`, float32 [batch, vocab_size], for tokens [batch, seq_len]."""
    numpy = importlib.import_module("numpy")
    if torch is None:
        return numpy.asarray(model(tokens))[numpy.arange(len(tokens)), positions]
    with torch.inference_mode():
        logits = model(torch.from_numpy(tokens).to(device))
        picked = logits[torch.arange(len(tokens), device=device), torch.from_numpy(positions).to(device)]
        return picked.float().cpu().numpy()


def draw(
    logits_at: Callable[[Array, Array], Array],
    prompt: list[int],
    answer: Array,
    seq_len: int,
    temperature: float,
    seed: int,
) -> None:
    """Fill `answer` (int32) with tokens, each drawn by the logits after `prompt` and the tokens before.

    `logits_at` takes tokens [1, seq_len] and a position [1]. A model may need full rows: a short window is padded
    behind the position, where a causal model cannot look.
    """
    numpy = importlib.import_module("numpy")
    rng = numpy.random.default_rng(seed)
    tokens = list(prompt)
    for k in range(len(answer)):
        window = tokens[-seq_len:]
        row = numpy.zeros((1, seq_len), dtype="int64")
        row[0, : len(window)] = window
        logits = numpy.asarray(logits_at(row, numpy.array([len(window) - 1]))[0], dtype="float64")
        noise = rng.gumbel(size=len(logits)) if temperature > 0 else 0.0
        answer[k] = int(numpy.argmax(logits / (temperature or 1.0) + noise))
        tokens.append(int(answer[k]))
