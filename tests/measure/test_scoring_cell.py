"""The phases of a scoring cell: what each may do, and how long it may take."""

import os
import textwrap
import time

import pytest
from support.cells import wait

from autoresearch.data.dataset import Dataset
from autoresearch.measure.cell_process import FreshCells
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Overhead, Progress, Result
from autoresearch.measure.settings import ANSWER_BASE_FACTOR, JITTER_S, Settings, TrialPlan
from autoresearch.sandbox.cpu_time import seconds_below

BUDGET = Budget(0.5, "cpu")
SPIN = "[0 for _ in iter(lambda end={} + time.process_time(): time.process_time() < end, False)]"  # CPU-seconds
BASE = Overhead(setup=0.05, load=0.05, answer=0.05)


@pytest.fixture
def cpu() -> Settings:
    return Settings(BUDGET, eval_rows=64, eval_batch=16)


def with_load(bigram: str, body: str) -> str:
    """Return the bigram model with another `load`."""
    head = bigram[: bigram.index("def load(")]
    indented = textwrap.indent(textwrap.dedent(body), "    ")
    return f"import os, sys, time\n{head}def load(state, config, device):\n{indented}"


def measure(source: str, settings: Settings, data: Dataset, base: Overhead | None = BASE) -> Result:
    return CellReferee(settings, data).measure(source, 1, TrialPlan(base=base))


def test_what_loads_late_does_so_in_the_first_pass(bigram: str, cpu: Settings, bytes_data: Dataset) -> None:
    body = """
        tables = []
        def model(tokens):
            if not tables:
                import decimal, tempfile
                with tempfile.TemporaryFile() as file:
                    file.write(b"a kernel")
                tables.append(state["logits"])
            return tables[0][tokens]
        return model
    """
    result = measure(with_load(bigram, body), cpu, bytes_data)
    assert result.outcome == "ok", result.reason + result.log
    assert result.grade == "STRONG" or result.weaknesses


def test_what_opens_files_once_the_text_is_there_fails_with_a_hint(
    bigram: str, cpu: Settings, bytes_data: Dataset
) -> None:
    body = """
        calls = []
        def model(tokens):
            calls.append(1)
            if len(calls) > 2:
                os.listdir("/usr/lib")
            return state["logits"][tokens]
        return model
    """
    result = measure(with_load(bigram, body), cpu, bytes_data)
    assert result.outcome == "crash"
    assert result.reason == (
        "claim cell: PermissionError; it called openat when it may only compute: do that in load() or in the first"
        " forward pass"
    )


def test_a_refused_call_that_the_version_handles_does_no_harm(bigram: str, cpu: Settings, bytes_data: Dataset) -> None:
    body = """
        def model(tokens):
            print("a line", os.path.exists("/usr/lib"), flush=True)
            return state["logits"][tokens]
        return model
    """
    result = measure(with_load(bigram, body), cpu, bytes_data)
    assert result.outcome == "ok" and result.audit is not None and result.audit["d_rms"] < 1e-6


@pytest.mark.parametrize("where", ["load", "first pass"])
def test_work_in_load_is_ended_beyond_its_allowance(
    where: str, bigram: str, cpu: Settings, bytes_data: Dataset
) -> None:
    in_load, in_pass = (SPIN.format(3.0), 0) if where == "load" else (0, SPIN.format(3.0))
    result = measure(
        with_load(bigram, f"{in_load}\nreturn lambda tokens: ({in_pass}, state['logits'][tokens])[1]"), cpu, bytes_data
    )
    assert result.outcome == "timeout", result.reason + result.log
    assert result.reason.startswith("claim cell: load() and the first batch took over 0.125cpu")
    assert result.score_seconds < 5


def test_answering_may_not_take_much_longer_than_the_batch_before_the_text(
    bigram: str, cpu: Settings, bytes_data: Dataset
) -> None:
    body = f"""
        calls = []
        def model(tokens):
            calls.append(1)
            if len(calls) > 2:
                {SPIN.format(1.0).replace(chr(10) + "    ", chr(10) + " " * 16)}
            return state["logits"][tokens]
        return model
    """
    result = measure(with_load(bigram, body), cpu, bytes_data)
    assert result.outcome == "timeout", result.reason + result.log
    assert result.reason.startswith("claim cell: answering took over ")


@pytest.mark.slow
def test_a_referee_that_reads_late_measures_the_batch_before_the_text_all_the_same(
    bigram: str, cpu: Settings, bytes_data: Dataset
) -> None:
    """On a busy machine the referee may be delayed: the cell has to wait for it before the batch that it measures."""
    body, delays = f"return lambda tokens: ({SPIN.format(0.04)}, state['logits'][tokens])[1]", list[float]()

    def watch(progress: Progress) -> None:
        if progress.stage == "score":
            delays.extend([1.0] * 4)

    def delay() -> bool:
        time.sleep(delays.pop() if delays else 0.0)
        return False

    plan = TrialPlan(base=Overhead(setup=0.05, load=1.0, answer=1.0), watch=watch, is_unwanted=delay)
    result = CellReferee(cpu, bytes_data).measure(with_load(bigram, body), 1, plan)
    assert not delays
    assert result.outcome == "ok", result.reason + result.log


