"""Rewrite karpathy/autoresearch's train.py into a version that the referee can measure.

Model, optimiser, schedules and constants are unchanged. Imports, the attention kernel that it downloads, loader, clock
and evaluation are replaced, because it runs offline, in a cell, on other devices. On a CPU nothing is compiled, and
bfloat16 becomes float32.
"""

import ast
from pathlib import Path

SIZE: dict[str, dict[str, int | float]] = {
    "cpu": {"DEPTH": 2, "ASPECT_RATIO": 32, "HEAD_DIM": 32, "TOTAL_BATCH_SIZE": 1024, "DEVICE_BATCH_SIZE": 16},
    "cuda": {},
}  # constants to replace, by device
PREAMBLE = '''"""The original's model and optimiser under our contract."""

import math
from dataclasses import asdict, dataclass
from types import SimpleNamespace

import torch
import torch.nn as nn
import torch.nn.functional as F


def sdpa(q, k, v, causal, window_size):
    """In place of FlashAttention 3."""
    T, mask = q.size(1), None
    if window_size[0] < T - 1:
        back = torch.arange(T, device=q.device)[:, None] - torch.arange(T, device=q.device)
        mask = (back >= 0) & (back <= window_size[0])
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None).transpose(1, 2)


def varlen(q, k, v, causal, window_size):
    """In place of FlashAttention 3, where torch has it with windows."""
    from torch.nn.attention.varlen import varlen_attn

    B, T, H, D = q.shape
    starts = torch.arange(0, (B + 1) * T, T, dtype=torch.int32, device=q.device)
    reach = (window_size[0] if window_size[0] < T - 1 else -1, 0)
    q, k, v = (part.reshape(B * T, H, D) for part in (q, k, v))
    return varlen_attn(q, k, v, starts, starts, T, T, window_size=reach).view(B, T, H, D)


def attention():
    try:
        q = torch.randn(2, 256, 2, 128, device="cuda", dtype=torch.bfloat16, requires_grad=True)
        varlen(q, q, q, True, (64, 0)).sum().backward()
        return varlen
    except Exception as error:
        print(f"attention: sdpa ({error})")
        return sdpa


fa3 = SimpleNamespace(flash_attn_func=attention())
'''
DRIVER = """

def build(vocab_size, seq_len, device):
    dim = -(-DEPTH * ASPECT_RATIO // HEAD_DIM) * HEAD_DIM
    heads = dim // HEAD_DIM
    config = GPTConfig(seq_len, vocab_size, DEPTH, heads, heads, dim, WINDOW_PATTERN)
    with torch.device("meta"):
        model = GPT(config)
    model.to_empty(device=device)
    model.init_weights()
    return model


def autocast(device):
    return torch.amp.autocast(device_type=device, dtype=torch.bfloat16, enabled=device == "cuda")


def train(trial):
    torch.manual_seed(trial.seed)
    torch.set_float32_matmul_precision("high")
    model = build(trial.vocab_size, trial.seq_len, trial.device)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = model.setup_optimizer(
        unembedding_lr=UNEMBEDDING_LR, embedding_lr=EMBEDDING_LR, matrix_lr=MATRIX_LR, weight_decay=WEIGHT_DECAY,
        adam_betas=ADAM_BETAS, scalar_lr=SCALAR_LR,
    )
    run = torch.compile(model, dynamic=False) if trial.device == "cuda" else model
    rows = max(1, DEVICE_BATCH_SIZE)
    passes = max(1, TOTAL_BATCH_SIZE // (rows * trial.seq_len))

    def one_step(batches, step, progress):
        for _ in range(passes):
            x, y = next(batches)
            with autocast(trial.device):
                loss = run(x, y)
            (loss / passes).backward()
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * get_lr_multiplier(progress)
            if group["kind"] == "muon":
                group["momentum"] = get_muon_momentum(step)
                group["weight_decay"] = get_weight_decay(progress)
        optimizer.step()
        model.zero_grad(set_to_none=True)
        return loss.detach()

    def random_tokens():
        while True:
            tokens = torch.randint(trial.vocab_size, (rows, trial.seq_len + 1), device=trial.device)
            yield tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    for step in range(2):
        one_step(random_tokens(), step, 0.0)
    model.load_state_dict(before)
    optimizer.state.clear()
    trial.log(
        num_params=sum(p.numel() for p in model.parameters()),
        tokens_per_step=passes * rows * trial.seq_len,
        flops_per_token=model.estimate_flops(),
    )
    trial.start()
    batches = ((x.contiguous(), y.contiguous()) for x, y in trial.batches(rows))
    step = 0
    while (progress := trial.progress) < 1:
        loss = one_step(batches, step, progress)
        step += 1
        if step % 10 == 0:
            trial.log(step=step, loss=loss.item())
    trial.log(step=step, loss=loss.item())
    trial.save(model.state_dict(), {"vocab_size": trial.vocab_size, "seq_len": trial.seq_len})


def load(state, config, device):
    model = build(config["vocab_size"], config["seq_len"], device)
    model.load_state_dict(state)

    def logits(tokens):
        with autocast(device):
            return model(tokens)

    return logits
"""


def version(folder: Path, device: str, constants: dict[str, int | float]) -> str:
    """Return the original in `folder` as a train.py for the device, with replaced constants."""
    tree = ast.parse((folder / "train.py").read_text())
    kept = [node for node in tree.body if _kept(node)]
    for node in kept:
        if isinstance(node, ast.Assign) and (name := ast.unparse(node.targets[0])) in constants:
            node.value = ast.Constant(constants[name])
        if isinstance(node, ast.FunctionDef) and device == "cpu":
            node.decorator_list = []  # not compiled
    body = "\n\n".join(map(ast.unparse, kept))
    preamble = PREAMBLE
    if device == "cpu":
        body = body.replace(".bfloat16()", ".float()").replace("dtype=torch.bfloat16", "dtype=torch.float32")
        preamble = preamble.replace("flash_attn_func=attention()", "flash_attn_func=sdpa")
    return f"{preamble}\n\n{body}\n{DRIVER}"


def _kept(node: ast.stmt) -> bool:
    """Select classes, functions and literal constants, without statements that have effects."""
    if isinstance(node, ast.ClassDef):
        return True
    if isinstance(node, ast.FunctionDef):
        return node.name != "build_model_config"
    if not isinstance(node, ast.Assign):
        return False
    literal = all(isinstance(part, LITERAL) for part in ast.walk(node.value))
    return literal and ast.unparse(node.targets[0]) in LITERALS


LITERAL = (ast.Constant, ast.List, ast.Tuple, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)
LITERALS = (
    *("polar_express_coeffs", "ASPECT_RATIO", "HEAD_DIM", "WINDOW_PATTERN", "TOTAL_BATCH_SIZE", "EMBEDDING_LR"),
    *("UNEMBEDDING_LR", "MATRIX_LR", "SCALAR_LR", "WEIGHT_DECAY", "ADAM_BETAS", "WARMUP_RATIO", "WARMDOWN_RATIO"),
    *("FINAL_LR_FRAC", "DEPTH", "DEVICE_BATCH_SIZE"),
)
