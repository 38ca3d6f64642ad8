"""Text for train.py, and the number: in the shape of karpathy/autoresearch, on files of Python's own library.

Usage: python prepare.py (once). Under `autoresearch run`, a trial has a `prepare` of its own instead of this file.
"""

import math
import sysconfig
from pathlib import Path

import torch

MAX_SEQ_LEN = 64  # tokens in a row
TIME_BUDGET = 5  # seconds of training
EVAL_TOKENS = 2**16  # of val
VOCAB_SIZE = 256  # bytes; zero, which no text has, begins a row

FOLDER = Path.home() / ".cache" / "autoresearch" / "example"
FILES = {"train": slice(0, 100), "val": slice(100, 130)}  # of the library's modules, by name
BOS = 0


class Tokenizer:
    @classmethod
    def from_directory(cls, folder=FOLDER):
        return cls()

    def get_vocab_size(self):
        return VOCAB_SIZE

    def get_bos_token_id(self):
        return BOS

    def encode(self, text):
        return list(text.encode())

    def decode(self, ids):
        return bytes(i for i in ids if i != BOS).decode(errors="replace")


def get_token_bytes(device="cpu"):
    return torch.tensor([0] + [1] * (VOCAB_SIZE - 1), device=device)


def make_dataloader(tokenizer, B, T, split):
    """Yield inputs, targets and the epoch, without end; every row begins with BOS."""
    text = torch.frombuffer(bytearray((FOLDER / f"{split}.bin").read_bytes()), dtype=torch.uint8).long()
    rows = text[: len(text) // T * T].view(-1, T)
    rows = torch.cat([torch.full((len(rows), 1), tokenizer.get_bos_token_id()), rows], 1)
    epoch = 0
    while True:
        epoch += 1
        order = torch.randperm(len(rows)) if split == "train" else torch.arange(len(rows))
        for picked in order[: len(order) // B * B].view(-1, B):
            yield rows[picked, :-1], rows[picked, 1:], epoch


@torch.no_grad()
def evaluate_bpb(model, tokenizer, batch_size):
    """Return the bits for each byte of val."""
    lengths, nats, count = get_token_bytes(), 0.0, 0
    loader = make_dataloader(tokenizer, batch_size, MAX_SEQ_LEN, "val")
    for _ in range(EVAL_TOKENS // (batch_size * MAX_SEQ_LEN)):
        x, y, _ = next(loader)
        sizes = lengths[y.reshape(-1)]
        losses = model(x, y.contiguous(), reduction="none").view(-1)
        nats += (losses * (sizes > 0)).sum().item()
        count += sizes.sum().item()
    return nats / (math.log(2) * count)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    for split, part in FILES.items():
        text = b"".join(module.read_bytes() for module in modules[part])
        (FOLDER / f"{split}.bin").write_bytes(text)
        print(f"{split}: {len(text):,} bytes in {FOLDER}")


if __name__ == "__main__":
    main()
