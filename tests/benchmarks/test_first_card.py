"""The plan for a first card: its limits, what it needs, and what its own phases leave (rehearsed on a CPU)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import against_original
import first_card
import phases
import pytest
from support.cells import ROOT, carrying, wait

IMPORTS = """
import sys, numpy.random, numpy.typing
sys.path[:0] = [sys.argv[1] + "/benchmarks", sys.argv[1]]
before = set(sys.modules)
import first_card, against_original, gpu_night
print(*{name.split(".")[0] for name in set(sys.modules) - before})
"""
OURS = {"autoresearch", *(file.stem for file in (ROOT / "benchmarks").glob("*.py"))}
TIMEOUT_S = 240.0  # machines that run tests are busy


def start(out: Path, *arguments: str, script: str = "first_card.py") -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / script), "--out", str(out), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], seconds: float = TIMEOUT_S) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def write_train(folder: Path, text: str) -> str:
    (folder / "train.py").write_text(text)
    return str(folder / "train.py")


def test_the_limits_sum_up_to_less_than_nine_minutes() -> None:
    assert first_card.PLAN.limit_s < 540
    for plan in (first_card.PLAN, against_original.PLAN):
        assert len({phase.name for phase in plan.phases}) == len(plan.phases)


def test_each_part_of_the_comparison_fits_into_ten_minutes() -> None:
    assert max(phase.limit_s for phase in against_original.PLAN.phases) < 590
    names = [phase.name for phase in against_original.PLAN.phases]
    assert names[:4] == ["ours-60s-1", "original-60s-1", "ours-60s-2", "original-60s-2"]  # in turns


def test_they_import_numpy_and_the_standard_library_only() -> None:
    loaded = subprocess.check_output([sys.executable, "-c", IMPORTS, str(ROOT)], text=True).split()
    assert set(loaded) - OURS - set(sys.stdlib_module_names) == set()


@pytest.mark.parametrize("script", ["first_card.py", "against_original.py"])
@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there may be a card")
def test_without_a_card_one_line_says_so(tmp_path: Path, script: str) -> None:
    code, out, err = finish(start(tmp_path / "out", script=script))
    assert (code, out) == (3, "") and err.count("\n") == 1
    assert "there is no NVIDIA card here, nothing was measured" in err
    assert not (tmp_path / "out").exists()


def test_an_unknown_phase_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    code, _, err = finish(start(tmp_path / "out", "--rehearse", "--only", "kernel"))
    assert code == 2 and err == f"error: no phase 'kernel': there are {', '.join(p.name for p in PHASES)}\n"


PHASES = first_card.PLAN.phases


def test_every_phase_that_has_no_time_leaves_a_timeout(tmp_path: Path) -> None:
    code, _, err = finish(start(tmp_path / "out", "--rehearse", "--scale", "0.0001"))
    assert (code, err) == (1, "")
    records = phases.read(tmp_path / "out")
    assert {name: record.state for name, record in records.items()} == {phase.name: "timeout" for phase in PHASES}
    assert (tmp_path / "out" / "table.md").read_text().count("| timeout |") == len(PHASES)


def test_a_base_that_crashes_fails_its_phase_and_says_why(tmp_path: Path) -> None:
    train = write_train(tmp_path, "def train(trial):\n    raise RuntimeError('no kernel image is available')\n")
    code, _, _ = finish(start(tmp_path / "out", "--rehearse", "--train", train, "--only", "cold"))
    record = phases.read(tmp_path / "out")["cold"]
    assert code == 1 and record.state == "failed"
    assert record.error == "UserError: crash: RuntimeError: no kernel image is available"
    assert record.values["grade"] in ("STRONG", "WEAK") and "end of the log" in record.values


def test_a_missing_original_fails_its_phase_and_names_the_remedy(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, _ = finish(start(out, "--rehearse", "--only", "original-60s-1", script="against_original.py"))
    assert code == 1 and "first_card.py pack --original FOLDER" in (phases.read(out)["original-60s-1"].error or "")


@pytest.mark.slow
def test_the_phases_of_trials_measure_a_numpy_base(tmp_path: Path, bigram: str) -> None:
    train = write_train(tmp_path, bigram)
    only = [word for name in ("cold", "budget") for word in ("--only", name)]
    code, out, _ = finish(start(tmp_path / "out", "--rehearse", "--train", train, *only))
    records = phases.read(tmp_path / "out")
    assert code == 0 and "| cold | val_bpb | " in out
    assert records["cold"].values["steps"] == 5 and records["cold"].values["audit"]["n"] > 0
    assert records["budget"].values["save seconds"] > 0


def run_all(out: Path, seconds: float, *arguments: str) -> dict[str, phases.Record]:
    code, printed, err = finish(start(out, "--rehearse", "--scale", "10", *arguments), seconds)
    assert (code, err) == (0, ""), printed + err + (out / "log.txt").read_text()[-3000:]
    return phases.read(out)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.timeout(1200)
def test_each_phase_that_is_killed_keeps_what_it_measured_and_the_rehearsal_ends_well(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for phase in PHASES:
        process = start(out, "--rehearse", "--scale", "10", "--only", phase.name)
        assert wait(lambda name=phase.name: _values(out, name), TIMEOUT_S)
        for pid in carrying(f"phase\0{phase.name}\0--out\0{out}"):
            os.kill(pid, signal.SIGKILL)
        code, _, err = finish(process)
        record = phases.read(out)[phase.name]
        assert (code, err, record.state) == (1, "", "killed") and record.values
    records = run_all(out, 1000)
    assert {record.state for record in records.values()} == {"done"}
    assert {record.attempts for record in records.values()} == {2}
    assert records["layers"].values["matmul in a cell"].startswith("exit 0 ")
    assert records["warm"].values["it differs by"] < 0.01
    assert records["faults"].values["out of memory"].startswith("oom: ")
    assert records["budget"].values["queued seconds"] >= 0


def _values(out: Path, name: str) -> bool:
    records = phases.read(out)
    return name in records and bool(records[name].values)
