"""Numbers of files of data: their names, those that are none, and files that are made to keep a program busy."""

import time

import pytest

from autoresearch.source.scalars import scalars, with_scalars, without_scalars
from autoresearch.source_tree import SourceTree


def version(**files: str) -> str:
    return SourceTree({name.replace("_", "."): text for name, text in files.items()}).text


def numbers(text: str) -> dict[str, float]:
    return {each.name: each.value for each in scalars(text)}


NESTED = "a: &a [1, 1]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}]\n" for old, new in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)
RECURSIVE = "a: &a\n  b: *a\n  c: 2\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (NESTED, {"x.yaml:a.0": 1, "x.yaml:a.1": 1}),
        (RECURSIVE, {"x.yaml:a.c": 2}),
        ("[" + ", ".join(["1"] * 30_000) + "]", {}),
        ("k" * 30_000 + ": [" + ", ".join(["1"] * 3_000) + "]", {}),
    ],
)
def test_a_file_of_data_takes_no_longer_than_its_length(text: str, found: dict[str, float]) -> None:
    began = time.monotonic()
    assert numbers(version(x_yaml=text)) == found
    without_scalars("x.yaml", text)
    assert time.monotonic() - began < 30


def test_what_an_anchor_names_is_one_number() -> None:
    text = version(x_yaml="base: &base\n  lr: 0.1\n  depth: 4\ntrain: *base\nother:\n  <<: *base\n  lr: 0.3\n")
    assert numbers(text) == {"x.yaml:base.lr": 0.1, "x.yaml:base.depth": 4, "x.yaml:other.lr": 0.3}
    after = with_scalars(text, {"x.yaml:base.lr": 0.2, "x.yaml:base.depth": 6})
    assert numbers(after) == {"x.yaml:base.lr": 0.2, "x.yaml:base.depth": 6, "x.yaml:other.lr": 0.3}


def test_a_name_may_have_a_colon() -> None:
    text = version(x_yaml='"llama3:8b": 1\nb: 2\n', y_py="A = 3\n")
    after = with_scalars(text, {"x.yaml:llama3:8b": 5, "y.py:A": 7})
    assert numbers(after) == {"x.yaml:llama3:8b": 5, "x.yaml:b": 2, "y.py:A": 7}
    with pytest.raises(KeyError, match=r"no number called x.yaml:c"):
        with_scalars(text, {"x.yaml:c": 1})


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 400, "1e999", "-1e999", "1" + "0" * 308 + ".5e9"])
@pytest.mark.parametrize(("name", "line"), [("x_yaml", "a: {}\nb: 2\n"), ("x_toml", "a = {}\nb = 2\n")])
def test_what_is_not_finite_is_no_number(number: str, name: str, line: str) -> None:
    assert set(numbers(version(**{name: line.format(number)})).values()) <= {2}
