"""The classifier: may be changed."""

import numpy as np

STEPS = 800
BATCH = 16
RATE = 0.2
L2 = 1e-3


class Model:
    """Logistic regression by stochastic gradient descent on standardised features."""

    def __init__(self, features, labels, seed):
        """Learn from features [n, m] and labels [n]."""
        rng = np.random.default_rng(seed)
        self.mean, self.scale = features.mean(axis=0), features.std(axis=0) + 1e-6
        x = self.standardise(features)
        self.weights, self.bias = rng.normal(0, 0.1, x.shape[1]), 0.0
        for _ in range(STEPS):
            batch = rng.integers(len(x), size=BATCH)
            error = 1 / (1 + np.exp(-x[batch] @ self.weights - self.bias)) - labels[batch]
            self.weights -= RATE * (error @ x[batch] / BATCH + L2 * self.weights)
            self.bias -= RATE * error.mean()

    def standardise(self, features):
        return (features - self.mean) / self.scale

    def score(self, features):
        """Return a number that is higher for a payment [m] that looks more like fraud."""
        return float(self.standardise(np.array(features)) @ self.weights)
