"""Settings from three sources, and error lines that name the setting and its source."""

from pathlib import Path

import pytest

from autoresearch import config
from autoresearch.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / config.FILE).write_text("budget: 5m\nhours: 8\nthreads: 2\n")
    return tmp_path


def test_flags_go_over_the_environment_over_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_HOURS", "9")
    monkeypatch.setenv("AUTORESEARCH_BUDGET", "10m")
    monkeypatch.setenv("AUTORESEARCH_THREADS", "")
    monkeypatch.setenv("AUTORESEARCH_COMMAND_ENV", "A, B,")
    found = config.load(folder, {"budget": "15m", "agent": None})
    assert (found.budget, found.hours, found.threads, found.command_env) == ("15m", 9.0, 2, ["A", "B"])
    assert found.model_fields_set == {"budget", "hours", "threads", "command_env"}


@pytest.mark.parametrize(
    ("file", "environment", "flags", "line"),
    [
        ("hours: 0\n", {}, {}, "'hours' in autoresearch.yaml: input should be greater than 0"),
        ("hours: 8\n", {"HOURS": "0"}, {}, "AUTORESEARCH_HOURS: input should be greater than 0"),
        (
            "hours: 8\n",
            {"HOURS": "9"},
            {"hours": 0.0},
            "--hours: input should be greater than 0",
        ),
        (
            "total_pairs: 1\n",
            {},
            {},
            "'total_pairs' in autoresearch.yaml: one pair has no interval: choose 2 or more, or 0 for no honest total",
        ),
        ("budgget: 5m\n", {}, {}, "'budgget' in autoresearch.yaml: there is no such setting: did you mean budget?"),
        ("", {"SLOTS": "1,1"}, {}, "AUTORESEARCH_SLOTS: the numbers have to be different"),
        ("edit: text\n", {}, {}, "'edit' in autoresearch.yaml: its name is now 'edit_format'"),
        ("", {"EDIT": "text"}, {}, "AUTORESEARCH_EDIT: its name is now AUTORESEARCH_EDIT_FORMAT"),
        ("1: 2\n", {}, {}, "'1' in autoresearch.yaml: keys should be strings"),
        ("- [hours, 8]\n", {}, {}, "autoresearch.yaml must hold `name: value` lines"),
    ],
)
def test_an_error_names_the_setting_and_its_source(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    environment: dict[str, str],
    flags: dict[str, object],
    line: str,
) -> None:
    (tmp_path / config.FILE).write_text(file)
    for name, value in environment.items():
        monkeypatch.setenv(f"AUTORESEARCH_{name}", value)
    with pytest.raises(UsageError) as refused:
        config.load(tmp_path, flags)
    assert str(refused.value) == line and refused.value.exit_code == 2


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / config.FILE).mkdir()
    with pytest.raises(UsageError, match=r"^autoresearch.yaml cannot be read: .*Is a directory"):
        config.load(tmp_path, {})
