import numpy as np


class MLP:
    """One hidden layer, ReLU."""

    def __init__(self, inputs, hidden, classes, rng):
        self.w1 = rng.normal(0, np.sqrt(2 / inputs), (inputs, hidden))
        self.w2 = rng.normal(0, np.sqrt(2 / hidden), (hidden, classes))
        self.b1, self.b2 = np.zeros(hidden), np.zeros(classes)

    def forward(self, x):
        """Return the probabilities of the classes."""
        self.x, self.h = x, np.maximum(x @ self.w1 + self.b1, 0)
        logits = self.h @ self.w2 + self.b2
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def step(self, d_logits, lr, weight_decay):
        """Take a step of gradient descent."""
        d_h = (d_logits @ self.w2.T) * (self.h > 0)
        self.w2 -= lr * (self.h.T @ d_logits + weight_decay * self.w2)
        self.w1 -= lr * (self.x.T @ d_h + weight_decay * self.w1)
        self.b2 -= lr * d_logits.sum(axis=0)
        self.b1 -= lr * d_h.sum(axis=0)
