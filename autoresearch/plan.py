"""Which constants the base starts with on the device at hand.

`train.py` is written for one device and says so (`DEVICE`). Elsewhere its constants are replaced, as literals, in
the text of experiment 0: an agent sees numbers that fit, and the file stays as simple as it was.
"""

import re

from autoresearch import source

# found by hand on one core with 15 CPU-seconds, vocabulary 2048 and rows of 64 tokens (dev/LOG.md)
CPU: dict[str, int | float] = {
    "DEPTH": 2,
    "MODEL_DIM": 64,
    "HEAD_DIM": 32,
    "VALUE_EMBED_FIRST": 1,
    "VALUE_GATE_DIM": 32,
    "SHORT_WINDOW": 1.0,
    "SOFTCAP": 0.0,
    "BATCH_TOKENS": 1024,
    "MICRO_TOKENS": 1024,
    "MATRIX_LR": 0.04,
    "EMBED_LR": 0.5,
    "HEAD_LR": 0.02,
    "ADAM_BETA2": 0.98,
    "MATRIX_WEIGHT_DECAY": 0.05,
    "MUON_MOMENTUM_END": 0.95,
    "WARMDOWN": 0.6,
    "FINAL_LR": 0.03,
}
PLANS: dict[str, dict[str, int | float]] = {"cpu": CPU}

_DEVICE = re.compile(r'^DEVICE = "(\w+)"', re.MULTILINE)


def fitted(text: str, device: str) -> str:
    """The text with the constants of the device; unchanged if it does not say that it is for another one.

    Constants that the text no longer has are left out: whoever removed them has taken the choice over.
    """
    found = _DEVICE.search(text)
    if found is None or found[1] == device or device not in PLANS:
        return text
    there = {constant.name for constant in source.constants(text)}
    values = {name: value for name, value in PLANS[device].items() if name in there}
    return _DEVICE.sub(f'DEVICE = "{device}"', source.with_constants(text, values), count=1)
