"""`check` runs a version for a moment and says what a trial would run into."""

import re
from dataclasses import replace

import pytest

from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Overhead
from autoresearch.tools import short_trial as module
from autoresearch.tools.short_trial import check
from autoresearch.tools.workbench import ToolError, Workbench

LOAD = 'return lambda tokens: state["logits"][tokens]'


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for a fifth of a second: what is found is the same."""
    monkeypatch.setattr(module, "TRAIN_S", 0.2)


def test_a_good_version_is_timed_by_part(bench: Workbench, bigram: str) -> None:
    words, printed = check(bench, bigram.replace("step += 1", "step += 1; step == 3 and print('at', step)"), 1)
    assert words.startswith("ok:") and printed == "at 3\n"
    assert re.search(r"a step takes [\d.]+ ms: .*trial\.batches \d+ %", words), words
    assert "65,536 parameters" in words and "memory at most" in words
    assert re.search(r"\(the 64 rows of a score: about [\d.]+ m?s\), their loss is [\d.]+ nats", words)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (LOAD, 'return lambda tokens: state["logits"][np.roll(tokens, -1, 1)]', "NOT CAUSAL"),
        (LOAD, 'return lambda tokens: state["logits"][tokens][:, :-1]', r"shape \[16, 31, 256\] .* \[16, 32, 256\]"),
        (LOAD, 'return lambda tokens: state["logits"][tokens] + np.nan', "not finite"),
        (LOAD, 'return lambda tokens: state["logits"][tokens] + tokens.mean(0)[0]', "depend on the other rows"),
        (LOAD, 'return lambda tokens: state["logits"][tokens] + np.random.rand()', "other logits the second time"),
    ],
    ids=["looks ahead", "shape", "nan", "mixes rows", "random"],
)
def test_wrong_answers_are_named(bench: Workbench, bigram: str, before: str, after: str, found: str) -> None:
    words, _ = check(bench, bigram.replace(before, after), 1)
    assert words.startswith("it fails:") and re.search(found, words), words


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("step += 1", "step += 1\n        assert step < 3, 'three'", r"train\(\): AssertionError: three \(line 19 of"),
        ("    trial.save(", "    print(", r"train\(\): RuntimeError: train\(\) returned without trial.save\(\)"),
        (LOAD, "return state.nothing", r"load\(\): AttributeError"),
        (LOAD, "return lambda tokens: tokens.nothing", r"the function that load\(\) returns: AttributeError"),
        ("import numpy as np\n", "import numpy as np\nimport os; os._exit(3)\n", "the process ended"),
    ],
    ids=["in training", "no save", "in load", "in the answer", "exits"],
)
def test_a_failure_is_told_with_its_place(bench: Workbench, bigram: str, before: str, after: str, found: str) -> None:
    with pytest.raises(ToolError, match=found):
        check(bench, bigram.replace(before, after), 1)


def test_load_cannot_use_what_training_left_in_the_module(bench: Workbench, bigram: str) -> None:
    text = bigram.replace("    step = 0\n", "    step = 0\n    global seen\n    seen = 1\n").replace(
        LOAD, f"seen\n    {LOAD}"
    )
    with pytest.raises(ToolError, match="NameError"):
        check(bench, text, 1)


def test_a_version_that_sleeps_is_cut_off(bench: Workbench, bigram: str) -> None:
    with pytest.raises(ToolError, match=r"train\(\): not done after [\d.]+ s of CPU time, in \d+ s"):
        check(bench, bigram.replace("    trial.start()", "    import time; time.sleep(60)"), 1, limit_s=0.7)


@pytest.mark.slow
def test_what_takes_longer_than_a_trial_allows_is_not_ok(bench: Workbench, bigram: str) -> None:
    bench = replace(bench, settings=replace(bench.settings, budget=Budget.parse("5cpu")))
    base = Overhead(setup=0.0, load=0.5, answer=0.0)
    assert check(bench, bigram, 1, base=base)[0].startswith("ok:")
    slow = "import time\n    began = time.process_time()\n    while time.process_time() < began + {}: pass\n    "
    setup = bigram.replace("    trial.start()", f"    {slow.format(0.6)}trial.start()")
    words, _ = check(bench, setup, 1, base=base)
    assert words.startswith("ok:") and re.search(r"before trial.start\(\) [\d.]+ m?s, [\d.]+ m?s of it charged", words)
    loading = bigram.replace(LOAD, f"{slow.format(1.5)}{LOAD}")
    words, _ = check(bench, loading, 1, base=base)
    assert re.match(r"too slow for a trial: load\(\) takes about 1[.\d]* s, at most 1[.\d]* s are allowed\n", words)


def test_a_version_that_logs_no_steps_is_told_so(bench: Workbench, bigram: str) -> None:
    words, _ = check(bench, re.sub(r"trial\.log\(.*\)", "pass", bigram), 1)
    assert "the time of a step is unknown (train.py logged fewer than two `step`s)" in words
    assert re.search(r"steps in 0.2 s, a batch takes [\d.]+ [mµ]?s, the time", words), words


FORGER = """
import json, os, socket
channel = socket.socket(fileno=os.dup(3))
def say(**fields):
    channel.send(json.dumps(fields).encode())
"""


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "parts=5, step=[], shape='wide', setup={}",
        "parts=[['x' * 5000, 1e12], 5, None, [1], [{}, 'y']], leak='no', rows=1e300, finite=1, steps=float('inf')",
        "shape=list(range(10000)), wanted={'a': 1}",
    ],
)
def test_a_forged_report_is_read_and_bounded(bench: Workbench, bigram: str, fields: str) -> None:
    forged = bigram.replace("\n\ndef train(trial):", f"{FORGER}\n\ndef train(trial):\n    say(kind='result', {fields})")
    words, _ = check(bench, forged, 1)
    assert words.startswith("it fails:") and len(words) < 2000


def test_a_flood_of_messages_ends(bench: Workbench, bigram: str) -> None:
    flood = "    while True:\n        try: say(kind='stage', name='x' * 1000)\n        except BlockingIOError: pass"
    with pytest.raises(ToolError, match=r"not done after [\d.]+ s of CPU time"):
        check(bench, bigram.replace("\n\ndef train(trial):", f"{FORGER}\n\ndef train(trial):\n{flood}"), 1, limit_s=2.0)
