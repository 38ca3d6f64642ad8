"""One score that must never change by accident."""

import hashlib
import json
from pathlib import Path

import numpy as np

from autoresearch import hardware
from autoresearch.data.dataset import FORMAT, Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings

GOLDEN = {1: 2.466204, 2: 2.466204}  # val_bpb by EVALUATOR
VOCABULARY, LENGTH = 64, 16


def fixed_data(root: Path) -> Dataset:
    """A data set made without prepare.py, whose rows follow from arithmetic; token 0 separates documents."""
    (root / "held").mkdir(parents=True)
    n = np.arange(40_000, dtype=np.int64)
    tokens = ((n * n * 7 + n // 3 + (n // 11) * (n % 5)) % VOCABULARY).astype(np.uint16)
    rows = np.lib.stride_tricks.sliding_window_view(tokens, LENGTH + 1)[::LENGTH]
    parts = {
        "train-0000.bin": rows[:2000],
        "held/val.bin": rows[2000:2200],
        "held/holdout.bin": rows[2200:2400],
        "token_bytes.bin": (1 + np.arange(VOCABULARY, dtype=np.uint16) % 4) * (np.arange(VOCABULARY) > 0),
    }
    files = {}
    for name, values in parts.items():
        data = np.ascontiguousarray(values.astype(np.uint16)).tobytes()
        (root / name).write_bytes(data)
        files[name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    meta = {"format": FORMAT, "vocab_size": VOCABULARY, "seq_len": LENGTH, "files": files, "readable_library": None}
    meta |= {"tokenizer": {"kind": "bytes", "bos": 0}, "splits": {}, "grade_note": None, "source": "arithmetic"}
    (root / "meta.json").write_text(json.dumps(meta))
    return Dataset.open(root)


def test_the_golden_score(bigram: str, tmp_path: Path) -> None:
    data = fixed_data(tmp_path / "data")
    settings = Settings(Budget.parse("50steps"), eval_rows=128, eval_batch=16)
    result = CellReferee(settings, data).measure(bigram, 1234)
    assert result.outcome == "ok", result.reason + result.log
    assert hardware.EVALUATOR in GOLDEN, "EVALUATOR was raised: write down its golden score here"
    assert round(result.val_bpb or 0.0, 6) == GOLDEN[hardware.EVALUATOR], (
        "the same version, data and seed now give another score. If that is an accident, find it. If it is meant, raise"
        " EVALUATOR in autoresearch/hardware.py and add the new score to GOLDEN, so that no session compares the"
        " two"
    )
