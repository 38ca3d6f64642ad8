"""Names and values, line by line."""

import io

from rich.console import Console

from autoresearch.terminal.pairs import print_pairs


def test_only_names_are_bold() -> None:
    file = io.StringIO()
    print_pairs({"grade": "STRONG\x1b[31m"}, Console(file=file, force_terminal=True))
    assert file.getvalue() == "\x1b[1mgrade       \x1b[0mSTRONG\n"
