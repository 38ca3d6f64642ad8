"""The recorded session replayed: the brief that a model would be given now, before each of its experiments."""

import re
from pathlib import Path

import pytest
from support import recorded_night
from support.recorded_night import BYTES_PER_TOKEN, EXPERIMENTS, ROWS, SEQ_LEN, VOCAB_SIZE, brief_before

from autoresearch.brief.tokens import count_tokens
from autoresearch.measure.loss_curve import PARTS

FACTS = (  # what the model was not told, or could not know
    f"{VOCAB_SIZE:,} token ids (byte-pair encoding)",
    f"trial.rows is uint16 [{ROWS:,}, {SEQ_LEN + 1}]",
    f"seq_len is {SEQ_LEN}",
    f"{ROWS * SEQ_LEN:,} tokens in all",
    f"{BYTES_PER_TOKEN:.2f} bytes a token",
    "Its order is contiguous",
    "trial.batches draws rows shuffled",
    "program text: Python's standard library",
    "15 CPU-seconds, of all threads together",
    "cpu: 1 core of ",
    "4 GiB of memory, 1 thread",
    "a saved state of 4 GiB",
    "no process but its own",
    "before trial.start(), 180 s",
    "charged to the budget",
    "Software: Python 3.",
    ", torch 2.",
    ", numpy ",
    "no compiler can run",
    "`trial.reserve`",
    "in the unit of the budget",
)
QUICK = (1, 2, 13, 29, 52)  # the first ones, one that was merged, one with many trials, the last


@pytest.mark.parametrize(
    "n", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in range(1, EXPERIMENTS + 1)]
)
def test_every_brief_has_all_facts_of_the_trial(tmp_path: Path, n: int) -> None:
    brief = brief_before(tmp_path, n)
    text = brief.render()
    assert [fact for fact in FACTS if fact not in text] == []
    assert brief.n == n and brief.incumbent in (0, *recorded_night.KEPT) and brief.incumbent < n
    assert count_tokens(text) <= brief.max_tokens
    assert sum(map(count_tokens, brief.stable)) > 0.7 * count_tokens(text)


@pytest.mark.parametrize("n, incumbent", [(1, 0), (13, 11), (39, 34)])
def test_speed_and_curves_stand_beside_those_of_the_incumbent(tmp_path: Path, n: int, incumbent: int) -> None:
    brief = brief_before(tmp_path, n)
    speeds, curves = tables(brief.measured)
    assert speeds[0][0] == f"{incumbent}, incumbent"
    names = [row[0].split(",")[0] for row in speeds]
    assert [row[0] for row in curves] == names and len(names) == (1 if n == 1 else 5)
    for _, trials, steps, seconds, milliseconds, tokens, setup in speeds:
        assert int(trials) > 0 and 100 < int(steps) < 1000 and 10 < float(seconds) <= 15
        assert 10 < float(milliseconds) < 100 and tokens in ("512", "1,024") and float(setup) > 0
    for tenths in (row[1:] for row in curves):
        assert len(tenths) == PARTS and all(re.fullmatch(r"\d\.\d{3}(±\d\.\d{3})?|-", each) for each in tenths)
    assert all("±" in each for each in curves[0][1:])
    assert "\n".join(brief.measured[:4]) in brief.changing()


def test_what_changes_is_short_enough_for_the_whole_tables(tmp_path: Path) -> None:
    brief = brief_before(tmp_path, 39)
    assert "\n".join(brief.measured) in brief.changing()


def tables(lines: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the cells of both tables."""
    blocks = "\n".join(lines).split("| version | ")[1:]
    first, second = ([re.split(r" \| ", row[2:-2]) for row in block.split("\n")[2:] if row] for block in blocks)
    return [row for row in first if len(row) > 1], second
