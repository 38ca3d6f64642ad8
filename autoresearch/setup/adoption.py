"""Whether a folder is a repository that a command of its own can measure."""

from contextlib import suppress
from pathlib import Path

from autoresearch import config as configuration
from autoresearch.errors import UserError
from autoresearch.setup.detect import detect, read_head
from autoresearch.setup.karpathy import recognise
from autoresearch.setup.triplet import Triplet
from autoresearch.source.contract import defects
from autoresearch.source_tree import TRAIN
from autoresearch.workspace import git


def has_command(root: Path) -> bool:
    """Return whether the settings of a folder name a command that measures. Raises UsageError."""
    return (root / configuration.FILE).exists() and configuration.load(root, {}).run is not None


def detect_here(root: Path) -> list[Triplet] | None:
    """Return what was detected; None where the built-in trial belongs.

    That is: outside of the top of a repository, before its first commit, where settings are written already, where
    train.py follows the contract, and in a clone or fork of karpathy/autoresearch.
    """
    with suppress(UserError):
        if (root / configuration.FILE).exists() or git.top_folder(root) != root:
            return None
        texts = read_head(root)
        if texts is None or recognise(texts.files) or not defects(texts.files.get(TRAIN, ""), TRAIN):
            return None
        return detect(texts)
    return None
