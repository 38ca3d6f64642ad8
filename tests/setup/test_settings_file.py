"""Answers that are remembered in autoresearch.yaml: everything else in it stays as it was, byte for byte."""

from pathlib import Path

import pytest
import yaml

from autoresearch.config import FILE
from autoresearch.errors import UserError
from autoresearch.setup.settings_file import remember

VALUES = {"agent": "command:claude", "max_usd": 10}
NEW = "agent: command:claude\nmax_usd: 10\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, NEW),
        ("", NEW),
        ("# mine\n", f"# mine\n{NEW}"),
        ("hours: 8", f"hours: 8\n{NEW}"),
        (
            "agent: auto  # who proposes\n\nhours:   8\n",
            "agent: command:claude  # who proposes\n\nhours:   8\nmax_usd: 10\n",
        ),
        ("agent:\nmax_usd: 5\nhours: 8\n", "agent: command:claude\nmax_usd: 10\nhours: 8\n"),
        ('"agent": "auto"\r\n# x\r\n', '"agent": command:claude\r\n# x\r\nmax_usd: 10\r\n'),
        ("on_event: |\n  agent: x\n", f"on_event: |\n  agent: x\n{NEW}"),
        ("\ufeffhours: 8\n", f"\ufeffhours: 8\n{NEW}"),
    ],
)
def test_only_the_lines_of_the_answer_change(before: str | None, after: str, tmp_path: Path) -> None:
    path = tmp_path / FILE
    if before is not None:
        path.write_bytes(before.encode())
        path.chmod(0o640)
    remember(tmp_path, VALUES)
    assert path.read_bytes().decode() == after
    assert VALUES.items() <= yaml.safe_load(after.removeprefix("\ufeff")).items()
    assert before is None or path.stat().st_mode & 0o777 == 0o640
    remember(tmp_path, VALUES)
    assert path.read_bytes().decode() == after


@pytest.mark.parametrize("text", ["{hours: 8}\n", "hours: 8\n...\n", "- 8\n", "a: [\n", "agent: >\n  auto\nhours: 8\n"])
def test_a_file_that_would_become_another_one_stays(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match="cannot be changed"):
        remember(tmp_path, VALUES)
    assert (tmp_path / FILE).read_text() == text
