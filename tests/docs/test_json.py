"""docs/json.md says exactly what the commands print."""

import json
import re
import runpy
from pathlib import Path

import pytest
from support.programs import autoresearch
from support.repositories import git
from support.shapes import PAGE, as_documented

from autoresearch.cli import app
from autoresearch.config import Config

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "status": ["status"],
    "log": ["log", "--all"],
    "log --by": ["log", "--by", "agent"],
    "show": ["show", "1"],
    "diff": ["diff", "0", "1"],
    "best": ["best"],
    "brief": ["brief"],
    "lessons": ["lessons", "--all"],
    "sessions": ["sessions"],
    "trial": ["trial"],
    "plan": ["plan"],
    "prepare": ["prepare"],
    "doctor": ["doctor", "--budget", "15cpu"],
    "export": ["export", "--branch", "taken-home", "--tsv", "runs/all.tsv"],
    "sample": ["sample", "1", "--tokens", "5"],
    "doctor --ledger": ["doctor", "--ledger"],
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_and_the_program_have_the_same_keys(command: str, finished: Path, settings_of: dict[str, str]) -> None:
    if command == "doctor --ledger":
        git(finished, "update-ref", "refs/autoresearch/stranger/0", "HEAD")
    done = autoresearch(finished, *COMMANDS[command], "--json", env=settings_of)
    assert done.returncode == (1 if command == "doctor --ledger" else 0), done.stderr
    assert as_documented(command, json.loads(done.stdout))


def test_the_page_of_commands_is_what_help_says() -> None:
    made = runpy.run_path(str(ROOT / "dev" / "cli_page.py"))["page"]()
    assert (ROOT / "docs" / "cli.md").read_text() == made, "python dev/cli_page.py > docs/cli.md"


def test_every_setting_is_in_the_guide() -> None:
    text = (ROOT / "docs" / "guide.md").read_text() + (ROOT / "docs" / "agents.md").read_text()
    missing = [name for name in Config.model_fields if f"`{name}`" not in text]
    assert not missing


@pytest.mark.parametrize("page", [*sorted(each.name for each in (ROOT / "docs").glob("*.md")), "../README.md"])
def test_commands_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert set(re.findall(r"(?:^|`)autoresearch ([a-z]+)", text, re.MULTILINE)) <= known


def test_every_command_with_json_is_on_the_page(tmp_path: Path) -> None:
    commands = [command for command in app.registered_commands if command.callback is not None]
    shows = {c.callback.__name__ for c in commands if c.callback and "as_json" in c.callback.__annotations__}
    assert shows == {name.split()[0] for name in re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE)}
