"""Train a small neural language model of bytes in numpy. This is the one file that research may change.

The model is that of Bengio et al. (2003), "A neural probabilistic language model": the last CONTEXT bytes are looked up
in a table of embeddings, a hidden layer sees them side by side, and a softmax predicts the next byte. `train(trial)`
gets its data, its clock and its seed from the trial; `load(state, config, device)` rebuilds the model in another
process, where it is scored.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Tokens = npt.NDArray[np.integer]
Weights = dict[str, Array]

# ----------------------------------------------------------------------------
# Constants: defaults of textbooks and papers. None of them was tuned for this text or for this budget.

# model, as in the best network of Bengio et al. (2003, table 1: n = 5, m = 30, h = 100)
CONTEXT = 4  # bytes that it sees
EMBED_DIM = 30  # numbers for each of them
HIDDEN = 100  # units of the hidden layer
INIT_GAIN = 1.0  # of the variance 2 / (inputs + outputs) of a weight at the start (Glorot and Bengio, 2010)

# optimisation
BATCH_ROWS = 32  # rows of text in a step; 32 is "a good default value" (Bengio, 2012)
LEARNING_RATE = 0.001  # Adam: the rate and both decays are the defaults of Kingma and Ba (2015)
BETA1 = 0.9  # decay of the mean of the gradients
BETA2 = 0.999  # decay of the mean of their squares
WEIGHT_DECAY = 0.01  # AdamW: the default of PyTorch
CLIP_NORM = 1.0  # longest gradient of a step (GPT-3: Brown et al., 2020)
WARMDOWN = 0.2  # last share of the run, over which the rate falls (Haegele et al., 2024) ...
FINAL_LR = 0.1  # ... to this share of its height (Hoffmann et al., 2022)


# ----------------------------------------------------------------------------
# Model


def init_weights(rng: np.random.Generator, vocab_size: int) -> Weights:
    shapes = {"embed": (vocab_size, EMBED_DIM), "hidden": (CONTEXT * EMBED_DIM, HIDDEN), "head": (HIDDEN, vocab_size)}
    weights = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    for name in ("hidden", "head"):
        weights[name] *= np.sqrt(2 * INIT_GAIN / sum(shapes[name]))
    weights |= {"hidden_bias": np.zeros(HIDDEN), "head_bias": np.zeros(vocab_size)}
    return {name: weight.astype(np.float32) for name, weight in weights.items()}


def contexts(tokens: Tokens, width: int) -> Tokens:
    """Return the last `width` tokens up to each position, [B * T, width]; zeros stand before the row."""
    padded = np.pad(tokens, ((0, 0), (width - 1, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, width, axis=1).reshape(-1, width)


def forward(weights: Weights, seen: Tokens) -> tuple[Array, Array, Array]:
    """Return the inputs of the hidden layer, its units, and the logits, for contexts [N, width]."""
    inputs = weights["embed"][seen].reshape(len(seen), -1)
    units = np.tanh(inputs @ weights["hidden"] + weights["hidden_bias"])
    return inputs, units, units @ weights["head"] + weights["head_bias"]


def loss_and_gradients(weights: Weights, tokens: Tokens, targets: Tokens) -> tuple[float, Weights]:
    """Return the mean loss of a batch [B, T] in nats, and its gradients by backpropagation."""
    seen, truth = contexts(tokens, CONTEXT), (np.arange(targets.size), targets.ravel())
    inputs, units, logits = forward(weights, seen)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -float(np.log(p[truth] + 1e-30).mean())
    p[truth] -= 1  # from here on, the gradient of the logits
    p /= targets.size
    at_units = (p @ weights["head"].T) * (1 - units**2)
    at_inputs = (at_units @ weights["hidden"].T).reshape(seen.size, -1)
    gradients = {"head": units.T @ p, "head_bias": p.sum(0)}
    gradients |= {"hidden": inputs.T @ at_units, "hidden_bias": at_units.sum(0)}
    return loss, gradients | {"embed": sum_by_token(at_inputs, seen.ravel(), len(weights["embed"]))}


def sum_by_token(vectors: Array, tokens: Tokens, vocab_size: int) -> Array:
    """Return the sum of the vectors of each token. It sorts them, which is five times as fast as np.add.at."""
    order = np.argsort(tokens, kind="stable")
    present, first = np.unique(tokens[order], return_index=True)
    sums = np.zeros((vocab_size, vectors.shape[1]), vectors.dtype)
    sums[present] = np.add.reduceat(vectors[order], first)
    return sums


# ----------------------------------------------------------------------------
# Training


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), of clipped gradients."""

    def __init__(self, weights: Weights):
        self.weights, self.step = weights, 0
        self.mean = {name: np.zeros_like(weight) for name, weight in weights.items()}
        self.square = {name: np.zeros_like(weight) for name, weight in weights.items()}

    def update(self, gradients: Weights, rate: float) -> None:
        self.step += 1
        norm = np.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in gradients.values()))
        for name, gradient in gradients.items():
            gradient = gradient * min(1.0, CLIP_NORM / (norm + 1e-12))
            self.mean[name] += (1 - BETA1) * (gradient - self.mean[name])
            self.square[name] += (1 - BETA2) * (gradient**2 - self.square[name])
            mean = self.mean[name] / (1 - BETA1**self.step)
            spread = np.sqrt(self.square[name] / (1 - BETA2**self.step))
            self.weights[name] -= rate * (mean / (spread + 1e-8) + WEIGHT_DECAY * self.weights[name])


def learning_rate(progress: float) -> float:
    """Return the rate at a progress of 0 to 1: constant at first, then on a straight line down."""
    left = min(1.0, (1 - progress) / WARMDOWN)
    return LEARNING_RATE * (FINAL_LR + (1 - FINAL_LR) * left)


def train(trial):
    """Initialise the weights; then trial.start() delivers the data and starts the clock."""
    weights = init_weights(np.random.default_rng(trial.seed), trial.vocab_size)
    optimiser, step = AdamW(weights), 0
    trial.save(weights, {"context": CONTEXT})  # a rehearsal: its time is reserved at the end of the budget
    trial.start()
    batches = trial.batches(BATCH_ROWS)
    while (progress := trial.progress) < 1:
        loss, gradients = loss_and_gradients(weights, *next(batches))
        optimiser.update(gradients, learning_rate(progress))
        step += 1
        trial.log(step=step, loss=loss, tokens_per_step=BATCH_ROWS * trial.seq_len)
    trial.save(weights, {"context": CONTEXT})


def load(state, config, device):
    """Return a function from tokens int64 [B, T] to logits [B, T, vocab_size]."""

    def model(tokens):
        return forward(state, contexts(tokens, config["context"]))[2].reshape(*tokens.shape, -1)

    return model
