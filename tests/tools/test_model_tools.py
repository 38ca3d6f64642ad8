"""The tools as an agent gets them: bounded, counted, and silent about text that is private."""

from dataclasses import replace

import pytest
from support.tools import model_tools

from autoresearch.tools import short_trial
from autoresearch.tools.model_tools import HOUR_S, PROBES_AN_HOUR
from autoresearch.tools.scale import with_short_rows, with_small_batches
from autoresearch.tools.wording import number, percent
from autoresearch.tools.workbench import Workbench

SE = "bytes([115, 101]).decode()"  # a name that is made at run time: `se`
SPELLED = f'{{"logits": logits, {SE}: counts}}'


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_trial, "TRAIN_S", 0.2)


def test_an_answer_begins_with_its_cost(bench: Workbench, bigram: str) -> None:
    words = model_tools(bench).check(bigram.replace("step += 1", "step += 1; print('a secret')"))
    assert words.startswith("(") and "s of CPU time on 1 spare core)\nok:" in words
    assert words.endswith("a secret") and len(words) <= 2000


def test_private_text_stays_in_the_cell(bench: Workbench, bigram: str) -> None:
    tools = model_tools(replace(bench, private=True), bigram)
    spells = "step += 1; print('a secret')\n        if step == 2: raise ValueError('a secret')"
    words = tools.check(bigram.replace("step += 1", spells))
    assert "ValueError (line 19 of train.py)" in words and "withheld" in words and "secret" not in words
    spells = (
        f"def f(): sum(range(9999))\n        f.__code__ = f.__code__.replace(co_qualname={SE})\n        f(); step += 1"
    )
    words = tools.check(bigram.replace("step += 1", spells))
    assert "(other) " in words and " se " not in words
    named = bigram.replace('{"logits": logits.astype(np.float32)}', SPELLED)
    assert "only yours has (other)" in tools.same(named, None)
    with pytest.raises(ValueError, match="share_text"):
        tools.probe(bigram, "print(rows[0])")


def test_the_same_is_shown_where_text_is_shared(bench: Workbench, bigram: str) -> None:
    named = bigram.replace('{"logits": logits.astype(np.float32)}', SPELLED)
    assert "only yours has se" in model_tools(bench, bigram).same(named, None)


def test_probes_are_counted_by_the_hour(bench: Workbench, bigram: str) -> None:
    now = [0.0]
    tools = model_tools(bench, now=lambda: now[0])
    for _ in range(PROBES_AN_HOUR):
        with pytest.raises(ValueError, match="`code` is missing"):
            tools.probe(bigram, "")
    with pytest.raises(ValueError, match="20 probes an hour are the most: the next one in 60 min"):
        tools.probe(bigram, "print(1)")
    now[0] = HOUR_S
    words = tools.probe(bigram, "print(1)")
    assert "; 19 probes left in this hour)" in words.splitlines()[0]
    assert words.endswith("1\n")


def test_of_long_output_the_beginning_and_the_end_come_back(bench: Workbench, bigram: str) -> None:
    text = bigram.replace("def train(trial):", "def train(trial):\n    [print(f'line {k}') for k in range(40)]", 1)
    lines = model_tools(bench).check(text).splitlines()
    shown = [line for line in lines if line.startswith(("line ", "..."))]
    assert shown[:5] == ["line 0", "line 1", "line 2", "line 3", "... (28 lines)"]
    assert shown[-8:] == [f"line {k}" for k in range(32, 40)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("code", ["-" * 7000 + "1", "print(", "x = '\\d' +", "x = 1\0"])
def test_a_snippet_that_is_no_program_is_refused(bench: Workbench, bigram: str, code: str) -> None:
    with pytest.raises(ValueError, match="does not parse"):
        model_tools(bench).probe(bigram, code)


def test_numbers_of_a_cell_have_four_digits() -> None:
    assert (number(123456789, ".0f"), number(0.123456), number("x")) == ("123500000", "0.1235", "?")
    assert (percent(1e12), percent(-3.0), percent(0.126, "5.1f")) == ("100 %", "0 %", " 12.6 %")


def test_without_a_spare_core_they_say_so(bigram: str) -> None:
    with pytest.raises(ValueError, match="not available: no core is spare here"):
        model_tools(None).check(bigram)


def test_an_unknown_version_is_refused(bench: Workbench, bigram: str) -> None:
    with pytest.raises(ValueError, match="there is no experiment 7"):
        model_tools(bench).same(bigram, 7)


def test_beside_a_card_batches_are_small_and_the_answer_says_so(bench: Workbench, bigram: str) -> None:
    text = "BATCH_TOKENS = 2**17\nMICRO_TOKENS = 2**15\nBATCH = 8\nDEPTH = 8\n"
    assert with_small_batches(text, 512) == "BATCH_TOKENS = 2**9\nMICRO_TOKENS = 2**9\nBATCH = 1\nDEPTH = 8\n"
    small = replace(bench, scaled=True, data=with_short_rows(bench.data))
    words = model_tools(small).check(bigram)
    assert "CPU figures of short rows and small batches, not those of the card" in words.splitlines()[0]
