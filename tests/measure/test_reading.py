"""What a command gave: resolution, rows of a rate, times."""

import json

import pytest
from test_command_referee import measure

from autoresearch.measure.reading import NoNumberError, find_value, read_rows, resolution
from autoresearch.measure.settings import TrialPlan


@pytest.mark.parametrize(
    ("text", "step"), [("36", 1.0), ("0.50", 0.01), ("1e-5", 1e-5), (" 2.5 ", 0.1), ("nan", None), ("x", None)]
)
def test_the_resolution_is_the_last_digit_that_was_printed(text: str, step: float | None) -> None:
    assert resolution(text) == (None if step is None else pytest.approx(step))


def test_a_number_of_json_keeps_its_digits() -> None:
    assert find_value('{"a": {"b": 1.50}}', "$.a.b") == "1.50"
    assert find_value('{"a": true}', "$.a") is None and find_value('{"a": 1e999999999999999999999}', "$.b") is None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"task": "a", "score": 1}, {"task": "a", "score": 1}], "repeats a task"),
        ([{"task": "a", "score": 1.5}], "a number from 0 to 1"),
        ([{"task": "a", "score": float("nan")}], "a number from 0 to 1"),
        ([{"name": "a", "score": 1}], "a number from 0 to 1"),
        ([[1]], "a number from 0 to 1"),
        ([], "has 0 tasks"),
        ([{"task": "a" * 101, "score": 1}], "over 100 characters"),
    ],
)
def test_rows_that_are_no_results_are_invalid(rows: list[object], words: str) -> None:
    with pytest.raises(NoNumberError, match=words) as caught:
        read_rows("\n".join(map(json.dumps, rows)).encode(), "tasks.jsonl")
    assert caught.value.outcome == "invalid"


def row(task: str, score: float) -> str:
    return f"""echo '{{"task": "{task}", "score": {score}}}' >> "$2/t"; """


def test_a_rate_is_the_mean_of_its_tasks_which_are_those_of_the_base() -> None:
    fields = {"regex": None, "rows": "t", "outputs": ("t",), "kind": "rate", "goal": "max"}
    script = row("a", 1) + row("b", 0.5)
    result = measure(script, **fields)
    assert (result.outcome, result.val_bpb, result.tasks) == ("ok", 0.75, {"a": 1.0, "b": 0.5})
    plan = TrialPlan(tasks=frozenset({"a", "b", "c"}))
    result = measure(script + row("d", 1), plan, **fields)
    assert (result.outcome, result.reason) == ("invalid", "1 tasks of the base are missing, and 1 are not among them")


def test_the_clock_is_that_of_the_command_without_the_start_of_its_cell() -> None:
    result = measure("sleep 0.5", regex=None, clock=True, kind="time")
    assert result.outcome == "ok" and result.val_bpb is not None
    assert 0.5 <= result.val_bpb <= result.train_seconds


def test_a_time_is_above_zero() -> None:
    result = measure("echo loss: 0", kind="time")
    assert (result.outcome, result.reason) == ("invalid", "loss is 0: a time has to be above 0")
