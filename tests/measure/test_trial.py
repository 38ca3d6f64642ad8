"""Trials end to end, in real cells, with a numpy train.py."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Overhead, Progress
from autoresearch.measure.settings import Settings, TrialPlan


def test_an_honest_trial_is_scored_and_audited(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    seen: list[Progress] = []
    result = CellReferee(quick, bytes_data).measure(bigram, 1, TrialPlan(watch=seen.append))
    assert result.outcome == "ok", result.reason + result.log
    assert result.val_bpb is not None and 0.5 < result.val_bpb < 6
    assert result.audit is not None and abs(result.audit["d_mean"]) < 1e-4
    assert result.reported["step"] == 20
    steps = [point["step"] for point in result.curve]
    assert steps == sorted(steps) and steps[-1] == 20
    assert {progress.stage for progress in seen} == {"setup", "train", "score"}


def test_the_same_seed_gives_the_same_score_and_another_seed_another(
    bigram: str, quick: Settings, bytes_data: Dataset
) -> None:
    first, again, other = (CellReferee(quick, bytes_data).measure(bigram, seed).val_bpb for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_score_agrees_with_the_losses_of_the_rows(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    result = CellReferee(quick, bytes_data).measure(bigram, 1)
    assert result.rows is not None and result.val_bpb is not None
    nats, size = result.rows.sum(0)
    assert result.val_bpb == pytest.approx(nats / math.log(2) / size, abs=1e-5)


@pytest.mark.parametrize(
    ("before", "after", "outcome", "reason"),
    [
        ("trial.save(", "print(", "nothing_saved", "was not called"),
        ("step += 1", "raise ValueError('no good')", "crash", "ValueError: no good"),
        ("step += 1", "raise MemoryError", "oom", "MemoryError"),
        ("step += 1", "raise FloatingPointError('loss is nan')", "nan", "loss is nan"),
        ("loss=1.0 / step", "loss=float('nan')", "nan", "its loss is nan"),
        ("loss=1.0 / step", "loss=float('inf')", "nan", "its loss is inf"),
        ("trial.start()", "pass", "crash", "call trial.start() first"),
        ("np.log(", "np.nan * (", "nan", "not finite"),
        ("step += 1", "import os; os._exit(3)", "crash", "exit status 3"),
    ],
)
def test_every_failure_has_an_outcome_and_no_score(
    bigram: str, quick: Settings, bytes_data: Dataset, before: str, after: str, outcome: str, reason: str
) -> None:
    result = CellReferee(quick, bytes_data).measure(bigram.replace(before, after), 1)
    assert (result.outcome, result.val_bpb) == (outcome, None)
    assert reason in result.reason


def test_memory_is_collected_where_agent_code_runs(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    """Garbage collection is off only during the imports before it."""
    collects = f"import gc\n\nassert gc.isenabled() and gc.get_freeze_count()\n{bigram}"
    result = CellReferee(quick, bytes_data).measure(collects, 1)
    assert result.outcome == "ok", result.reason


def test_what_was_saved_before_the_bell_counts(bigram: str, bytes_data: Dataset) -> None:
    """A version saves once and never ends: the bell ends it and the checkpoint is scored."""
    hangs = bigram.replace("{})\n", "{})\n    while True:\n        pass\n", 1)
    result = CellReferee(Settings(Budget.parse("1s"), eval_rows=64), bytes_data).measure(hangs, 1)
    assert result.outcome == "ok", result.reason
    assert 0.9 < result.train_seconds < 5
    assert result.margin is not None and 0 <= result.margin < 0.5, "what was left at the save, not at the bell"


def test_a_version_that_saves_early_has_a_margin(bigram: str, bytes_data: Dataset) -> None:
    early = bigram.replace("trial.progress < 1", "trial.progress < 0.3")
    result = CellReferee(Settings(Budget.parse("2cpu"), eval_rows=16), bytes_data).measure(early, 1)
    assert result.outcome == "ok" and result.margin is not None and 0.1 < result.margin < 0.75


def test_a_step_that_would_not_end_in_time_is_not_begun(bigram: str, bytes_data: Dataset) -> None:
    slow = bigram.replace("step += 1", "time.sleep(0.3); step += 1").replace(
        "import numpy", "import time\nimport numpy"
    )
    result = CellReferee(Settings(Budget.parse("1s"), eval_rows=16), bytes_data).measure(slow, 1)
    assert result.outcome == "ok", result.reason
    assert 0.5 < result.train_seconds < 1.0


def test_nothing_saved_at_the_bell(bigram: str, bytes_data: Dataset) -> None:
    hangs = bigram.replace("trial.progress < 1", "True")
    result = CellReferee(Settings(Budget.parse("0.5cpu"), eval_rows=64), bytes_data).measure(hangs, 1)
    assert (result.outcome, result.val_bpb, result.margin) == ("nothing_saved", None, None)


def test_a_version_that_waits_from_the_start_is_said_to_have_made_no_step(bigram: str, bytes_data: Dataset) -> None:
    waits = bigram.replace("    trial.start()", "    trial.start()\n    import time; time.sleep(9)")
    result = CellReferee(Settings(Budget.parse("0.5s"), eval_rows=64), bytes_data).measure(waits, 1)
    assert result.outcome == "nothing_saved" and result.reason.startswith("no step was logged and trial.save()")


@pytest.mark.parametrize(
    "line", ["import subprocess; subprocess.run(['true'])", "import multiprocessing; multiprocessing.Pool(2)"]
)
def test_a_version_that_needs_processes_is_told_what_to_do(bigram: str, bytes_data: Dataset, line: str) -> None:
    starts = bigram.replace("    trial.start()", f"    {line}\n    trial.start()")
    result = CellReferee(Settings(Budget.parse("1cpu"), eval_rows=64), bytes_data).measure(starts, 1)
    assert result.outcome == "crash" and "use threads, and num_workers=0" in result.reason


WORKERS = """
import torch
from torch.utils.data import DataLoader, TensorDataset


