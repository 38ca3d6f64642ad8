"""Sessions on several files that a command measures, through the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.programs import call_main
from support.repositories import git
from support.triplets import BETTER, YAML, make_separate, make_triplet, one_line_patch, write_script

from autoresearch.source_tree import SourceTree


@pytest.fixture
def triplet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AUTORESEARCH_TAG", "t")
    root = make_triplet(tmp_path / "repository")
    monkeypatch.chdir(root)
    return root


def run(monkeypatch: pytest.MonkeyPatch, script: Path, *arguments: str) -> int:
    return call_main(monkeypatch, "run", "--agent", f"scripted:{script}", "--device", "cpu", *arguments)


def log(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> dict[int, dict[str, object]]:
    capfd.readouterr()
    assert call_main(monkeypatch, "log", "--all", "--json") == 0
    return {row["n"]: row for row in json.loads(capfd.readouterr().out)}


def test_a_keep_changes_two_files_and_nothing_else(
    triplet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    patches = {
        "01-better": BETTER,
        "02-locked": one_line_patch("bench.py", "import random", "import secrets as random"),
        "03-comment": one_line_patch("src/model.py", "SLOPE = 2.0", "SLOPE = 2.0  # as measured"),
        "04-worse": one_line_patch("settings.yaml", "  offset: 0.25", "  offset: 0.75"),
        "05-broken": one_line_patch("src/model.py", "    return SLOPE * x + offset", "    raise ValueError(x)"),
        "06-syntax": one_line_patch("src/model.py", "SLOPE = 2.0", "SLOPE = = 2.0"),
    }
    before = git(triplet, "rev-parse", "HEAD"), git(triplet, "status", "--porcelain")
    assert run(monkeypatch, write_script(tmp_path / "script", patches)) == 0
    assert "in-process | 5 files locked | cell " in capfd.readouterr().err
    rows = log(monkeypatch, capfd)
    verdicts = {n: row["verdict"] for n, row in rows.items()}
    assert verdicts == {0: "keep", 1: "keep", 2: "invalid", 3: "duplicate", 4: "discard", 5: "crash", 6: "invalid"}
    assert (git(triplet, "rev-parse", "HEAD"), git(triplet, "status", "--porcelain")) == before
    changed = git(triplet, "diff", "--name-only", "main", "autoresearch/t").split()
    assert changed == ["settings.yaml", "src/model.py"]
    assert git(triplet, "show", "autoresearch/t:bench.py") == git(triplet, "show", "main:bench.py")
    assert "offset: 0.25" in git(triplet, "show", "autoresearch/t:settings.yaml")
    assert "src/model.py does not parse: line 3" in str(rows[6]["reason"])
    assert "Belief: in-process" in git(triplet, "log", "-1", "--format=%B", "autoresearch/t")
    assert rows[1]["change"] == "settings.yaml: +1 -1 lines; src/model.py: SLOPE 1.0 -> 2.0"


@pytest.mark.slow
def test_best_export_and_diff_are_by_file(
    triplet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, write_script(tmp_path / "script", {"01-better": BETTER})) == 0
    assert "no holdout" in capfd.readouterr().out
    assert call_main(monkeypatch, "total") == 1
    assert "this needs a `holdout` beside `score`" in capfd.readouterr().err
    assert call_main(monkeypatch, "report") == 0
    assert "There is no honest total" in (triplet / "runs/t/report.md").read_text()
    capfd.readouterr()
    assert call_main(monkeypatch, "diff", "1") == 0
    patch = capfd.readouterr().out
    assert "--- a/src/model.py" in patch and "+++ b/settings.yaml" in patch
    assert call_main(monkeypatch, "best") == 0
    assert set(SourceTree.parse(capfd.readouterr().out).files) == {"src/model.py", "settings.yaml"}
    assert call_main(monkeypatch, "export", "--branch", "mine") == 0
    assert git(triplet, "diff", "--name-only", "main", "mine").split() == ["settings.yaml", "src/model.py"]
    (triplet / "settings.yaml").write_text("my own\n")
    assert call_main(monkeypatch, "best", "--write") == 1
    assert (triplet / "src/model.py").read_text() == git(triplet, "show", "main:src/model.py")
    git(triplet, "checkout", "settings.yaml")
    assert call_main(monkeypatch, "best", "--write") == 0
    assert "SLOPE = 2.0" in (triplet / "src/model.py").read_text()
    assert "offset: 0.25" in (triplet / "settings.yaml").read_text()


def test_several_files_without_a_command_are_one_clear_line(
    triplet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (triplet / "autoresearch.yaml").write_text("edit: [src/model.py, settings.yaml]\n")
    assert run(monkeypatch, write_script(tmp_path / "script", {"01-better": BETTER})) == 2
    words = capfd.readouterr().err
    assert "the built-in trial measures one Python file" in words and "`run` and `metric`" in words


def test_a_changed_evaluator_is_another_session(
    triplet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script = write_script(tmp_path / "script", {"01-better": BETTER})
    assert run(monkeypatch, script) == 0
    (triplet / "bench.py").write_text((triplet / "bench.py").read_text().replace("0.001", "0.002"))
    git(triplet, "commit", "-qam", "another evaluator")
    assert run(monkeypatch, script) == 1
    assert "was started with another evaluator (locked files, commands, settings)" in capfd.readouterr().err


@pytest.mark.slow
def test_another_python_is_another_session(
    triplet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script = write_script(tmp_path / "script", {"01-better": BETTER})
    assert run(monkeypatch, script) == 0
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", triplet / ".venv"], check=True)
    assert run(monkeypatch, script) == 1
    words = "was started with another evaluator (locked files, commands, settings), interpreter"
    assert words in capfd.readouterr().err


@pytest.mark.slow
def test_sweep_moves_numbers_of_programs_and_of_data(
    triplet: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (triplet / "autoresearch.yaml").write_text(YAML + "seed: 1\n")
    assert call_main(monkeypatch, "run", "--agent", "sweep", "--device", "cpu", "--max-experiments", "4") == 0
    rows = log(monkeypatch, capfd)
    moved = " ".join(str(row["hypothesis"]) for n, row in rows.items() if n)
    assert "src/model.py:SLOPE" in moved and "settings.yaml:model." in moved
    assert all(row["verdict"] in ("keep", "discard") for row in rows.values())


@pytest.mark.slow
def test_a_coding_agent_edits_two_files_in_its_folder(
    triplet: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shell = "sed -i 's/SLOPE = 1.0/SLOPE = 2.0/' src/model.py; sed -i 's/offset: 0.5/offset: 0.25/' settings.yaml"
    options = ["--agent", f"command:{shell}", "--device", "cpu", "--max-experiments", "1"]
    assert call_main(monkeypatch, "run", *options) == 0, capfd.readouterr().err
    assert git(triplet, "diff", "--name-only", "main", "autoresearch/t").split() == ["settings.yaml", "src/model.py"]


READS_ANSWERS = """\
--- a/predict.py
+++ b/predict.py
@@ -8,2 +8,2 @@
 with open(out + "/pred.json", "w") as file:
