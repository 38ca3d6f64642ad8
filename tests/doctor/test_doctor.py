"""Findings of doctor: here, outside of a repository, with a broken setting, on machines with and without a card."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import filelock
import pytest
from support.messages_server import MessagesServer, Status
from support.readable import copy_readable
from support.repositories import git

from autoresearch import doctor
from autoresearch.config import Config
from autoresearch.doctor import project_checks
from autoresearch.setup import prepare, slots

CARD = """
class NVMLError(Exception):
    pass

class Memory:
    total, used, free = 80 << 30, {used}, 0

def nvmlInit(): pass
def nvmlDeviceGetCount(): return 1
def nvmlDeviceGetHandleByIndex(k): return "handle"
def nvmlDeviceGetHandleByUUID(uuid): return "handle"
def nvmlDeviceGetUUID(handle): return "GPU-1"
def nvmlDeviceGetName(handle): return "NVIDIA H100 80GB HBM3"
def nvmlDeviceGetMemoryInfo(handle): return Memory
def nvmlSystemGetDriverVersion(): return "570.00"
def nvmlSystemGetCudaDriverVersion_v2(): return {cuda}
"""


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine with an NVIDIA card, and a torch built for some CUDA, as far as their libraries say."""

    def pretended(built: str | None, cuda: int = 12080, used: int = 0) -> None:
        folder = tmp_path / "libraries"
        (folder / "torch").mkdir(parents=True)
        (folder / "pynvml.py").write_text(CARD.format(used=used, cuda=cuda))
        (folder / "torch" / "__init__.py").write_text("raise RuntimeError('imported')\n")
        (folder / "torch" / "version.py").write_text(f"__version__ = '2.10.0'\ncuda: Optional[str] = {built!r}\n")
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)

    return pretended


