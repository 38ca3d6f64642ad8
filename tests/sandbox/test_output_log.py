"""The capped log: beginning and end survive, a flood costs nothing, terminals are safe."""

import os

import pytest

from autoresearch.sandbox.output_log import LogFile, LogWriter
from autoresearch.text import clean


def write(limit: int, *pieces: bytes) -> str:
    log = LogFile(limit)
    writer = LogWriter(log.fd, limit)
    for piece in pieces:
        writer.write(piece)
    text = log.text()
    size = os.fstat(log.fd).st_size
    log.close()
    assert size <= limit + 8
    assert log.text() == text  # also when the memory file is gone
    return text


def test_a_short_log_is_whole() -> None:
    assert write(100, b"one\n", b"two\n") == "one\ntwo\n"
    assert write(8, b"exactly8") == "exactly8"


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
def test_a_long_log_keeps_its_beginning_and_its_end(piece: int) -> None:
    data = "".join(f"line {n:04}\n" for n in range(300)).encode()
    text = write(200, *(data[i : i + piece] for i in range(0, len(data), piece)))
    beginning, _, rest = text.partition("\n[... ")
    cut, _, end = rest.partition(" bytes cut ...]\n")
    assert beginning == data[:100].decode()
    assert end == data[-100:].decode()
    assert int(cut) == len(data) - 200


def test_nothing_written_is_an_empty_log() -> None:
    assert write(10) == ""


def test_text_is_cleaned_for_terminals_and_prompts() -> None:
    assert clean(b"\x1b[31mred\x1b[0m\x07 \x1b]0;title\x07end\r\n\tnext\x00") == "red end\n\tnext"
    assert clean(b"10%\r20%") == "10%\n20%"
    assert clean("a\u202eb\u2066c".encode()) == "abc"
    assert clean(b"\xff\xfe") == "\ufffd\ufffd"
    assert clean("größer 日本".encode()) == "größer 日本"
