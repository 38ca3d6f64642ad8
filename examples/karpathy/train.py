"""A small GPT in the shape of karpathy/autoresearch: a script that imports `prepare`, trains, and evaluates.

Usage: python train.py (after python prepare.py), or `autoresearch run` in this folder.
"""

import math
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader

# Model
DEPTH = 1
WIDTH = 32
HEADS = 2

# Training
BATCH_ROWS = 8  # in a pass
PASSES = 1  # in a step
LEARNING_RATE = 0.0005
WARMDOWN = 0.5  # share of the budget in which the learning rate falls to zero
WARM_UP_STEPS = 10  # that do not count


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(norm(x)).view(B, T, 3, HEADS, C // HEADS).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.relu(self.up(norm(x))).square())


class GPT(nn.Module):
    def __init__(self, vocab_size, seq_len):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, WIDTH)
        self.positions = nn.Parameter(torch.zeros(seq_len, WIDTH))
        self.blocks = nn.ModuleList([Block() for _ in range(DEPTH)])
        self.head = nn.Linear(WIDTH, vocab_size, bias=False)

    def forward(self, idx, targets=None, reduction="mean"):
        x = self.tokens(idx) + self.positions[: idx.size(1)]
        for block in self.blocks:
            x = block(x)
        logits = self.head(norm(x)).float()
        if targets is None:
            return logits
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), reduction=reduction)


t_start = time.time()
torch.manual_seed(42)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
autocast = torch.amp.autocast(device_type=device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")

tokenizer = Tokenizer.from_directory()
model = GPT(tokenizer.get_vocab_size(), MAX_SEQ_LEN).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0)
train_loader = make_dataloader(tokenizer, BATCH_ROWS, MAX_SEQ_LEN, "train")
x, y, epoch = next(train_loader)

training_time, step = 0.0, 0
while True:
    t0 = time.time()
    for _ in range(PASSES):
        with autocast:
            loss = model(x, y)
        (loss / PASSES).backward()
        x, y, epoch = next(train_loader)
    progress = min(training_time / TIME_BUDGET, 1.0)
    for group in optimizer.param_groups:
        group["lr"] = LEARNING_RATE * min(1.0, (1.0 - progress) / WARMDOWN)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if math.isnan(loss.item()):
        print("FAIL")
        exit(1)
    if step > WARM_UP_STEPS:
        training_time += time.time() - t0
    step += 1
    if step > WARM_UP_STEPS and training_time >= TIME_BUDGET:
        break

model.eval()
with autocast:
    val_bpb = evaluate_bpb(model, tokenizer, BATCH_ROWS)

print("---")
print(f"val_bpb:          {val_bpb:.6f}")
print(f"training_seconds: {training_time:.1f}")
print(f"total_seconds:    {time.time() - t_start:.1f}")
print(f"num_steps:        {step}")
print(f"num_params_M:     {sum(p.numel() for p in model.parameters()) / 1e6:.1f}")
