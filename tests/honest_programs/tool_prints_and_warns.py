"""Prints, warns and logs in every call, as research code does."""

import logging
import sys
import warnings

import numpy as np

logger = logging.getLogger("model")


def train(trial):
    counts = np.zeros((trial.vocab_size, trial.vocab_size), np.float32)
    trial.start()
    batches, step = trial.batches(32), 0
    while trial.progress < 1:
        np.add.at(counts, next(batches), 1)
        step += 1
        if step % 100 == 0:
            print(f"step {step}", flush=True)
    trial.save({"counts": counts}, {})


def load(state, config, device):
    logging.basicConfig(level=logging.INFO)
    print("loaded", {name: value.shape for name, value in state.items()})
    calls = 0

    def model(tokens):
        nonlocal calls
        calls += 1
        print("batch", calls, tokens.shape)
        print("stderr too", file=sys.stderr, flush=True)
        warnings.warn(f"call {calls}: zero counts are replaced", stacklevel=2)
        logger.info("call %d of the model", calls)
        with np.errstate(divide="warn"):
            logits = np.log(state["counts"])  # warns: division by zero
        return np.maximum(logits, -2.0)[tokens]

    return model
