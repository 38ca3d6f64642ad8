"""Guards of a command's session: commands that must pass once, and numbers with a limit, judged with their noise."""

import json
import re
from pathlib import Path

import pytest
from support.programs import call_main
from support.repositories import git
from support.triplets import YAML, make_triplet, one_line_patch, write_script

from autoresearch import config
from autoresearch.errors import UsageError
from autoresearch.setup.command import read_command

BENCH = """import json
import random
import sys

from src import model

seed, out = int(sys.argv[1]), sys.argv[2]
error = (model.SLOPE - 3.0) ** 2 + random.Random(seed).gauss(0, 0.001)
late = model.LATE + random.Random(seed + 1).gauss(0, 0.2)
with open(out + "/result.json", "w") as file:
    json.dump({"error": {"mean": error}, "late": late}, file)
"""
MODEL = "SLOPE = 1.0\nLATE = 10.0\nRIGHT = True\n"
CHECK = 'from src import model\n\nprint("checking")\nassert model.RIGHT, "it is not right"\n'
SETTINGS = (
    YAML.replace("edit: [src/model.py, settings.yaml]", "edit: [src/model.py]")
    + """seed: 5
guards:
  - {name: right, command: python check.py}
  - {name: late, from: {json: $.late}, at_most: +5%}
"""
)


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AUTORESEARCH_TAG", "t")
    root = make_triplet(tmp_path / "repository", SETTINGS)
    for name, text in {"bench.py": BENCH, "src/model.py": MODEL, "check.py": CHECK}.items():
        (root / name).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "guards")
    monkeypatch.chdir(root)
    return root


def patch_of(**constants: str) -> str:
    old = dict(line.split(" = ") for line in MODEL.splitlines())
    hunks = [f"-{name} = {old[name]}\n+{name} = {value}\n" for name, value in constants.items()]
    lines = "".join(
        f"-{name} = {value}\n+{name} = {constants[name]}\n" if name in constants else f" {name} = {value}\n"
        for name, value in old.items()
    )
    return f"--- a/src/model.py\n+++ b/src/model.py\n@@ -1,3 +1,3 @@\n{lines}" if hunks else ""


def test_a_version_that_breaks_a_guard_is_not_kept(
    guarded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    patches = {
        "01-wrong": patch_of(SLOPE="2.0", RIGHT="False"),
        "02-late": patch_of(SLOPE="2.0", LATE="15.0"),
        "03-good": patch_of(SLOPE="2.0", LATE="10.1"),
        "04-lost-and-wrong": one_line_patch("src/model.py", "SLOPE = 2.0", "SLOPE = 0.0\nRIGHT = False")
        .replace("@@ -1 +1 @@", "@@ -1 +1,2 @@")
        .replace("\nRIGHT", "\n+RIGHT"),
    }
    script = write_script(tmp_path / "script", patches)
    assert call_main(monkeypatch, "run", "--agent", f"scripted:{script}", "--device", "cpu") == 0
    capfd.readouterr()
    assert call_main(monkeypatch, "log", "--all", "--json") == 0
    rows = {row["n"]: row for row in json.loads(capfd.readouterr().out)}
    verdicts = {n: row["verdict"] for n, row in rows.items()}
    assert verdicts == {0: "keep", 1: "invalid", 2: "invalid", 3: "keep", 4: "discard"}
    assert "guard right fails: " in rows[1]["reason"] and "AssertionError: it is not right" in rows[1]["reason"]
    assert "guard late: 1" in rows[2]["reason"] and "at most +5 % against the base" in rows[2]["reason"]
    assert call_main(monkeypatch, "show", "3", "--json") == 0
    shown = json.loads(capfd.readouterr().out)
    results = [json.loads(path.read_text()) for path in sorted((guarded / "runs/t/3").glob("*.json"))]
    passed = [result["passed"] for result in results if "passed" in result]
    assert passed.count(True) == 1 and len(passed) > 1, shown  # a command runs once, the number is read each time
    assert call_main(monkeypatch, "show", "3") == 0
    said = capfd.readouterr().out
    assert re.search(r"guards +late \S+ \(before: \S+\), all commands passed", said), said
    assert call_main(monkeypatch, "brief") == 0
    brief = capfd.readouterr().out
    assert "Guard late: at most +5 % against the base" in brief and "Guard right: `python check.py`" in brief


def test_a_base_that_breaks_a_guard_does_not_start(
    guarded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (guarded / "autoresearch.yaml").write_text(SETTINGS.replace("+5%", "5.0"))
    script = write_script(tmp_path / "script", {"01-better": patch_of(SLOPE="2.0")})
    assert call_main(monkeypatch, "run", "--agent", f"scripted:{script}", "--device", "cpu") == 1
    assert "the base version breaks a limit (guard late: " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("guards", "words"),
    [
        ("[{name: a}]", "a: give either `command`"),
        ("[{name: a, command: x, at_most: 1}]", "a: give either `command`"),
        ("[{name: a, from: {json: $.a}}]", "a: give either `command`"),
        ("[{name: a, from: {json: $.a}, at_most: 1, at_least: 0}]", "one of `at_most` and `at_least`"),
        ("[{name: a, from: {json: $.a, file: b.json}, at_most: 1}]", "none of `run.outputs`"),
        ("[{name: a, from: {json: $.a}, at_most: much}]", "a number, or a change against the base"),
        ("[{name: a, command: x}, {name: a, command: y}]", "a is there twice"),
    ],
)
def test_guards_that_cannot_be_meant(tmp_path: Path, guards: str, words: str) -> None:
    (tmp_path / config.FILE).write_text(f"{YAML}guards: {guards}\n")
    with pytest.raises(UsageError) as refused:
        config.load(tmp_path, {})
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_another_guard_is_another_session(guarded: Path) -> None:
    hashes = set()
    for limit in ("+5%", "0.05", "+6%"):
        (guarded / config.FILE).write_text(SETTINGS.replace("+5%", limit))
        hashes.add(read_command(guarded, config.load(guarded, {})).hash)
    assert len(hashes) == 3