def test_work_that_is_hidden_in_one_batch_stands_out(bigram: str, cpu: Settings, bytes_data: Dataset) -> None:
    """A slow batch before the text buys a long limit; but no batch of the text may take longer than the others."""
    body = f"""
        calls = []
        def model(tokens):
            calls.append(1)
            if len(calls) == 2:
                {SPIN.format(0.03)}
            if len(calls) == 3:
                {SPIN.format(0.6)}
            return state["logits"][tokens]
        return model
    """
    result = measure(with_load(bigram, body), cpu, bytes_data)
    assert result.outcome == "timeout", result.reason + result.log
    uneven, long = "claim cell: answering: some batches took 0.", "claim cell: answering took over 0.3"
    assert result.reason.startswith((uneven, long)), "on a busy machine the limit of all batches may come first"


def test_a_slow_batch_before_the_text_buys_at_most_six_times_the_base() -> None:
    plan = TrialPlan(base=Overhead(answer=1.0))
    assert plan.answer_limit(BUDGET, batch=100.0, batches=10) == Budget(ANSWER_BASE_FACTOR * 1.0, "cpu")
    assert plan.answer_limit(BUDGET, batch=0.1, batches=10).amount == pytest.approx(3.0 + JITTER_S)


def test_until_the_base_is_measured_the_limits_are_wide() -> None:
    assert TrialPlan().load_limit(BUDGET).amount == TrialPlan().answer_limit(BUDGET, 1.0, 1).amount == 600.0


@pytest.mark.slow
def test_setup_is_charged_in_the_unit_of_the_budget(bigram: str, cpu: Settings, bytes_data: Dataset) -> None:
    def with_setup(line: str) -> Result:
        return measure("import time\n" + bigram.replace("trial.start()", f"{line}\n    trial.start()"), cpu, bytes_data)

    worked, slept = with_setup(SPIN.format(0.4)), with_setup("time.sleep(0.4)")
    assert worked.spent["setup"] > 0.35 > 0.1 > slept.spent["setup"] and slept.setup_seconds > 0.4
    trained = [result.curve[-1]["seconds"] - result.curve[0]["seconds"] for result in (worked, slept)]
    assert trained[0] < 0.7 * trained[1]  # 0.4 CPU-seconds of 0.5 are gone, of which 0.125 were free


class SlowCells(FreshCells):
    """Cells that are started ahead, and are ready when others have computed for 0.3 CPU-seconds."""

    def wait_until_ready(self) -> None:
        began = seconds_below(os.getpid())
        wait(lambda: seconds_below(os.getpid()) > began + 0.3)


def test_what_threads_compute_while_other_cells_get_ready_is_charged(
    bigram: str, cpu: Settings, bytes_data: Dataset
) -> None:
    spin = f"threading.Thread(target=lambda: {SPIN.format(0.5)}).start()"
    source = "import threading, time\n" + bigram.replace("trial.start()", f"{spin}\n    trial.start()")
    result = CellReferee(cpu, bytes_data, SlowCells()).measure(source, 1, TrialPlan(base=BASE))
    assert result.spent["setup"] > 0.25


@pytest.mark.parametrize("says", ["runs", pytest.param("done", marks=pytest.mark.slow)])
def test_messages_that_come_too_early_win_nothing(says: str, bigram: str, cpu: Settings, bytes_data: Dataset) -> None:
    """A cell may say anything about its phase, but the text comes only after the second filter is closed."""
    body = f"""
        import json, socket
        inside = sys.modules["__main__"]
        referee = socket.socket(fileno=os.dup(3))
        reader, writer = os.pipe()
        socket.send_fds(referee, [json.dumps({{"kind": {says!r}}}).encode()], [reader])
        def model(tokens):
            try:
                os.stat("/usr/lib")
            except PermissionError:
                return state["logits"][tokens]
            return state["logits"][tokens] - 0.0
        return model
    """
    result = measure(with_load(bigram, body), cpu, bytes_data)
    assert result.outcome in ("ok", "crash", "timeout", "suspect"), result.reason
    honest = measure(bigram, cpu, bytes_data)
    if result.outcome == "ok":
        assert result.val_bpb == pytest.approx(honest.val_bpb, abs=0.02)


def test_without_the_second_filter_the_grade_names_the_channel(bigram: str, bytes_data: Dataset) -> None:
    settings = Settings(BUDGET, eval_rows=64, eval_batch=16, layers_off=frozenset({"second_filter"}))
    result = measure(bigram, settings, bytes_data)
    assert result.outcome == "ok" and result.grade == "WEAK"
    assert any("caches of names and pages" in weakness for weakness in result.weaknesses)
