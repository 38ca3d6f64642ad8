"""The two bases of a CPU: the one that sessions start from, and the one tuned by hand for 15 CPU-seconds on one core.

A session starts from the untuned one. Comparisons with the original, of samplers, and of rules need the other, too:
there is little to find in it.
"""

import json
from pathlib import Path

from autoresearch.setup import plan
from autoresearch.source.constants import with_constants

TRAIN = Path(__file__).resolve().parents[1] / "train.py"
TUNED = Path(__file__).with_name("tuned_cpu") / "constants.json"


def untuned() -> str:
    """Return train.py with sizes for a CPU."""
    return plan.fit_device(TRAIN.read_text(), "cpu")


def tuned() -> str:
    """Return train.py with all constants for a CPU, as they were found by hand (docs/training.md)."""
    return with_constants(untuned(), json.loads(TUNED.read_text()))


BASES = {"untuned": untuned, "tuned": tuned}