def program(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoresearch", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)


def reported(folder: Path, *arguments: str) -> dict[str, dict[str, str]]:
    report = json.loads(program(folder, "doctor", "--json", *arguments).stdout)
    return {check["name"]: check for check in report["checks"]}


def checks(folder: Path, **flags: str) -> dict[str, dict[str, str]]:
    """The same without starting a program."""
    return {check.name: vars(check) for check in doctor.examine(folder, {"device": "cpu", **flags}).checks}


@pytest.mark.slow
def test_a_good_repository_passes_and_json_says_the_same(repository: Path) -> None:
    done = program(repository, "doctor", "--json", "--device", "cpu")
    report = json.loads(done.stdout)
    levels = {check["name"]: check["level"] for check in report["checks"]}
    assert done.returncode == 0 and not report["blocked"]
    assert levels["repository"] == levels["train.py"] == levels["torch"] == levels["settings"] == "ok"
    assert levels["data"] == "warn"  # prepared by the first run
    assert report["grade"] in ("STRONG", "WEAK") and len(report["attacks"]) > 50
    assert report["night"]["experiments"] > 500
    assert not (repository / "runs").exists()


@pytest.mark.slow
def test_lines_of_val_in_sight_are_told_and_make_the_grade_weak(repository: Path, tmp_path: Path) -> None:
    copy_readable(tmp_path / "texts")
    source = f"files:{tmp_path}/texts"
    prepare.prepare(source, 256, 32, progress=False, search_s=0)
    findings = doctor.examine(repository, {"source": source, "vocab_size": 256, "seq_len": 32, "device": "cpu"})
    check = next(check for check in findings.checks if check.name == "val text")
    assert check.level == "warn" and "-packages/" in check.text and "remove that copy" in check.remedy
    assert findings.inspection is not None and findings.inspection.grade == "WEAK"
    assert sum("lines of val and holdout" in weakness for weakness in findings.inspection.weaknesses) == 1


@pytest.mark.slow
def test_the_lines_read_without_colour_and_say_what_to_do(repository: Path) -> None:
    (repository / "train.py").write_text("# changed\n")
    done = program(repository, "doctor", "--device", "cpu")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and "\x1b" not in done.stdout
    assert any(line.startswith("warn  train.py") and "not committed" in line for line in lines)
    assert (
        lines[next(i for i, line in enumerate(lines) if "not committed" in line) + 1].lstrip().startswith("-> commit")
    )
    assert lines[-2].startswith("expect about ") and " experiments in 8 h: " in lines[-2]
    assert lines[-1].startswith("the smallest gain that this night can show is not known")


def test_outside_of_a_repository_everything_else_is_still_checked(tmp_path: Path) -> None:
    done = program(tmp_path, "doctor", "--json", "--device", "cpu")
    report = json.loads(done.stdout)
    levels = {check["name"]: check["level"] for check in report["checks"]}
    assert done.returncode == 3
    assert [name for name, level in levels.items() if level == "blocker"] == ["repository"]
    assert {"data", "cell", "slot", "memory", "cores", "torch", "cache folder"} <= levels.keys() and report["attacks"]


@pytest.mark.parametrize(
    ("yaml", "words"),
    [("budgget: 5m\n", "budgget"), ("a: [\n", "cannot be read"), ("budget: soon\n", "the budget 'soon'")],
)
def test_a_broken_setting_is_one_blocker_and_hides_nothing(repository: Path, yaml: str, words: str) -> None:
    (repository / "autoresearch.yaml").write_text(yaml)
    found = checks(repository)
    assert found["settings"]["level"] == "blocker" and words in found["settings"]["text"] + found["settings"]["remedy"]
    assert "cell" in found and found["train.py"]["level"] == "ok"


def test_a_base_that_cannot_work_is_named(repository: Path) -> None:
    (repository / "train.py").write_text("def train(trial):\n    pass\n")
    git(repository, "commit", "-qam", "half")
    found = checks(repository)["train.py"]
    assert found["level"] == "blocker" and "has no function `load`" in found["text"]
    git(repository, "rm", "-q", "train.py")
    git(repository, "commit", "-qm", "gone")
    found = checks(repository)["train.py"]
    assert (found["level"], found["text"]) == ("blocker", "no train.py here")


def test_a_session_branch_that_is_checked_out_cannot_move(repository: Path) -> None:
    git(repository, "switch", "-q", "-c", "autoresearch/nov21")
    assert "autoresearch/nov21 is checked out" in checks(repository)["branch"]["text"]


def test_another_program_on_the_slot(repository: Path, tmp_path: Path) -> None:
    name = slots.choose("cpu")[0].locks[0]
    (tmp_path / "cache" / "locks").mkdir(parents=True)
    with filelock.FileLock(tmp_path / "cache" / "locks" / f"{name}.lock"):
        found = checks(repository)["slot"]
    assert found["level"] == "warn" and "another autoresearch measures" in found["text"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_folder_that_cannot_be_written(repository: Path) -> None:
    repository.chmod(0o500)
    found = checks(repository)["runs folder"]
    repository.chmod(0o700)
    assert found["level"] == "blocker"


@pytest.mark.slow
def test_a_card_and_a_torch_that_cannot_use_it_is_a_blocker(repository: Path, pretend: Any) -> None:
    pretend(built=None)
    found = reported(repository)
    assert found["torch"]["level"] == found["slot"]["level"] == "blocker"
    assert "pip install" in found["torch"]["remedy"] and "download.pytorch.org/whl/cu128" in found["torch"]["remedy"]
    done = program(repository, "run")
    assert done.returncode == 3 and "pip install" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_cpu_of_a_machine_with_a_card_can_still_be_asked_for(repository: Path, pretend: Any) -> None:
    pretend(built=None)
    found = reported(repository, "--device", "cpu")
    assert found["torch"]["level"] == "ok" and found["slot"]["text"].startswith("cpu-")


@pytest.mark.slow
def test_a_torch_for_the_card_is_found_without_importing_it(repository: Path, pretend: Any) -> None:
    pretend(built="12.8", used=3 << 30)
    found = reported(repository)
    assert "for CUDA 12.8" in found["torch"]["text"] and found["torch"]["level"] == "ok"
    assert "NVIDIA H100 80GB HBM3, 86 GB, driver 570.00 for CUDA 12.8" in found["card"]["text"]
    assert found["card"]["level"] == "warn" and "3 GB are in use" in found["card"]["text"]
    assert found["slot"]["text"].startswith("gpu-GPU-1") and "budget 300s" in found["slot"]["text"].replace(
        "5m", "300s"
    )


@pytest.mark.slow
def test_a_driver_that_is_too_old_for_torch(repository: Path, pretend: Any) -> None:
    pretend(built="13.0")
    found = reported(repository)["torch"]
    assert found["level"] == "blocker" and "update the driver" in found["remedy"]


@pytest.mark.slow
def test_keys_only_say_whom_run_could_ask(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert "`run` asks sweep (numeric search, free); for a language model set" in checks(repository)["agent"]["text"]
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-000000000000000000000")
    text = checks(repository)["agent"]["text"]
    assert "asks you once whether to use claude-opus-5-5 (ANTHROPIC_API_KEY, at most $10 a session)" in text
    assert "sk-ant" not in text
    assert "`run` asks sweep" in checks(repository, agent="sweep")["agent"]["text"]
    assert checks(repository, agent="bogus")["agent"]["level"] == "blocker"


def test_a_rehearsal_of_auto_spends_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with MessagesServer([Status(500)]) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-000000000000000000000")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        result = project_checks.check_rehearsal(repository, Config(), "cpu")
    assert (result.level, server.requests) == ("ok", [])


@pytest.mark.slow
def test_a_rehearsal_shows_and_uses_what_the_agent_is_told(repository: Path, tmp_path: Path) -> None:
    copied = (
        "cp BRIEF.md /tmp/brief; sed -i 's/= 0.5 /= 0.3 /' train.py; grep -c 'Setup: before trial.start()' BRIEF.md"
    )
    done = program(repository, "doctor", "--device", "cpu", "--agent", f"command:{copied} >&2; exit 1")
    told, _, findings = done.stdout.partition("\nchecks\n")
    assert told.startswith("what the agent is told\n") and "# Your task" in told and "# The trial" in told
    assert "SMOOTHING" not in told  # the version to change is a file of its own
    assert findings.startswith("ok    python") and "STOP  rehearsal" in findings and "1" in findings
    assert "the base is not measured yet" in done.stderr


def test_a_rehearsal_asks_the_agent_for_one_change(repository: Path, tmp_path: Path, bigram: str) -> None:
    script = tmp_path / "script"
    script.mkdir()
    (script / "01-smoother.py").write_text(bigram.replace("SMOOTHING = 0.5 ", "SMOOTHING = 0.02 "))
    flags = {"device": "cpu", "agent": f"scripted:{script}"}
    found = {check.name: check for check in doctor.examine(repository, flags, rehearse=True).checks}["rehearsal"]
    assert (found.level, found.text.startswith("an edit that applies (+1 -1 lines")) == ("ok", True)
    (script / "01-smoother.py").write_text("def train(trial):\n")
    found = {check.name: check for check in doctor.examine(repository, flags, rehearse=True).checks}["rehearsal"]
    assert found.level == "blocker" and "does not parse" in found.text
