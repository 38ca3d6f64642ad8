"""The network: the file that may change."""


def comparators(wires):
    """Return pairs of wires; each puts the smaller value on the first one."""
    return [(wire, wire + 1) for last in range(1, wires) for wire in reversed(range(last))]  # insertion sort
