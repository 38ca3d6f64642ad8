from pathlib import Path

import numpy as np


def load_train(path="data/train.txt"):
    """Return images [n, 64] and labels [n], 40 % of which are wrong."""
    lines = [line.split() for line in Path(path).read_text().splitlines()]
    return pixels(line[1] for line in lines), np.array([int(line[0]) for line in lines])


def load_images(path):
    return pixels(Path(path).read_text().split())


def pixels(rows):
    values = np.array([[int(value) for value in row] for row in rows], dtype=np.float32)
    return (values - 3.0) / 3.0