-    json.dump({"seed": int(seed), "values": [model.predict(x / 10, offset) for x in range(20)]}, file)
+    json.dump({"seed": int(seed), "values": json.load(open("ANSWERS"))}, file)
"""
LINKS = """\
--- a/predict.py
+++ b/predict.py
@@ -8,3 +8,2 @@
-with open(out + "/pred.json", "w") as file:
-    json.dump({"seed": int(seed), "values": [model.predict(x / 10, offset) for x in range(20)]}, file)
+__import__("os").symlink("/etc/hostname", out + "/pred.json")
 print('{"error": 0.0}')
"""


@pytest.mark.slow
def test_a_separate_score_with_private_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AUTORESEARCH_TAG", "t")
    root = make_separate(tmp_path / "repository")
    monkeypatch.chdir(root)
    patches = {
        "01-better": BETTER,
        "02-reads-labels": READS_ANSWERS.replace("ANSWERS", "labels.json"),
        "03-reads-sealed": READS_ANSWERS.replace("ANSWERS", str(root / "data/sealed.json")),
        "04-links": LINKS,
        "05-writes-the-evaluator": one_line_patch(
            "predict.py", "print('{\"error\": 0.0}')", "open('score.py', 'a').write('x')"
        ),
    }
    assert run(monkeypatch, write_script(tmp_path / "script", patches)) == 0
    said = capfd.readouterr().err
    assert "separate | 7 files locked" in said and "| holdout" in said
    rows = log(monkeypatch, capfd)
    assert {n: row["verdict"] for n, row in rows.items()} == {0: "keep", 1: "keep"} | dict.fromkeys(
        range(2, 6), "crash"
    )
    assert "FileNotFoundError" in str(rows[2]["reason"]) and "nothing_saved" in str(rows[4]["reason"])
    assert "Read-only" in str(rows[5]["reason"]) or "PermissionError" in str(rows[5]["reason"])
    assert call_main(monkeypatch, "total", "--json") == 0
    total = json.loads(capfd.readouterr().out)
    assert total["val"]["mean"] == pytest.approx(-0.82, abs=0.01)
    assert total["holdout"]["mean"] == pytest.approx(-0.85, abs=0.01)


def test_a_broken_holdout_fails_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AUTORESEARCH_TAG", "t")
    root = make_separate(tmp_path / "repository")
    settings = root / "autoresearch.yaml"
    settings.write_text(settings.read_text().replace("{in} data/sealed.json", "{in} data/seeled.json"))
    monkeypatch.chdir(root)
    assert run(monkeypatch, write_script(tmp_path / "script", {"01-better": BETTER})) == 1
    assert "`holdout` could not score the outputs (crash)" in capfd.readouterr().err
    assert log(monkeypatch, capfd).keys() == {0}
