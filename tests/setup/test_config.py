"""Settings from three sources, and error lines that name the setting and its source."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoresearch import config
from autoresearch.config import split_paths
from autoresearch.errors import UsageError

NAMES_FILES = "it names files; tools or text is the setting edit_format"


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
        ("null: 5m\n", {}, {}, "'null' in autoresearch.yaml: keys should be strings"),
        ("2026: 5m\n", {}, {}, "'2026' in autoresearch.yaml: keys should be strings"),
        ("budgget: 5m\n", {}, {}, "'budgget' in autoresearch.yaml: there is no such setting: did you mean budget?"),
        ("", {}, {"max_experiments": 0}, "--max-experiments: input should be greater than 0"),
        ("", {"VOCAB_SIZE": "5"}, {}, "AUTORESEARCH_VOCAB_SIZE: input should be greater than or equal to 256"),
        ("", {"SLOTS": "1,1"}, {}, "AUTORESEARCH_SLOTS: the numbers have to be different"),
        ("until: 7\n", {}, {"until": "24:00"}, "--until: should be a time of day, such as 07:00"),
        ("until: true\n", {}, {}, "'until' in autoresearch.yaml: should be a time of day, such as 07:00"),
        (
            "hours: 8\nuntil: 07:00\n",
            {},
            {},
            "'hours' in autoresearch.yaml and 'until' in autoresearch.yaml are both given: choose one of them",
        ),
        ("", {}, {"hours": 1.0, "until": "07:00"}, "--hours and --until are both given: choose one of them"),
        ("", {}, {"target": -1.0}, "--target: should be a score above 0, as 2.00 or {val_bpb: 2.00}"),
        ("", {"TARGET": "inf"}, {}, "AUTORESEARCH_TARGET: should be a score above 0, as 2.00 or {val_bpb: 2.00}"),
        (
            "target: {accuracy: 2}\n",
            {},
            {},
            "'target' in autoresearch.yaml: should be a score above 0, as 2.00 or {val_bpb: 2.00}",
        ),
        (
            "edit: text\n",
            {},
            {},
            "'edit' in autoresearch.yaml: it names files; tools or text is the setting edit_format",
        ),
        ("", {"EDIT": "text"}, {}, f"AUTORESEARCH_EDIT: {NAMES_FILES}"),
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


@pytest.mark.parametrize(
    ("file", "environment", "flags", "ends"),
    [
        ("hours: 8\n", {}, {"until": "07:00"}, (None, "07:00")),
        ("until: 07:00\n", {"HOURS": "9"}, {}, (9.0, None)),
        ("until: 22:30\n", {}, {"hours": None}, (None, "22:30")),  # a number in base 60 to YAML 1.1
        ("until: 0:00\n", {"UNTIL": "6:05"}, {}, (None, "6:05")),
    ],
)
def test_a_run_has_one_end_and_later_sources_choose_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    environment: dict[str, str],
    flags: dict[str, object],
    ends: tuple[float | None, str | None],
) -> None:
    (tmp_path / config.FILE).write_text(file)
    for name, value in environment.items():
        monkeypatch.setenv(f"AUTORESEARCH_{name}", value)
    found = config.load(tmp_path, flags)
    assert (found.hours, found.until) == ends


def test_a_target_is_a_score_or_names_it(tmp_path: Path) -> None:
    for text in ("target: {val_bpb: 2.00}\n", "target: 2\n", "target: '2.0'\n"):
        (tmp_path / config.FILE).write_text(text)
        assert config.load(tmp_path, {}).target == 2.0
    assert config.load(tmp_path, {"target": 1.5}).target == 1.5


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / config.FILE).mkdir()
    with pytest.raises(UsageError, match=r"^autoresearch.yaml cannot be read: .*Is a directory"):
        config.load(tmp_path, {})


def test_the_file_is_read_as_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    (tmp_path / "autoresearch.yaml").write_text("program: für-nachts.md\n", encoding="utf-8")
    code = "import sys, pathlib, autoresearch.config as c; print(ascii(c.load(pathlib.Path(sys.argv[1]), {}).program))"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=os.environ | plain, capture_output=True, text=True, check=False)
    assert done.stdout == "'f\\xfcr-nachts.md'\n", done.stderr


def test_relative_paths_belong_to_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top, below = tmp_path / "top", tmp_path / "top" / "below"
    below.mkdir(parents=True)
    (top / "one, two").mkdir()
    monkeypatch.chdir(below)
    lines = "source: 'files:texts/*.md, ~/notes, /full, one, two'\nagent: scripted:edits\n"
    (top / config.FILE).write_text(lines)
    found = config.load(top, {})
    assert found.source == f"files:{top}/texts/*.md,~/notes,/full,{top}/one, two"
    inside = top / "a, b" / "texts"
    inside.mkdir(parents=True)
    several = f"files:{inside}/*.md,{inside}/**,{top}/x/[y],z"
    assert list(split_paths(several.removeprefix("files:"), top)) == [
        f"{inside}/*.md", f"{inside}/**", f"{top}/x/[y]", "z",
    ]  # fmt: skip
    assert found.agent == f"scripted:{top}/edits"
    assert config.load(top, {"agent": "scripted:edits"}).agent == "scripted:edits"
    (top / config.FILE).write_text("source: climbmix:shards\nagent: 'scripted:'\n")
    found = config.load(top, {})
    assert (found.source, found.agent) == (f"climbmix:{top}/shards", "scripted:")


def test_what_nobody_reads_is_told_with_the_nearest_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_COST", "HOURSS", "XYZZY", "CACHE", "BUDGET", "EVENT"):
        monkeypatch.setenv(f"AUTORESEARCH_{name}", "5")
    (tmp_path / "autoresearch.yml").write_text("max_usd: 5\n")
    assert config.find_unread(tmp_path) == [
        "AUTORESEARCH_HOURSS is set, but nothing reads it: did you mean AUTORESEARCH_HOURS?",
        "AUTORESEARCH_MAX_COST is set, but nothing reads it: did you mean AUTORESEARCH_MAX_USD?",
        "AUTORESEARCH_XYZZY is set, but nothing reads it",
        "autoresearch.yml is not read: its name has to be autoresearch.yaml",
    ]


def test_the_cache_folder_of_a_variable_without_a_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AUTORESEARCH_CACHE", "~/kept")
    assert config.cache_folder() == tmp_path / "kept"
    monkeypatch.setenv("AUTORESEARCH_CACHE", "~nobody-of-this-name/kept")
    with pytest.raises(UsageError, match="no home folder of the user 'nobody-of-this-name'"):
        config.cache_folder()
