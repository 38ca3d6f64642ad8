"""A hidden Markov model, trained by gradient-free Baum-Welch sweeps; the forward pass predicts each next token."""

import numpy as np

STATES = 12


def forward(start, move, emit, tokens):
    """Return beliefs about the state before each token is seen, [B, T + 1, STATES]."""
    belief = np.broadcast_to(start, (len(tokens), STATES))
    out = [belief]
    for t in range(tokens.shape[1]):
        belief = belief * emit[:, tokens[:, t]].T
        belief = belief / belief.sum(1, keepdims=True) @ move
        out.append(belief)
    return np.stack(out, 1)


def train(trial):
    rng = np.random.default_rng(trial.seed)
    start = np.full(STATES, 1 / STATES)
    move = rng.dirichlet(np.ones(STATES), STATES)
    emit = rng.dirichlet(np.full(trial.vocab_size, 5.0), STATES)
    trial.start()
    batches = trial.batches(64)
    while trial.progress < 1:
        x, _ = next(batches)
        before = forward(start, move, emit, x)[:, :-1]
        share = before * np.moveaxis(emit[:, x], 0, -1)
        share /= share.sum(-1, keepdims=True)  # filtering in place of smoothing: half an E-step
        fresh = np.full_like(emit, 0.01)
        for k in range(STATES):
            np.add.at(fresh[k], x, share[..., k])
        pairs = np.einsum("bti,ij,btj->ij", share[:, :-1], move, share[:, 1:] / before[:, 1:]) + 0.01
        emit = 0.5 * emit + 0.5 * fresh / fresh.sum(1, keepdims=True)
        move = 0.5 * move + 0.5 * pairs / pairs.sum(1, keepdims=True)
    trial.save({"start": start, "move": move, "emit": emit}, {})


def load(state, config, device):
    start, move, emit = state["start"], state["move"], state["emit"]
    return lambda tokens: np.log(forward(start, move, emit, tokens)[:, 1:] @ emit)
