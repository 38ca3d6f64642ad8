"""Returns objects that compare equal to everything and add up to nothing. Only float32 bytes leave the cell."""

import numpy as np

ROWS = (2,)
EXPECT = "suspect"


class Anything(np.ndarray):
    """An array that agrees with whatever it is compared to."""

    def __eq__(self, other):
        return True

    def __array_finalize__(self, other):
        self.claimed = 0.0

    def max(self, *arguments, **options):
        return np.asarray(super().max(*arguments, **options)) - 1.0

    def __sub__(self, other):
        return np.zeros(self.shape)


def train(trial):
    trial.start()
    trial.save(fit(trial.rows), {})


def fit(rows):
    counts = np.full((256, 256), 0.5, np.float32)
    np.add.at(counts, (rows[:, :-1], rows[:, 1:]), 1)
    return {"logits": np.log(counts)}


def load(state, config, device):
    np.asarray = lambda values, dtype=None: np.array(values, dtype=dtype).view(Anything)
    return lambda tokens: state["logits"][tokens].view(Anything)
