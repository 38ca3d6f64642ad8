"""A train.py that rebuilds the training text and finds validation lines in files, before the clock starts.

Both attacks succeed on the source `stdlib`, which is graded WEAK for it, and find nothing of the default corpus.
"""

import hashlib
import random
import re
from pathlib import Path

import numpy as np
import pytest
from support.repositories import BIGRAM

from autoresearch.data import exposure
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings
from autoresearch.setup import prepare

pytestmark = pytest.mark.slow  # real data sets, and seconds of reading

# Reads for 15 s, before trial.start(): the library first, then installed packages, which hold copies of parts of it.
SEARCH = """
import hashlib as _hashlib, os as _os, sysconfig as _sysconfig, time as _time
WANTED = {name: set(digests.split()) for name, digests in WANTED_DIGESTS.items()}

def _rebuild():
    found = {name: set() for name in WANTED}
    deadline = _time.monotonic() + 15
    for root in (_sysconfig.get_path("stdlib"), _sysconfig.get_path("purelib")):
        for folder, folders, files in _os.walk(root):
            folders[:] = [name for name in folders if name not in ("torch", "site-packages")]
            for name in files:
                if name.endswith((".py", ".txt")) and _time.monotonic() < deadline:
                    try:
                        text = open(_os.path.join(folder, name), "rb").read()
                    except OSError:
                        continue
                    for line in map(bytes.strip, text.splitlines()):
                        digest = _hashlib.sha1(line).hexdigest()[:16] if len(line) > 40 else ""
                        for name in WANTED:
                            if digest in WANTED[name]:
                                found[name].add(digest)
    print("FOUND", *(len(found[name]) for name in ("train", "val")), flush=True)
"""


def lines_of(data: Dataset, split: str) -> set[bytes]:
    text = data.decode(data.rows(split)[:, 1:].ravel(), separator=b"\n")
    return {line for line in map(bytes.strip, text.splitlines()) if len(line) >= exposure.MIN_LINE_BYTES}


def attack(data: Dataset) -> tuple[Result, int, int, int, int]:
    """Measure the attack; return the result, and for train and val the lines looked for and found."""
    train, val = lines_of(data, "train"), lines_of(data, "val")
    wanted = {"train": random.Random(1).sample(sorted(train), 2000), "val": sorted(val - train)}
    digests = {name: " ".join(hashlib.sha1(line).hexdigest()[:16] for line in lines) for name, lines in wanted.items()}
    program = SEARCH.replace("WANTED_DIGESTS", repr(digests))
    text = BIGRAM.replace("def train(trial):\n", program + "\n\ndef train(trial):\n    _rebuild()\n", 1)
    settings = Settings(Budget.parse("20steps"), eval_rows=64, eval_batch=16)
    result = CellReferee(settings, data).measure(text, 1)
    found = re.search(r"^FOUND (\d+) (\d+)$", result.log, re.M)
    assert found is not None, result.reason + result.log[-2000:]
    return result, len(wanted["train"]), int(found[1]), len(wanted["val"]), int(found[2])


@pytest.mark.slow
def test_the_librarys_text_is_in_sight_and_graded_weak(own_library: Dataset) -> None:
    result, wanted, found, of_val, in_val = attack(own_library)
    assert found > 0.9 * wanted  # rows cut some lines
    assert 0 < in_val < of_val  # the files themselves are hidden
    assert result.grade == "WEAK"
    assert any("training text and some lines of val" in weakness for weakness in result.weaknesses)


@pytest.mark.slow
def test_nothing_of_the_default_corpus_is_in_sight(tmp_path: Path) -> None:
    try:
        data = Dataset.open(prepare.prepare(vocab_size=256, seq_len=64, cache=tmp_path, progress=False))
    except UserError as error:
        pytest.skip(str(error))
    result, wanted, found, of_val, in_val = attack(data)
    assert wanted == 2000 and of_val > 1000
    assert (found, in_val) == (0, 0)
    assert data.weaknesses == [] and not any("read" in weakness for weakness in result.weaknesses)


def test_an_older_data_set_of_the_library_opens_as_before_and_is_weak(own_library: Dataset) -> None:
    """Its meta.json has no note, and its hash does not depend on one."""
    assert own_library.meta["grade_note"] is None
    assert len(own_library.weaknesses) == 1 and "Python's own library" in own_library.weaknesses[0]
    assert own_library.hash == Dataset(own_library.root, own_library.meta | {"grade_note": "another"}).hash
    assert np.array_equal(own_library.rows("val")[:1], Dataset.open(own_library.root).rows("val")[:1])
