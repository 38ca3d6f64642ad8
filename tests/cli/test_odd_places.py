"""Odd names and missing places, from the command line, variables and the settings file: one line, never a traceback."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cells import CORE
from support.programs import call_main

from autoresearch.cli import main
from autoresearch.setup.slots import choose, lock

PLACES = st.one_of(
    st.sampled_from(["~", "~/x", "~nobody-of-this-name/x", "/dev/null", "/dev/null/x", "/nowhere/x", "loop/x", "."]),
    st.sampled_from(["dangling", "train.py", "train.py/x", "x" * 256, "y/" * 3000, "[a", "{}", "%s", "-", "loop"]),
    st.text(st.sampled_from("a[]*?,~ .-/\n\t$#%\\'\"é日\udcff"), min_size=1, max_size=8),
)
COMMANDS = (
    ["status", "--tag"],
    ["report", "--out", "runs/report", "--png"],
    ["export", "--jsonl"],
    ["prepare", "--source"],
    ["run", "--tag"],
    ["run", "--from"],
    ["run", "--tag", "a/../b", "--agent"],
    ["sample"],
)
VARIABLES = ("HOME", "XDG_CACHE_HOME", "AUTORESEARCH_CACHE", "AUTORESEARCH_PROGRAM", "AUTORESEARCH_TRAIN")
KEYS = ("source", "agent", "program", "train", "command_read", "tag")
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def place(finished: Path, tmp_path: Path, settings_of: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a finished session with odd files."""
    for name, value in settings_of.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AUTORESEARCH_TAG")
    folder = shutil.copytree(finished, tmp_path / "repository")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nothing")
    return folder


@contextmanager
def changed(folder: Path, variables: Mapping[str, str | None]) -> Iterator[None]:
    """Work in a folder with other variables; None: not set."""
    before = dict(os.environ)
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    os.chdir(folder)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        os.chdir(folder.anchor)


def check(arguments: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Call a command in this process: it ends with a known exit code, and errors are one line."""
    code = call_main(monkeypatch, *arguments)
    err = capfd.readouterr().err
    assert code in (0, 1, 2, 3) and "Traceback" not in err
    errors = [line for line in err.splitlines() if line.startswith("autoresearch: ")]
    assert len(errors) <= 1


@pytest.mark.slow
@MANY
@given(command=st.sampled_from(COMMANDS), name=PLACES)
def test_arguments(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str], name: str
) -> None:
    kinds = {"--source": "files:", "--agent": "scripted:"}
    with changed(place, {}), lock(choose("cpu", 1, [CORE])):  # no session starts, whatever the name
        check([*command, kinds.get(command[-1], "") + name], capfd, monkeypatch)


@pytest.mark.slow
@MANY
@given(variable=st.sampled_from(VARIABLES), value=st.one_of(st.none(), PLACES))
def test_variables(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    variables = {variable: value} | ({} if variable.startswith("AUTO") else {"AUTORESEARCH_CACHE": None})
    for command in (["status"], ["run", "--tag", "a/../b"], ["prepare", "--source", "files:nowhere"]):
        with changed(place, variables):
            check(command, capfd, monkeypatch)
    assert not list(place.glob("~*"))


@pytest.mark.slow
@MANY
@given(key=st.sampled_from(KEYS), value=PLACES)
def test_keys_of_the_settings_file(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    kinds = {"source": "files:", "agent": "scripted:"}
    (place / "autoresearch.yaml").write_text(json.dumps({key: kinds.get(key, "") + value}))
    for command in (["status"], ["doctor", "--ledger"], ["run", "--tag", "a/../b"]):
        with changed(place, {"AUTORESEARCH_SOURCE": None}):
            check(command, capfd, monkeypatch)


@pytest.mark.slow
@MANY
@given(name=PLACES.filter(lambda name: not set("/\0") & set(name) and name not in (".", "..") and len(name) < 200))
def test_names_of_the_repository(
    place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = place.parent / "places" / name
    if not folder.exists():
        shutil.copytree(place, folder, symlinks=True)
    for command in (["status"], ["doctor", "--ledger"], ["prepare"], ["export", "--jsonl", "all"]):
        with changed(folder, {}):
            check(command, capfd, monkeypatch)


def test_a_current_folder_that_is_gone(
    repository: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    below = repository / "below"
    below.mkdir()
    monkeypatch.setattr(sys, "argv", ["autoresearch", "status"])
    with changed(below, {}), pytest.raises(SystemExit) as end:
        below.rmdir()
        main()
    assert end.value.code == 1 and "the current folder is gone" in capfd.readouterr().err