def train(trial):
    trial.start()
    rows = TensorDataset(torch.zeros(64, 8))
    for (batch,) in DataLoader(rows, batch_size=4, num_workers=1):
        trial.log(step=1, loss=1.0)
    trial.save({"x": batch}, {})


def load(state, config, device):
    return lambda tokens: torch.zeros(*tokens.shape, 256)
"""


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(
    ("budget", "words"),
    [("60s", "a worker process could not send its batch"), ("60cpu", "there are no other processes")],
)
def test_workers_of_a_data_loader_fail_at_once(bytes_data: Dataset, budget: str, words: str) -> None:
    result = CellReferee(Settings(Budget.parse(budget), eval_rows=64), bytes_data).measure(WORKERS, 1)
    assert result.outcome == "crash" and words in result.reason and "num_workers=0" in result.reason
    assert result.train_seconds < 30


def test_a_claim_that_peeks_is_suspect(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    """A model that looks at the next token is caught by the audit."""
    peeks = bigram.replace(
        'return lambda tokens: state["logits"][tokens]',
        'return lambda tokens: state["logits"][tokens] + 9 * np.eye(256)[np.roll(tokens, -1, 1)]',
    )
    result = CellReferee(quick, bytes_data).measure(peeks, 1)
    assert (result.outcome, result.val_bpb) == ("suspect", None)


def test_a_claim_that_already_loses_is_not_audited(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    result = CellReferee(quick, bytes_data).measure(bigram, 1, TrialPlan(loses_above=0.1))
    assert (result.outcome, result.claimed, result.audit) == ("ok", True, None)


def test_a_corpus_that_cells_can_read_makes_every_trial_weak(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    exposed = replace(bytes_data, meta=bytes_data.meta | {"grade_note": "val lies in the open"})
    result = CellReferee(quick, exposed).measure(bigram, 1)
    assert result.outcome == "ok"
    assert result.grade == "WEAK"
    assert "val lies in the open" in result.weaknesses


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ("raise ValueError(str(trial.rows[0]))", "ValueError (line 18 of train.py)"),
        ("raise type('text' + str(trial.rows[0]), (Exception,), {})", "an exception of its own (line 18 of train.py)"),
        ("trial._channel.send('error', error='KeyError', line=7e14)", "KeyError"),
    ],
)
def test_a_crash_over_private_text_is_class_and_line_only(
    bigram: str, quick: Settings, bytes_data: Dataset, raised: str, reason: str
) -> None:
    text = bigram.replace("step += 1", raised)
    assert text.splitlines()[17].strip() == raised
    result = CellReferee(replace(quick, private=True), bytes_data).measure(text, 1)
    assert (result.outcome, result.reason) == ("crash", reason)


def test_a_setup_that_fails_has_taken_its_time(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    slow = bigram.replace("    trial.start()", "    import time; time.sleep(0.5); raise ValueError")
    result = CellReferee(quick, bytes_data).measure(slow, 1)
    assert result.outcome == "crash" and 0.5 <= result.setup_seconds <= result.total_seconds
    assert result.train_seconds == 0


def test_a_setup_that_takes_the_whole_budget_is_said_to(bigram: str, bytes_data: Dataset) -> None:
    slow = bigram.replace("    trial.start()", "    import time; time.sleep(1.5)\n    trial.start()")
    base = Overhead(setup=0.05, load=0.05, answer=0.05)
    settings = Settings(Budget(0.5, "s"), eval_rows=64)
    result = CellReferee(settings, bytes_data).measure(slow, 1, TrialPlan(base=base))
    assert result.outcome == "nothing_saved"
    assert re.fullmatch(
        r"setup used \S+ s, of which 0\.125 were free: 0 of the budget were left, in which no step was logged",
        result.reason,
    )


def open_memory_files() -> int:
    links = (str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return sum("memfd" in link for link in links)


@pytest.mark.parametrize("stage", ["train", "score"])
def test_no_checkpoint_stays_open_after_a_fault_of_ours(stage: str, bigram: str, bytes_data: Dataset) -> None:
    saves = '    trial.save({"logits": counts}, {})\n'
    source = bigram.replace("    step = 0\n", f"    step = 0\n{saves}")

    def watch(progress: Progress) -> None:
        if progress.stage == stage and (stage == "score" or progress.fraction > 0.5):
            raise RuntimeError("a fault")

    before = open_memory_files()
    with pytest.raises(RuntimeError, match="a fault"):
        CellReferee(Settings(Budget(3.0, "s"), eval_rows=64), bytes_data).measure(source, 1, TrialPlan(watch=watch))
    assert open_memory_files() == before
