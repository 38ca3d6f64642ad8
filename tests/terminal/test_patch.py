"""A change on the screen."""

import io
import re

import pytest
from rich.console import Console

from autoresearch.report.blocks import Code
from autoresearch.terminal.console import print_blocks

PATCH = """--- a/train.py
+++ b/train.py
@@ -1,5 +1,5 @@
 for k in range(3):  # not 'a string'
-A = 1
+A = None if "x # y" else 1  # why
+'it\\'s' + rb'''open
 name = r"a\\"
"""


def printed(patch: str, colour: bool = True, width: int = 40) -> str:
    buffer = io.StringIO()
    environment = {} if colour else {"NO_COLOR": "1"}
    options = {"force_terminal": True, "width": width, "color_system": "standard", "_environ": environment}
    print_blocks([Code(patch, "diff")], Console(file=buffer, **options))  # type: ignore[arg-type]
    return buffer.getvalue()


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize(
    "seen",
    [
        "\x1b[1m--- a/train.py",
        "\x1b[36m@@ -1,5 +1,5 @@",
        "\x1b[35mfor\x1b[0m k \x1b[35min\x1b[0m range(\x1b[36m3\x1b[0m):  \x1b[2m# not 'a string'\x1b[0m",
        "\x1b[31m-A = 1\x1b[0m",
        "\x1b[32m+A = \x1b[0m\x1b[1;32mNone\x1b[0m",
        '\x1b[32m "x # y" \x1b[0m',
        "\x1b[2;32m# why\x1b[0m",
        "\x1b[32m+'it\\'s' + rb'''open\x1b[0m",
        'name = \x1b[33mr\x1b[0m\x1b[33m"\x1b[0m\x1b[33ma\x1b[0m\x1b[33m\\"\x1b[0m',
    ],
)
def test_signs_and_words_are_told_apart(seen: str) -> None:
    assert seen in printed(PATCH)


def test_nothing_is_cut_and_colours_say_nothing_alone() -> None:
    long = PATCH + f"+B = {'long ' * 50}\n+C = '{'x' * 10_000}\n"
    assert without_colours(printed(long)) == long
    assert not re.search(r"\x1b\[[\d;]*3\d", printed(PATCH, colour=False))


def test_hostile_lines_come_out_as_text() -> None:
    evil = "+\x1b]0;owned\x07\x1b[2J\u202eevil\x9b31m\n"
    assert without_colours(printed(evil)) == "+evil31m\n"
    for line in ('"\\' * 100_000, "'''" * 100_000, "\\" * 400 + '"' * 99, '"\\"' * 160 + "\\"):
        assert without_colours(printed(f"+{line}\n {line}\n")) == f"+{line}\n {line}\n"
