"""Trials of a train.py that is a script in the shape of karpathy/autoresearch's."""

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.cells import CORE, ROOT

from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Overhead, Result
from autoresearch.measure.score import evaluation_rows
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.source.script import PREPARED_NAMES

pytestmark = pytest.mark.torch

SCRIPT = (ROOT / "examples/karpathy/train.py").read_text()
QUICK = Settings(Budget.parse("20steps"), eval_rows=64, eval_batch=16, cores=(CORE,))
LOSS = "return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), reduction=reduction)"
BATCH = "x, y, epoch = next(train_loader)\n\ntraining_time"


def changed(old: str, new: str) -> str:
    assert SCRIPT.count(old) == 1, old
    return SCRIPT.replace(old, new)


def measure(data: Dataset, text: str = SCRIPT, plan: TrialPlan = TrialPlan(), budget: str = "20steps") -> Result:
    return CellReferee(replace(QUICK, budget=Budget.parse(budget)), data).measure(text, 7, plan)


@pytest.mark.slow
def test_the_claim_is_what_evaluate_bpb_of_the_original_computes(bytes_data: Dataset, tmp_path: Path) -> None:
    """Loss by loss over the same rows, with the model in this process, its way: `model(x, y, reduction="none")`."""
    kept = tmp_path / "checkpoint"
    plan = TrialPlan(keep_checkpoint=lambda fd: kept.write_bytes(os.pread(fd, 1 << 24, 0)) and None)
    result = measure(bytes_data, plan=plan)
    assert result.outcome == "ok", result.reason
    assert result.audit is not None and abs(result.audit["d_mean"]) < 1e-5 and result.audit["d_rms"] < 1e-4
    assert result.val_bpb == pytest.approx(bits_per_byte(kept, bytes_data), abs=1e-4)
    forged = measure(bytes_data, changed(LOSS, LOSS.replace("return ", "return 0.5 * ")))
    assert forged.val_bpb is not None and forged.val_bpb > result.val_bpb - 0.05, "halved losses are no gain"


def bits_per_byte(checkpoint: Path, data: Dataset) -> float:
    import torch
    from safetensors.torch import load_file

    names: dict[str, object] = {"__name__": "model"}
    text = SCRIPT[: SCRIPT.index("t_start = ")].replace("from prepare import", "from __main__ import __name__ #")
    exec(compile(text, "model", "exec"), names)
    model = names["GPT"](data.vocab_size, data.seq_len)  # type: ignore[operator]
    model.load_state_dict(load_file(checkpoint))
    lengths, nats, count = torch.tensor(data.token_bytes()), 0.0, 0
    with torch.no_grad():
        for row in torch.tensor(evaluation_rows(data, "val", QUICK.eval_rows).astype("int64")):
            sizes = lengths[row[1:]]
            losses = model(row[None, :-1], row[None, 1:], reduction="none")
            nats += float((losses * (sizes > 0)).sum())
            count += int(sizes.sum())
    return nats / (math.log(2) * count)


@pytest.mark.slow
def test_a_model_that_looks_ahead_is_suspect(bytes_data: Dataset) -> None:
    result = measure(bytes_data, changed("is_causal=True", "is_causal=False"), budget="60steps")
    assert (result.outcome, result.val_bpb) == ("suspect", None), result.reason


@pytest.mark.slow
def test_seed_and_steps_decide_a_score(bytes_data: Dataset) -> None:
    """The seed is the referee's: it is added to that of the script."""
    referee, unaudited = CellReferee(QUICK, bytes_data), TrialPlan(loses_above=0.1)
    scores = [referee.measure(SCRIPT, seed, unaudited).val_bpb for seed in (7, 7, 8)]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.slow
