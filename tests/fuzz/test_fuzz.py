"""Parsers of hostile bytes: what was ever found, and fresh inputs for some seconds (benchmarks/fuzz.py: longer)."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fuzz import CORPUS, LIMIT_S, PARSERS, SEPARATOR, corpus, run
from support.repositories import BIGRAM

pytestmark = pytest.mark.slow  # seconds for each parser

SAME_EACH_TIME = settings(
    max_examples=60,
    derandomize=True,
    deadline=1000 * LIMIT_S,
    suppress_health_check=list(HealthCheck),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.integers(10**300, 10**320) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)
SHAPES = st.lists(st.integers(-1, 5) | st.integers(10**9, 10**18) | JSON, max_size=10)
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "BF16", "BOOL", "F4", "X"]) | JSON,
        "shape": SHAPES | JSON,
        "data_offsets": st.lists(st.integers(0, 40), max_size=3) | JSON,
    },
)
HEADERS = st.dictionaries(st.sampled_from(["__metadata__", "a", "b"]) | st.text(max_size=3), TENSORS | JSON, max_size=3)
LINES = st.lists(st.sampled_from(BIGRAM.splitlines(keepends=True)) | st.text(max_size=20), max_size=12).map("".join)
ANY = st.binary(max_size=300)


def framed(header: object, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


INPUTS = {
    "header": ANY | st.builds(framed, HEADERS, st.binary(max_size=40)),
    "messages": ANY
    | st.fixed_dictionaries(
        {"kind": st.sampled_from(["log", "error"]), "values": JSON, "error": JSON, "text": JSON}
    ).map(lambda fields: json.dumps(fields).encode()),
    "source": ANY | st.builds(lambda a, b: f"{a}{SEPARATOR}{b}".encode("utf-8", "surrogatepass"), LINES, LINES),
    "edits": ANY | st.builds(lambda a, b: f"{a}{SEPARATOR}{b}".encode("utf-8", "surrogatepass"), LINES, LINES),
    "result": st.dictionaries(st.sampled_from(["step", "epochs", "num_params", "tokens_per_step", "loss"]), JSON).map(
        lambda fields: json.dumps(fields).encode()
    ),
    "tree": ANY,
}


def test_every_parser_has_a_corpus_and_inputs() -> None:
    assert {path.name for path in CORPUS.iterdir()} == PARSERS.keys() == INPUTS.keys()


@pytest.mark.parametrize("parser", PARSERS)
def test_what_is_in_the_corpus_is_no_fault_any_more(parser: str) -> None:
    for data in corpus(parser):
        run(parser, data)


@pytest.mark.parametrize("parser", PARSERS)
def test_fresh_inputs(parser: str) -> None:
    @SAME_EACH_TIME
    @given(INPUTS[parser])
    def check(data: bytes) -> None:
        run(parser, data)

    check()
