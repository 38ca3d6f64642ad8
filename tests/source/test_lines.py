"""Lines as Python counts them, and files that keep their line ends and their byte-order mark."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.source.lines import BOM, plain, split_lines, written_like

TEXTS = st.text(st.sampled_from("ab #\n\r\f\v\x1c\x85\u2028\u2029"), max_size=30)


@given(TEXTS)
def test_lines_are_those_of_python(text: str) -> None:
    assert "".join(split_lines(text)) == text
    assert [line.rstrip("\r\n") for line in split_lines(text)] == [
        line.rstrip("\n") for line in split_lines(plain(text))
    ]
    code = f"'''{text}'''\nx = 1"
    assert len(split_lines(code)) == ast.parse(code).body[1].lineno


@pytest.mark.parametrize("mark", ["", BOM])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_change_is_written_as_the_file_is(mark: str, end: str) -> None:
    original = f"{mark}a = 1{end}{end}b = 2{end}"
    assert written_like(original, "a = 1\n\nb = 3\nc = 4\n") == f"{mark}a = 1{end}{end}b = 3{end}c = 4{end}"
    assert written_like(original, "a = 1\r\n\rb = 2") == f"{mark}a = 1{end}{end}b = 2"
    assert written_like(original, original.replace("2", "5")) == original.replace("2", "5")


def test_lines_that_are_not_changed_keep_mixed_ends() -> None:
    original = f"{BOM}a\r\nb\nc\r\nd\re"
    assert written_like(original, "a\nB\nB\nc\nd\ne") == f"{BOM}a\r\nB\r\nB\r\nc\r\nd\re"


@given(TEXTS, TEXTS)
def test_a_text_stays_the_same_in_any_dress(original: str, text: str) -> None:
    assert plain(written_like(original, text)) == plain(text)


def test_an_empty_line_after_a_carriage_return_stays_a_line() -> None:
    assert written_like("a\rb\rc\n\nd\n", "a\n\nd\n") == "a\r\rd\n"
    assert written_like("a\rb\n\n\nd\n", "a\n\n\nd\n") == "a\r\r\rd\n"
