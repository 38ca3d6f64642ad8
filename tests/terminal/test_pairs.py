"""Names and values, line by line."""

import io

from rich.console import Console

from autoresearch.report.blocks import Pairs
from autoresearch.terminal.console import print_blocks


def test_only_names_are_bold() -> None:
    file = io.StringIO()
    print_blocks([Pairs({"grade": "STRONG\x1b[31m"})], Console(file=file, force_terminal=True))
    assert file.getvalue() == "\x1b[1mgrade       \x1b[0mSTRONG\n"
