"""Train on noisy labels; write predictions for the test images to results.json."""

import argparse
import json
from pathlib import Path

import numpy as np
from data import load_images, load_train
from model import MLP


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--output-dir", default="output")
    return parser.parse_args()


def loss_gradient(probabilities, labels):
    """Return the gradient of the mean cross-entropy with respect to the logits."""
    gradient = probabilities.copy()
    gradient[np.arange(len(labels)), labels] -= 1
    return gradient / len(labels)


def main():
    args = parse_args()
    rng = np.random.default_rng(args.seed)
    x, y = load_train()
    model = MLP(x.shape[1], args.hidden, 10, rng)
    for epoch in range(args.epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), args.batch_size):
            batch = order[start : start + args.batch_size]
            model.step(loss_gradient(model.forward(x[batch]), y[batch]), args.lr, args.weight_decay)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: train accuracy {(model.forward(x).argmax(axis=1) == y).mean():.3f}")
    results = {"args": vars(args)}
    for split in ("test", "sealed"):
        results[split] = model.forward(load_images(f"data/{split}.txt")).argmax(axis=1).tolist()
    Path(args.output_dir).mkdir(parents=True, exist_ok=True)
    Path(args.output_dir, "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
