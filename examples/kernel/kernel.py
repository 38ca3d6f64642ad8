"""The kernel: the file that may change."""

import numpy as np


def scan(decay, inputs):
    """Return h with h[t] = decay[t] * h[t - 1] + inputs[t] and h[-1] = 0, for arrays of [time, channels] in float32."""
    states = np.empty_like(inputs)
    state = np.zeros_like(inputs[0])
    for t in range(len(inputs)):
        state = decay[t] * state + inputs[t]
        states[t] = state
    return states
