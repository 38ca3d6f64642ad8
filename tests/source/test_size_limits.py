"""Programs hold a limited amount of data: none can be trained outside of the clock and carried in a literal."""

import random
from pathlib import Path

import pytest

from autoresearch.session.constraints import Constraints
from autoresearch.source import contract
from autoresearch.source.size import (
    CODE_ALLOWANCE,
    LITERAL_ALLOWANCE,
    MAX_LITERAL_BYTES,
    compressed_bytes,
    data_limit,
    literal_bytes,
)

TRAIN = (Path(__file__).resolve().parents[2] / "train.py").read_text()
RNG = random.Random(1)
WORDS = ["".join(RNG.choices("abcdefghijklmnopqrstuvwxyz", k=12)) for _ in range(1000)]
TABLES = {
    "numbers": f"T = [{', '.join(map(str, RNG.choices(range(10**6), k=2000)))}]\n",
    "scattered numbers": "".join(f"T = {number}\n" for number in RNG.choices(range(10**6), k=2000)),
    "two numbers": "".join(f"T = 0x{RNG.getrandbits(14_000):x}\n" for _ in range(2)),
    "text": f"T = {' '.join(WORDS)!r}\n",
    "bytes": f"T = {bytes(RNG.choices(range(33, 127), k=9000))!r}\n",
    "names": f"T = dict({', '.join(f'{word}=0' for word in WORDS)})\n",
    "text of an f-string": f"T = f'{' '.join(WORDS)}'\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_does_not_fit(name: str) -> None:
    limits = Constraints(max_data=data_limit(TRAIN))
    found = limits.text_violation(TRAIN + TABLES[name])
    assert found is not None and "over the limit of 8,192" in found


SHORT_NAMES = [chr(97 + k) for k in range(16)]
ORDERS = {
    "of names": f"T = [{', '.join(RNG.choices(SHORT_NAMES, k=30_000))}]\n",
    "of signs": "".join(f"T = {''.join(RNG.choices('+-~', k=100))}1\n" for _ in range(800)),
    "of statements": "".join(f"{name} = T\n" for name in RNG.choices(SHORT_NAMES, k=20_000)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
def test_data_in_the_order_of_short_words_does_not_fit(name: str) -> None:
    found = Constraints(max_data=data_limit(TRAIN)).text_violation(TRAIN + ORDERS[name])
    assert found is not None and "when it is compressed, over the limit of" in found


def test_an_ordinary_program_does_and_its_prose_is_free() -> None:
    limits = Constraints(max_data=data_limit(TRAIN))
    assert literal_bytes(TRAIN) < 0.6 * MAX_LITERAL_BYTES
    assert limits.text_violation(TRAIN + f"# {' '.join(WORDS)}\n") is None
    assert limits.text_violation("not a program (") is None


def test_the_base_of_a_user_may_hold_a_table_of_its_own() -> None:
    base = TRAIN + TABLES["numbers"]
    assert data_limit(base).literals == literal_bytes(base) + LITERAL_ALLOWANCE
    assert data_limit(base).code == compressed_bytes(base) + CODE_ALLOWANCE
    assert contract.complaint(base) is None and contract.complaint(base, TRAIN) is not None
