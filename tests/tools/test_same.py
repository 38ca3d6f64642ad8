"""`same` compares what two versions compute."""

import pytest

from autoresearch.tools import same as module
from autoresearch.tools.same import same
from autoresearch.tools.workbench import ToolError, Workbench


def answer(bench: Workbench, text: str, other: str) -> str:
    is_same, words = same(bench, text, other, "experiment 3", 1)
    assert is_same == words.startswith("same:")
    return words


def test_another_way_to_compute_it_is_the_same(bench: Workbench, bigram: str) -> None:
    faster = bigram.replace("SHARPNESS * np.log(counts + SMOOTHING)", "np.log((counts + SMOOTHING) ** SHARPNESS)")
    assert answer(bench, faster, bigram).startswith("same: it computes what experiment 3 computes, before training")


def test_another_training_is_told_from_another_function(bench: Workbench, bigram: str) -> None:
    trains = answer(bench, bigram.replace("y.ravel()), 1.0)", "y.ravel()), 2.0)"), bigram)
    assert trains.startswith("differs from experiment 3 after 12 steps")
    assert "1 of 1 tensors differ, most of all logits" in trains and "yours gives the same answers" in trains
    answers = answer(bench, bigram.replace('state["logits"][tokens]', '2 * state["logits"][tokens]'), bigram)
    assert answers.startswith("differs from experiment 3") and "yours gives other answers" in answers


def test_other_weights_are_named(bench: Workbench, bigram: str) -> None:
    more = bigram.replace(
        '"logits": logits.astype(np.float32)}', '"logits": logits.astype(np.float32), "more": counts}'
    )
    assert "only yours has more" in answer(bench, more, bigram)


def test_weights_of_another_form_are_no_fault_of_the_version(bench: Workbench, bigram: str) -> None:
    other = bigram.replace('"logits": logits', '"table": logits').replace('state["logits"]', 'state["table"]')
    words = answer(bench, other, bigram)
    assert words.startswith("same:") and "the trained weights of experiment 3 give no answers with yours" in words


def test_it_says_whose_version_fails(bench: Workbench, bigram: str) -> None:
    broken = bigram.replace("    trial.start()", "    1 / 0")
    with pytest.raises(ToolError, match=r"your version: train\(\): ZeroDivisionError"):
        answer(bench, broken, bigram)
    with pytest.raises(ToolError, match=r"experiment 3: train\(\): ZeroDivisionError"):
        answer(bench, bigram, broken)


def test_a_version_cannot_pass_by_what_is_no_number(bench: Workbench, bigram: str) -> None:
    nan = bigram.replace('state["logits"][tokens]', 'state["logits"][tokens] * np.nan')
    assert answer(bench, nan, bigram).startswith("differs from experiment 3 before training and after 12 steps")


def test_forged_states_are_refused(bench: Workbench, bigram: str) -> None:
    forger = "import json, os, socket\nchannel = socket.socket(fileno=os.dup(3))\n"
    forger += "for _ in range(2): channel.send(json.dumps({'kind': 'state', 'steps': [1]}).encode())\n"
    forger += "channel.send(json.dumps({'kind': 'result'}).encode())\n"
    with pytest.raises(ToolError, match="your version: no checkpoints came"):
        answer(bench, bigram.replace("import numpy as np\n", f"import numpy as np\n{forger}"), bigram)


def test_infinite_answers_excuse_no_difference() -> None:
    assert module._grade(1.0, float("inf")) == module._grade(1.0, float("nan")) == 2
    assert module._grade(1e-6, float("inf")) == 0
