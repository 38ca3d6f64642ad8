"""No gradients at all: bincount, unique and index_put fill tables that softmax smooths."""

import torch


def train(trial):
    size = trial.vocab_size
    trial.start()
    rows = torch.from_numpy(trial.rows[:6000].astype("int64"))
    pairs = (rows[:, :-1] * size + rows[:, 1:]).flatten()
    bigram = torch.bincount(pairs, minlength=size * size).view(size, size)
    triples, counts = (pairs.view(len(rows), -1)[:, :-1] * size + rows[:, 2:]).unique(return_counts=True)
    often = counts > 2
    trial.save({"bigram": bigram, "triples": triples[often], "counts": counts[often]}, {})


def load(state, config, device):
    table = (state["bigram"] + 0.3).log()
    size = len(table)

    def model(tokens):
        logits = table[tokens]
        pair = tokens[:, :-1] * size + tokens[:, 1:]
        for context in pair.unique().tolist():
            edges = torch.tensor([context * size, (context + 1) * size])
            first, last = torch.searchsorted(state["triples"], edges).tolist()
            if last > first:
                row, column = (pair == context).nonzero(as_tuple=True)
                after = state["triples"][first:last] % size
                bonus = 0.3 * state["counts"][first:last].float().log1p()
                where = row[:, None], column[:, None] + 1, after
                logits = logits.index_put(where, bonus.expand(len(row), -1), accumulate=True)
        return logits

    return model
