"""Compresses its tables into one byte string with zlib and npz; load unpacks them through file objects in memory."""

import io

import numpy as np


def train(trial):
    counts = np.zeros((trial.vocab_size, trial.vocab_size), np.uint16)
    trial.start()
    batches = trial.batches(8)
    while trial.progress < 0.9:
        np.add.at(counts, next(batches), 1)
    packed = io.BytesIO()
    np.savez_compressed(packed, counts=counts, smoothing=np.float32(0.4))
    trial.save({"packed": np.frombuffer(packed.getvalue(), np.uint8)}, {})


def load(state, config, device):
    import zlib

    with np.load(io.BytesIO(state["packed"].tobytes())) as archive:
        tables = {name: archive[name] for name in archive.files}
    again = zlib.compress(tables["counts"].tobytes(), 1)
    counts = np.frombuffer(zlib.decompress(again), np.uint16).reshape(tables["counts"].shape)
    logits = np.log(counts + tables["smoothing"])
    return lambda tokens: logits[tokens]
