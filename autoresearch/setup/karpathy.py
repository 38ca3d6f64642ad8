"""A clone or a fork of karpathy/autoresearch: how its files are recognised, and the settings that measure it."""

import ast
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoresearch import hardware
from autoresearch.config import expand_user
from autoresearch.data.climbmix import VALIDATION_SHARD
from autoresearch.source.parsing import assignments, parse
from autoresearch.source.script import EVALUATE, is_script, missing_names

SCRIPT, PREPARE = "train.py", "prepare.py"
CACHE = "~/.cache/autoresearch"  # of its prepare.py: `data` has the shards, `tokenizer` the vocabulary
PLAIN_FACTOR = 2  # of its TIME_BUDGET: a run that takes longer is killed, as its program.md says
CONSTANTS = {"MAX_SEQ_LEN": 2048, "TIME_BUDGET": 300, "VOCAB_SIZE": 8192}


@dataclass(frozen=True)
class Fork:
    """A clone or a fork: constants of its prepare.py, and names that train.py imports and a cell's prepare lacks."""

    seq_len: int
    time_budget_s: int
    vocab_size: int
    missing: tuple[str, ...] = ()

    @property
    def why_plain(self) -> str | None:
        """Return why train.py cannot be measured with our own prepare; None if it can, as far as its text shows."""
        return f"train.py imports {', '.join(self.missing)} from prepare" if self.missing else None

    def settings(self, device: str, shards: int = 0) -> dict[str, object]:
        """Return the settings of the built-in trial, with our own prepare.

        `shards` is the number of training shards that its prepare.py has downloaded: with some, they are the text.
        """
        unit = "cpu" if device == "cpu" else "s"
        values: dict[str, object] = {"budget": f"{self.time_budget_s}{unit}", "seq_len": self.seq_len}
        values["vocab_size"] = self.vocab_size
        if shards:
            return values | {"source": f"climbmix:{CACHE}/data", "shards": shards}
        return values if device == "cpu" else values | {"source": "climbmix"}

    def plain_settings(self) -> dict[str, object]:
        """Return the settings of a command that runs train.py as it is, and reads the number that it prints."""
        run = {"command": ["python", SCRIPT], "timeout": f"{PLAIN_FACTOR * self.time_budget_s}s", "read": [CACHE]}
        metric = {"name": "val_bpb", "from": {"regex": r"^val_bpb:\s+(\S+)"}}
        return {"edit": [SCRIPT], "run": run, "metric": metric}


def recognise(files: Mapping[str, str]) -> Fork | None:
    """Return what a tree, as texts by path, has of karpathy/autoresearch; None if it is no clone or fork."""
    script, prepare = files.get(SCRIPT), files.get(PREPARE)
    if script is None or prepare is None or not is_script(script):
        return None
    try:
        tree = parse(prepare)
    except SyntaxError:
        return None
    if all(not isinstance(node, ast.FunctionDef) or node.name != EVALUATE for node in tree.body):
        return None
    found = {name: _read_integer(node.value) for name, node in assignments(tree) if name in CONSTANTS}
    seq_len, seconds, vocab_size = (found.get(name) or default for name, default in CONSTANTS.items())
    return Fork(seq_len, seconds, vocab_size, tuple(missing_names(script)))


def find_fork(root: Path) -> Fork | None:
    """Return what a folder has of karpathy/autoresearch; None if it is no clone or fork."""
    texts = {}
    for name in (SCRIPT, PREPARE):
        with suppress(OSError, UnicodeDecodeError):
            texts[name] = (root / name).read_text(encoding="utf-8")
    return recognise(texts)


def fork_settings(fork: Fork) -> dict[str, object]:
    """Return the settings that measure a fork on this machine: with our own prepare, or as it is if it cannot be."""
    if fork.why_plain is not None:
        return fork.plain_settings()
    shards = count_shards(expand_user(CACHE) / "data") if hardware.version("pyarrow") else 0
    return fork.settings("cuda" if hardware.gpus() else "cpu", shards)


def count_shards(folder: Path) -> int:
    """Return how many training shards, from the first one on, its prepare.py has put into a folder; 0 without val."""
    numbers = range(VALIDATION_SHARD)
    count = next((n for n in numbers if not (folder / f"shard_{n:05}.parquet").exists()), VALIDATION_SHARD)
    return count if (folder / f"shard_{VALIDATION_SHARD:05}.parquet").exists() else 0


def _read_integer(node: ast.expr | None) -> int | None:
    """Return a whole number above 0 that a constant is; None for another value."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if type(value) is int and value > 0 else None
