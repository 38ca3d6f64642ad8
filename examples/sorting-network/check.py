"""Prove that IN/network.json sorts, and print the number of its comparators.

python check.py IN

The 0-1 principle: a network that sorts every sequence of zeros and ones sorts every sequence. There are 65,536 of them;
bit k of the integer of a wire is its value in sequence k, so one `&` and one `|` compare in all of them.
"""

import json
import sys
from pathlib import Path

WIRES = 16
EVERY = 2**2**WIRES - 1  # a one for each sequence


def find_unsorted(network):
    """Return a sequence of zeros and ones that is not sorted, or None. Raises ValueError."""
    values = [EVERY // (2**2**wire + 1) << 2**wire for wire in range(WIRES)]
    for low, high in map(check_pair, network):
        values[low], values[high] = values[low] & values[high], values[low] | values[high]
    wrong = 0
    for wire in range(WIRES - 1):
        wrong |= values[wire] & ~values[wire + 1]
    return f"{wrong.bit_length() - 1:016b}"[::-1] if wrong else None


def check_pair(pair):
    """Return a pair if it is one of two wires in order. Raises ValueError."""
    if not (isinstance(pair, list) and len(pair) == 2 and all(type(wire) is int for wire in pair)):
        raise ValueError(f"{pair} is no pair of wires")
    if not 0 <= pair[0] < pair[1] < WIRES:
        raise ValueError(f"{pair}: wires are 0 to {WIRES - 1}, the smaller one first")
    return pair


if __name__ == "__main__":
    network = json.loads(Path(sys.argv[1], "network.json").read_text())
    if unsorted := find_unsorted(network):
        sys.exit(f"does not sort {unsorted}")
    print(f"comparators: {len(network)}")
