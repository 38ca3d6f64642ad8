"""Prepare a data set: a tokenizer, packed rows of tokens, and the length in bytes of each token.

Every document goes to one of three splits by the hash of its content: `train`, `val` (the score) or `holdout`
(not used before the end). The tokenizer is trained on `train` alone. The same text and settings give the same bytes.
"""

import argparse
import errno
import sys
import time
from pathlib import Path

from autoresearch.config import cache_folder, expand_user
from autoresearch.data import climbmix, exposure, omissions
from autoresearch.data.builder import Builder, find_fault
from autoresearch.data.dataset import Dataset
from autoresearch.data.sources import find_source
from autoresearch.data.workers import say
from autoresearch.errors import UsageError, UserError, describe_install
from autoresearch.sandbox import visible_paths

DEFAULTS = {"cpu": (2048, 64), "cuda": (8192, 2048)}  # vocabulary, tokens in a row
SEARCH_S = 8.0  # for lines of val and holdout in what a cell can read


def prepare(
    source: str = "sotu",
    vocab_size: int | None = None,
    seq_len: int | None = None,
    device: str = "cpu",
    cache: Path | None = None,
    progress: bool = True,
    verify: bool = False,
    shards: int | None = None,
    search_s: float | None = None,
) -> Path:
    """Make the data set unless it exists and is valid; return its folder. Raises UserError.

    `verify`: read every byte of it. `shards`: number of training shards of climbmix. `search_s`: seconds to search what
    a cell can read for lines of val and holdout, by default SEARCH_S.
    """
    cache = cache or cache_folder()
    seconds = SEARCH_S if search_s is None else search_s
    where: Path | str = source
    try:
        builder = _plan(source, vocab_size, seq_len, device, cache, shards, progress, seconds)
        root = builder.path(cache)
        where = root.parent
        if find_fault(root, verify) is not None:
            builder.make(root, verify)
    except ImportError as error:
        hint = f"{describe_install(error.name or '')}, or use a vocabulary of 256 (--vocab-size 256), plain bytes"
        raise UserError(f"{error.name} is missing: {hint}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"no space left in {where}: make room there") from None
        raise UserError(f"{error.filename or where}: {error.strerror or error}") from None
    left_out = omissions.describe(Dataset.open(root).left_out)
    if left_out is not None:
        say(left_out, progress)
    return root


def dataset_path(
    source: str = "sotu",
    vocab_size: int | None = None,
    seq_len: int | None = None,
    device: str = "cpu",
    cache: Path | None = None,
    shards: int | None = None,
) -> Path:
    """Return the folder of the data set that `prepare` makes with the same arguments. Raises UserError, OSError."""
    cache = cache or cache_folder()
    return _plan(source, vocab_size, seq_len, device, cache, shards, progress=False, search_s=0).path(cache)


def _plan(
    source: str,
    vocab_size: int | None,
    seq_len: int | None,
    device: str,
    cache: Path,
    shards: int | None,
    progress: bool,
    search_s: float,
) -> Builder:
    vocab_size, seq_len = _choose_shape(vocab_size, seq_len, device)
    found = find_source(source, shards, cache)
    return Builder(source, found, vocab_size, seq_len, lambda data: _search(data, search_s, progress), progress)


def _choose_shape(vocab_size: int | None, seq_len: int | None, device: str) -> tuple[int, int]:
    if device not in DEFAULTS:
        raise UsageError(f"unknown device {device!r}: use {' or '.join(DEFAULTS)}")
    vocab_size = DEFAULTS[device][0] if vocab_size is None else vocab_size
    seq_len = DEFAULTS[device][1] if seq_len is None else seq_len
    if not 256 <= vocab_size <= 65535:
        raise UsageError(f"a vocabulary of {vocab_size} is out of range: use 256 (plain bytes), or 257 to 65535")
    if not 8 <= seq_len <= 65536:
        raise UsageError(f"rows of {seq_len} tokens are out of range: use 8 to 65536")
    return vocab_size, seq_len


def _search(data: Dataset, seconds: float, progress: bool) -> str | None:
    """Search what a cell can read for lines of val and holdout; return the reason why they are not hidden, or None."""
    if seconds <= 0:
        return None
    from rich.console import Console

    lines, view = exposure.held_out_lines(data), visible_paths.view([], data.readable_library(), False, False)
    console = Console(stderr=True, quiet=not progress)
    label = "searching the files that training code can read for val and holdout"
    if not console.is_terminal:
        say(label, progress)
    with console.status(label) as status:
        found = exposure.search(
            lines, view["readable"], seconds, lambda size: status.update(f"{label}: {size / 1e6:.0f} MB")
        )
    extent = "" if found.is_complete else f", stopped after {seconds:g} s (--search sets another limit)"
    say(f"found {found}, in {found.searched_bytes / 1e6:.0f} MB of text{extent}", progress)
    return found.note


def describe(root: Path) -> str:
    """Return a summary of a data set for people."""
    data = Dataset.open(root)
    lines = [f"{'':8}{'documents':>10}{'bytes':>15}{'tokens':>15}{'rows':>10}{'bytes/token':>13}"]
    for name, n in data.meta["splits"].items():
        numbers = f"{n['documents']:10,}{n['bytes']:15,}{n['tokens']:15,}{n['rows']:10,}"
        lines.append(f"{name:8}{numbers}{n['bytes'] / n['tokens']:13.2f}")
    lines.append(f"vocabulary {data.vocab_size}, rows of {data.seq_len} tokens")
    lines.append(f"left out: {data.meta['duplicates']} exact duplicates")
    lines += [f"left out: {one['count']} {one['reason']}, such as {one['example']}" for one in data.left_out]
    lines += [f"note: {note}" for note in data.weaknesses]
    return "\n".join([*lines, f"data set {data.hash}: {root}"])


def main() -> int:
    """Run the command line of the script prepare.py; return the exit code."""
    gpu = "cuda" if Path("/dev/nvidiactl").exists() else "cpu"
    parser = argparse.ArgumentParser(description="Turn text into a tokenizer and rows of tokens.")
    sources = "sotu (default), files:GLOB[,GLOB...], climbmix, climbmix:FOLDER, or stdlib (graded WEAK)"
    parser.add_argument("--source", default="sotu", help=sources)
    parser.add_argument("--shards", type=int, help=f"of climbmix, for training; default {climbmix.DEFAULT_SHARDS}")
    parser.add_argument("--vocab-size", type=int, help="256 is plain bytes; default 2048, for a GPU 8192")
    parser.add_argument("--seq-len", type=int, help="tokens in a row; default 64, for a GPU 2048")
    parser.add_argument("--device", choices=list(DEFAULTS), default=gpu, help=f"for the defaults; here {gpu}")
    parser.add_argument("--cache", type=expand_user, help="default $AUTORESEARCH_CACHE, or the user's cache folder")
    parser.add_argument("--verify", action="store_true", help="read every byte of an existing data set")
    seconds = f"limit of the search in what a cell can read for val and holdout; default {SEARCH_S:g}"
    parser.add_argument("--search", type=float, dest="search_s", metavar="SECONDS", help=seconds)
    start = time.monotonic()
    try:
        print(describe(prepare(**vars(parser.parse_args()))))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: no partial data set is left", file=sys.stderr)
        return 130
    say(f"{time.monotonic() - start:.1f} s", True)
    return 0
