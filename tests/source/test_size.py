"""Size of programs: comments and docstrings do not count."""

import base64
import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.source.prose import without_prose
from autoresearch.source.size import Size, size

PROGRAM = '''"""What it does."""

import math  # for pi

def area(r):
    """Of a circle."""
    return (
        math.pi  # about 3.14
        * r**2
    )
'''


def test_comments_docstrings_and_blank_lines_do_not_count() -> None:
    bare = "import math\ndef area(r):\n    return (\n        math.pi\n        * r**2\n    )\n"
    assert size(PROGRAM) == size(bare) == Size(6, 18)


def test_a_string_that_is_used_counts() -> None:
    assert size('x = """a\nb"""\n') == Size(2, 3, 9)


def test_blanks_between_tokens_count_and_trailing_ones_reach_no_cell() -> None:
    assert size("x =  \t  1 \t\t\n\t\n") == Size(1, 3, 4)
    assert without_prose("x = 1 \t\t\n\t\n") == "x = 1\n\n"


@given(st.lists(st.sampled_from(["x = 1", "# nothing", "", "y = x + 1"]), max_size=8))
def test_lines_of_code_are_counted_once(lines: list[str]) -> None:
    assert size("\n".join(lines)).lines == sum(line[:1].isalpha() for line in lines)


# --- programs that hide in text

HONEST_TEXT = without_prose(Path("train.py").read_text())
PART = "".join(f"a{n} = b{n} * (c{n} - {n})\n" for n in range(60))
PACKED = base64.b85encode(lzma.compress(HONEST_TEXT.encode())).decode()
QUOTED = "'" * 3 + HONEST_TEXT.replace("\\", "\\\\") + "'" * 3
PIECES = [HONEST_TEXT[k : k + 8] for k in range(0, len(HONEST_TEXT), 8)]
HIDDEN = {
    "string": (f"exec({QUOTED})\n", HONEST_TEXT),
    "an argument on its own line": (f"exec(\n{QUOTED}\n)\n", HONEST_TEXT),
    "one line": (f"exec({HONEST_TEXT!r})\n", HONEST_TEXT),
    "packed": (f"import base64, lzma\nexec(lzma.decompress(base64.b85decode({PACKED!r})))\n", HONEST_TEXT),
    "many strings": (f"exec(''.join({PIECES}))\n", HONEST_TEXT),
    "number": (f"exec(int.to_bytes({int.from_bytes(PART.encode(), 'big'):#x}, 9999))\n", PART),
    "name": (f"class x{PART.encode().hex()}: pass\nexec(bytes.fromhex(dir()[0]))\n", PART),
}


@pytest.mark.parametrize("where", HIDDEN)
def test_a_program_in_a_text_is_no_smaller(where: str) -> None:
    hidden, whole = HIDDEN[where]
    assert not size(hidden).is_smaller_than(size(whole))


def test_a_program_in_a_docstring_never_reaches_a_cell() -> None:
    assert without_prose(f"{QUOTED}\nexec(__doc__)\n").split() == ['""', "exec(__doc__)"]


@pytest.mark.slow
def test_less_code_is_smaller_whatever_its_prose() -> None:
    less = HONEST_TEXT.replace("    gc.collect()\n", f"    # {'x' * 999}\n")
    assert size(f'"""{"y" * 999}"""\n{less}').is_smaller_than(size(HONEST_TEXT))
    assert size(less.replace("auto", "vary")).is_smaller_than(size(HONEST_TEXT))
    assert not size(HONEST_TEXT).is_smaller_than(size(HONEST_TEXT))
