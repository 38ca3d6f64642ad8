"""Trials that hang, are stopped, or whose referee is suspended: each ends with the right reason."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
from support.programs import command_line

from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.hardware import CLEAN_TIMEOUT_S, SLACK_BYTES, CardMemory
from autoresearch.measure import watchdog
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Progress
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.sandbox import cell

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def wall() -> Settings:
    return Settings(Budget.parse("3s"), eval_rows=64, eval_batch=16)


@pytest.mark.parametrize("line", ["trial.start()", "step += 1"])
def test_a_trial_that_does_nothing_is_ended(
    line: str, bigram: str, quick: Settings, bytes_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "SILENCE_LIMIT_S", 1.0)
    started = time.monotonic()
    result = CellReferee(quick, bytes_data).measure(bigram.replace(line, "import time; time.sleep(600)"), 1)
    assert (result.outcome, result.reason) == ("timeout", "it did nothing for 1 s: nothing sent, no CPU used")
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_a_trial_that_works_in_silence_is_let_be(
    bigram: str, quick: Settings, bytes_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "SILENCE_LIMIT_S", 0.5)
    busy = "import time; end = time.process_time() + 0.05\n        while time.process_time() < end: pass"
    busy += "\n        step += 1"
    text = bigram.replace("step += 1", busy).replace("trial.log(", "dict(")
    assert CellReferee(quick, bytes_data).measure(text, 1).outcome == "ok"


@pytest.mark.slow
def test_a_save_that_is_not_done_in_time_says_so(bigram: str, wall: Settings, bytes_data: Dataset) -> None:
    slow = "class Slow:\n    def __array__(self, *_, **__):\n        import time; time.sleep(60)\n\ndef train(trial):"
    text = bigram.replace("def train(trial):", slow).replace("logits.astype(np.float32)", "Slow()")
    result = CellReferee(wall, bytes_data).measure(text, 1)
    assert result.outcome == "nothing_saved"
    assert result.reason.startswith("trial.save() began ") and "leave it more time (trial.reserve)" in result.reason


@pytest.mark.slow
def test_a_trial_that_was_stopped_is_not_believed(bigram: str, wall: Settings, bytes_data: Dataset) -> None:
    stopped: list[psutil.Process] = []

    def stop(progress: Progress) -> None:
        if progress.stage == "train" and not stopped:
            children = psutil.Process().children(recursive=True)
            stopped.extend(each for each in children if "inside.py" in command_line(each))
            for each in stopped:
                each.suspend()
                threading.Timer(1.0, each.resume).start()

    result = CellReferee(wall, bytes_data).measure(bigram, 1, TrialPlan(watch=stop))
    assert stopped and result.outcome == "crash" and "was stopped for 1 s by a signal" in result.reason


@pytest.mark.parametrize(("is_lasting", "outcome"), [(False, "crash"), (True, "infra")])
def test_a_cell_that_does_not_die_is_its_versions_crash_where_other_cells_do(
    is_lasting: bool,
    outcome: str,
    bigram: str,
    quick: Settings,
    bytes_data: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stopped supervisor stands for whatever keeps a cell alive."""

    def fail(*_: object) -> None:
        raise OSError(errno.EAGAIN, "no more processes")

    def stop(progress: Progress) -> None:
        if progress.stage == "train":
            for child in psutil.Process().children():
                child.suspend()
            if is_lasting:
                monkeypatch.setattr(cell, "execute", fail)

    monkeypatch.setattr(cell, "DEATH_TIMEOUT_S", 1.0)
    result = CellReferee(quick, bytes_data).measure(bigram, 1, TrialPlan(watch=stop))
    assert (result.outcome, result.reason) == (outcome, "a cell did not die within 1 s")


@pytest.mark.slow
@pytest.mark.parametrize(("budget", "outcome"), [("2s", "infra"), ("20steps", "ok")])
def test_a_referee_that_was_stopped_believes_no_clock(
    budget: str, outcome: str, bigram: str, bytes_data: Dataset
) -> None:
    script = f"""
        from pathlib import Path
        from autoresearch.measure import suspension
        from autoresearch.measure.clock import Budget
        from autoresearch.data.dataset import Dataset
        from autoresearch.measure.settings import Settings, TrialPlan
        from autoresearch.measure.referee import CellReferee
        suspension.SUSPENDED_S = 1.0
        told = []
        def tell(progress):
            if progress.stage == "train" and not told:
                told.append(print("now", flush=True))
                import time; time.sleep(0.2)
        settings = Settings(Budget.parse({budget!r}), eval_rows=64, eval_batch=16)
        referee = CellReferee(settings, Dataset.open(Path({str(bytes_data.root)!r})))
        result = referee.measure({bigram!r}, 1, TrialPlan(watch=tell))
        print(result.outcome, result.disturbed, result.val_bpb is not None, result.reason)"""
    command = [sys.executable, "-c", textwrap.dedent(script)]
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        process.send_signal(signal.SIGCONT)
        said = process.stdout.read()
    assert said.startswith(f"{outcome} True {outcome == 'ok'} ")
    assert ("the program was stopped for" in said) == (outcome == "infra")


def card(*used: int) -> tuple[CardMemory, list[float]]:
    """Return a card with these readings, one after the other, and the list of sleeps."""
    readings, slept = list(used), []
    return CardMemory("GPU-1", lambda uuid: (10 * SLACK_BYTES, readings.pop(0)), slept.append), slept


def test_the_next_trial_waits_until_the_card_is_free() -> None:
    one, slept = card(100, 5 * SLACK_BYTES, 4 * SLACK_BYTES, 50 + SLACK_BYTES)
    one.wait_until_clean()
    assert not slept
    one.wait_until_clean()
    assert len(slept) == 2


def test_nothing_is_measured_on_a_card_that_stays_dirty() -> None:
    one, slept = card(2**20, *[3 * SLACK_BYTES] * 1000)
    one.wait_until_clean()
    with pytest.raises(UserError, match="1536 MB of the card's memory are in use without a trial, 1 MB before"):
        one.wait_until_clean()
    assert sum(slept) == CLEAN_TIMEOUT_S


def test_without_a_card_there_is_nothing_to_wait_for() -> None:
    CardMemory(None).wait_until_clean()
