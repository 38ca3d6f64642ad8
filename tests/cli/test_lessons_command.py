"""The commands `lessons` and `advice`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.programs import call_main
from support.repositories import git
from support.shapes import as_documented

from autoresearch import config
from autoresearch.brief.lessons import Lessons
from autoresearch.config import Config
from autoresearch.ledger import Ledger
from autoresearch.ledger.lesson_uses import EXPIRED, LESSONS
from autoresearch.session.arms import ARMS_EVENT
from autoresearch.setup.program_arm import add_program_arm

FILE = """\
- never touch the tokenizer
- keep (schedule): a longer warmdown [old#1, 3 trials]
- discard (schedule): a shorter warmdown [old#2, 1 trial]
- keep (other): something [old#3, 2 trials]
- discard (other): brought back [old#4, 2 trials]
"""


@pytest.fixture
def night(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A session of forty proposals: every second block had old#1, the others old#2."""
    monkeypatch.chdir(repository)
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        row = store.create_session("t", "autoresearch/t", "HEAD", "claude", "default", {}, {}, seed=1)
        for n in range(80):
            has_first = n // 10 % 2 == 0
            shown, left_out = (["old#1"], ["old#2"]) if has_first else (["old#2"], ["old#1"])
            kept = n % 10 < (7 if has_first else 1)
            use = {"block": n // 10, "shown": shown, "left_out": left_out}
            columns = {"state": "settled", "val_bpb": 1.0, "delta": 0.01, "category": "schedule"}
            verdict = "keep" if kept else "discard"
            store.add_experiment(row.id, n, params={LESSONS: use}, verdict=verdict, **columns)
        store.event(row.id, EXPIRED, "", data={"lesson": "old#4"})
        Lessons.locate(repository / "runs", {}, {}).path.write_text(FILE)
    yield repository


def test_lessons_are_listed_with_what_was_measured(
    night: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call_main(monkeypatch, "lessons", "--all", "--json") == 0
    found = json.loads(capfd.readouterr().out)
    assert as_documented("lessons", found)
    states = {each["lesson"]: each["state"] for each in found}
    assert states == {None: "yours", "old#4": "yours", "old#1": "shown", "old#3": "new", "old#2": "expired"}
    first = next(each for each in found if each["lesson"] == "old#1")
    assert (first["with"]["kept"], first["with"]["proposals"], first["without"]["kept"]) == (28, 40, 4)
    assert first["with"]["low"] < 0.7 < first["with"]["high"] and first["helps"] > 0.99
    assert first["text"] == "keep (schedule): a longer warmdown"

    assert call_main(monkeypatch, "lessons") == 0
    out, err = capfd.readouterr()
    assert "28 of 40: 70 %" in out and "old#2" not in out and "never touch the tokenizer" in out
    assert ", 2 of them new or expired: --all lists them" in err


def test_advice_is_a_patch_with_its_evidence(
    night: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call_main(monkeypatch, "advice") == 0
    out, err = capfd.readouterr()
    assert "+- Nothing was tried yet in: " in out and "79 experiments were measured" in err
    (night / "advice.patch").write_text(out)
    git(night, "apply", "advice.patch")
    assert "## What session t showed" in (night / "program.md").read_text()
    assert call_main(monkeypatch, "advice", "--json") == 0
    assert as_documented("advice", json.loads(capfd.readouterr().out))
    assert call_main(monkeypatch, "advice", "--json", "--arm") == 2


@pytest.mark.parametrize("program", ["Lower it.\r\n\r\nBe bold.\r\n", "Lower it.", f"{'long ' * 100}\n"])
def test_the_command_of_the_report_adds_the_lines_to_the_program_of_the_settings(
    night: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], program: str
) -> None:
    path = night / "notes" / "aims.md"
    path.parent.mkdir()
    path.write_bytes(program.encode())
    (night / "autoresearch.yaml").write_text("program: notes/aims.md\n")
    assert call_main(monkeypatch, "report") == 0
    report = (night / "runs" / "t" / "report.md").read_text()
    assert "`autoresearch advice --tag t | git apply`" in report
    (words,) = (line for line in report.splitlines() if line.startswith("- Nothing was tried yet in: "))
    capfd.readouterr()
    assert call_main(monkeypatch, "advice", "--tag", "t") == 0
    (night / "advice.patch").write_bytes(capfd.readouterr().out.encode())
    git(night, "apply", "advice.patch")
    added, end = path.read_bytes().decode(), "\r\n" if "\r" in program else "\n"
    assert added.startswith(program.rstrip()) and f"{end}{words}{end}" in added
    assert added.count("\n") == added.count(end)


def test_advice_becomes_a_program_of_its_own(
    night: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (night / "program.md").read_text()
    assert call_main(monkeypatch, "advice", "--arm") == 0
    capfd.readouterr()
    assert (night / "program.md").read_text() == before
    text = (night / "program-b.md").read_text()
    assert text.startswith(before) and "- Nothing was tried yet in: " in text
    first, second = config.load(night, {}).arms
    assert (first.program, second.program, second.agent) == ("program.md", "program-b.md", first.agent)


def test_advice_for_several_researchers_copies_the_first_of_them(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(night / "runs" / "ledger.db") as store:
        session = store.session("t")
        assert session is not None
        store.update_session(session.id, agent="mix: sweep, a")
        arms = [{"name": "sweep", "agent": "sweep"}, {"name": "a", "agent": "claude", "model": "m"}]
        store.event(session.id, ARMS_EVENT, "sweep, a", data={"arms": arms})
    assert call_main(monkeypatch, "advice", "--arm") == 0
    names = [(arm.name, arm.agent, arm.program) for arm in config.load(night, {}).arms]
    assert names == [("sweep", "sweep", None), ("a", "claude", None), ("program-b", "sweep", "program-b.md")]


def test_an_arm_is_added_to_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "program.md").write_text("look\n")
    (tmp_path / "program-b.md").write_text("look here\n")
    (tmp_path / "autoresearch.yaml").write_text("budget: 5m  # as always\narms: [{agent: claude, model: m}, sweep]\n")
    others = [{"agent": "openai:x", "program": "program.md"}]
    made = add_program_arm(tmp_path, Config(), others, "look there\n")
    assert made.program.name == "program-c.md" and made.program.read_text() == "look there\n"
    new = {"agent": "claude", "model": "m", "name": "program-c", "program": "program-c.md"}
    assert yaml.safe_load(made.lines) == {"arms": [{"agent": "claude", "model": "m"}, {"agent": "sweep"}, new]}
    (tmp_path / "autoresearch.yaml").unlink()
    first, second = add_program_arm(tmp_path, Config(), others, "look\n").arms
    assert first == {"agent": "openai:x", "program": "program.md"}
    assert second == {"agent": "openai:x", "name": "program-d", "program": "program-d.md"}
