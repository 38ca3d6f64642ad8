"""What a brief says of the trials is what the referee does."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.hardware import bfloat16_units
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Overhead
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.measure.trial_facts import COMPILERS, NO_DATA, describe_trial

NAMES = ["Text", "Vocabulary", "Rows", "Score", "Budget", "Device", "Limits", "Setup", "Scoring", "Software"]
BASE = Overhead(setup=2.0, load=1.0, answer=0.5)


def facts(settings: Settings, data: Dataset | None, base: Overhead | None = BASE) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in describe_trial(settings, data, base))


def test_the_data_is_described_as_it_is(bytes_data: Dataset, quick: Settings) -> None:
    told, rows = facts(quick, bytes_data), bytes_data.rows("train")
    assert list(told) == NAMES
    assert f"{rows.dtype} [{rows.shape[0]:,}, {rows.shape[1]}]" in told["Rows"]
    assert "seq_len is 32" in told["Rows"] and f"{rows[:, 1:].size:,} tokens in all" in told["Rows"]
    assert told["Vocabulary"].startswith("256 token ids (plain bytes); id 0 begins a document; 1.0")
    assert told["Score"].startswith("64 rows") and "then 4 batches of 16 rows" in told["Scoring"]


def test_the_kind_of_text_names_no_path(bytes_data: Dataset, quick: Settings, tmp_path: Path) -> None:
    source = f"files:{tmp_path}/a,{tmp_path}/*.txt,/secret/**/*.py,/b/.hidden"
    told = facts(quick, replace(bytes_data, meta=bytes_data.meta | {"source": source}))["Text"]
    assert told.startswith("text files of the user (.py, .txt); ")
    assert "/" not in told


@pytest.mark.parametrize("budget, unit", [("15cpu", "CPU-seconds"), ("300s", "s"), ("20steps", "batches")])
def test_budget_and_setup_are_told_in_the_unit_of_the_budget(bytes_data: Dataset, budget: str, unit: str) -> None:
    settings = Settings(Budget.parse(budget), memory=3 << 30, cores=(0,), threads=1)
    told = facts(settings, bytes_data)
    assert told["Budget"].startswith(f"{settings.budget.amount:g} {unit}")
    assert "180 s of wall-clock time at most" in told["Setup"]
    plan = TrialPlan(base=BASE)
    free, load = plan.free_setup(settings.budget), plan.load_limit(settings.budget)
    assert told["Scoring"].startswith(f"`load` and two batches of random tokens in {load.amount:.1f} ")
    if unit == "batches":
        assert "nothing of it is charged" in told["Setup"]
    else:
        assert f"the base spends 2.0, up to {free:.1f} {unit} are free" in told["Setup"]
    assert "1 core of " in told["Device"] and "3 GiB of memory" in told["Device"] and "1 thread" in told["Device"]
    assert "a saved state of 4 GiB; 3 GiB of memory; " in told["Limits"]


def test_a_budget_in_cpu_seconds_has_no_other_process_and_so_no_compiler(bytes_data: Dataset) -> None:
    alone, other = (facts(Settings(Budget.parse(budget)), bytes_data) for budget in ("15cpu", "20steps"))
    assert "no process but its own" in alone["Limits"] and "no compiler can run" in alone["Software"]
    assert "4096 processes" in other["Limits"] and "compilers: " in other["Software"]
    assert all(name in alone["Software"] for name in ("Python 3", "torch 2", "numpy "))


def test_the_compilers_are_those_that_a_cell_can_start(bytes_data: Dataset, quick: Settings, bigram: str) -> None:
    names = facts(quick, bytes_data)["Software"].partition("compilers: ")[2].split(", ")
    start = f"""
    import subprocess
    found = []
    for name in {COMPILERS!r}:
        try:
            found.append((name, subprocess.run([name, "--version"]).returncode))
        except OSError:
            pass
    raise ValueError(found)
"""
    result = CellReferee(quick, bytes_data).measure(bigram.replace("    trial.start()\n", start, 1), 1)
    started = re.findall(r"'([^']+)', 0", result.reason)
    assert started == [name for name in names if name in COMPILERS], result.reason


def test_what_is_not_known_yet_is_said(quick: Settings) -> None:
    told = describe_trial(quick, None, None)
    assert told[0] == f"Data: {NO_DATA}"
    assert any("that of the base is not known" in line for line in told)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("flags\t\t: fpu amx_bf16 avx512_bf16 amx_tile\n", ["amx_bf16", "avx512_bf16"]),
        ("Features\t: fp asimd bf16 i8mm\n", ["bf16"]),
        ("flags\t\t: fpu avx2\n", []),
        ("", []),
    ],
)
def test_bfloat16_in_hardware_is_a_fact(text: str, units: list[str], tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{text}")
    assert bfloat16_units(tmp_path / "cpuinfo") == units
    assert bfloat16_units(tmp_path / "missing") == []


def test_the_device_line_says_it(quick: Settings) -> None:
    assert facts(quick, None)["Device"].endswith(f"bfloat16 in hardware: {', '.join(bfloat16_units()) or 'no'}")