def test_an_attention_kernel_that_would_be_downloaded_is_torchs(bytes_data: Dataset) -> None:
    """With windows; a window as long as a row is none."""
    kernel = changed("is_causal=True)", "is_causal=True) if OWN else own_attention(q, k, v)").replace(
        "\nclass GPT",
        "\nfrom kernels import get_kernel\n\nOWN, WINDOW = False, 7\n"
        'flash = get_kernel("some/flash-attention").flash_attn_interface.flash_attn_func\n'
        "\ndef own_attention(*qkv):\n"
        "    return flash(*(p.transpose(1, 2) for p in qkv), causal=True, window_size=(WINDOW, 0)).transpose(1, 2)\n"
        "\nclass GPT",
    )
    mask = "(b := torch.arange(T)[:, None] - torch.arange(T)).ge(0) & (b <= 7)"
    texts = [
        kernel,
        changed("is_causal=True", f"attn_mask={mask}"),
        kernel.replace("WINDOW = False, 7", "WINDOW = False, 32"),
        SCRIPT,
    ]
    scores = [measure(bytes_data, text, TrialPlan(loses_above=0.1)).val_bpb for text in texts]
    assert None not in scores
    assert scores[0] == pytest.approx(scores[1], abs=1e-4) and scores[2] == pytest.approx(scores[3], abs=1e-4)
    assert scores[0] != scores[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (BATCH, f'next(make_dataloader(tokenizer, 8, MAX_SEQ_LEN, "val"))\n{BATCH}', "validation text is not in this"),
        ("MAX_SEQ_LEN, \"train\"", "MAX_SEQ_LEN + 1, \"train\"", "T is 33, and the rows have MAX_SEQ_LEN = 32"),
        (BATCH, f"exit(3)\n{BATCH}", "ended itself (3) before it called evaluate_bpb"),
        ("val_bpb = evaluate_bpb(model, tokenizer, BATCH_ROWS)", "val_bpb = 9.0", "without calling evaluate_bpb"),
        (BATCH, f"tokenizer.encode('words')\n{BATCH}", "the text of tokens is not in a cell"),
    ],
)  # fmt: skip
def test_a_script_that_cannot_be_measured_is_a_crash(bytes_data: Dataset, old: str, new: str, words: str) -> None:
    text = changed(old, new)
    result = measure(bytes_data, text if "evaluate_bpb(" in text else f"{text}\nif False:\n    evaluate_bpb()\n")
    assert (result.outcome, result.val_bpb) == ("crash", None)
    assert words in result.reason


def test_prepare_has_the_names_that_scripts_are_promised(bytes_data: Dataset) -> None:
    names = ", ".join(sorted(PREPARED_NAMES))
    values = "MAX_SEQ_LEN, TIME_BUDGET, VOCAB_SIZE, EVAL_TOKENS, int(get_token_bytes().sum())"
    text = changed("t_start = ", f"from prepare import {names}\nraise ValueError(({values}))\nt_start = ")
    assert measure(bytes_data, text).reason == "ValueError: (32, 20.0, 256, 2048, 255)"


@pytest.mark.slow
def test_a_script_that_ignores_its_budget_is_ended(bytes_data: Dataset) -> None:
    plan = TrialPlan(base=Overhead(setup=60.0, load=60.0, answer=60.0, uncounted=0.2))
    result = measure(bytes_data, changed("training_time >= TIME_BUDGET", "training_time >= 60"), plan, "1cpu")
    assert (result.outcome, result.val_bpb) == ("timeout", None)
    assert result.reason == "evaluate_bpb() was not called within 1.4cpu from the first batch"


@pytest.mark.slow
def test_the_clock_of_a_script_counts_cpu_seconds(bytes_data: Dataset) -> None:
    slow = changed("    t0 = time.time()\n", "    t0 = time.time()\n    time.sleep(0.02)\n")
    result = measure(bytes_data, slow, TrialPlan(loses_above=0.1), budget="1cpu")
    assert result.outcome == "ok", result.reason
    assert 1.0 <= result.used < 2.0 and result.spent["uncounted"] == pytest.approx(result.used - 1.0)
    assert result.train_seconds > 1.5, "sleeping does not count"
