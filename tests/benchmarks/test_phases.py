"""Phases of a measurement: what a failure, a timeout, a kill and a stop leave, and how the next call goes on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import phases
import pytest
from support.cells import ROOT, carrying, wait

SCRIPT = """
import argparse, os, sys, time
from pathlib import Path

sys.path.insert(0, {benchmarks!r})
import phases
from phases import Phase, Plan


def note(bench, name):
    print("to the log")
    bench.note(name, {{"ms": 1.5, "again": (bench.folder / "second").exists()}})


def good(bench):
    note(bench, "a")


def fails(bench):
    note(bench, "b")
    with bench.attempt("kernel"):
        raise RuntimeError("no such kernel")
    raise ValueError("it is broken\\nand more")


def hangs(bench):
    note(bench, "c")
    while not (bench.folder / "second").exists():
        time.sleep(0.01)


def dies(bench):
    note(bench, "d")
    os.kill(os.getpid(), 9)


def last(bench):
    note(bench, "e")


WAIT = float(os.environ.get("HANG_S", "10"))
PHASES = [Phase("good", 30, "works", good), Phase("fails", 30, "raises", fails), Phase("hangs", WAIT, "waits", hangs)]
PHASES += [Phase("dies", 30, "is killed", dies), Phase("last", 30, "works", last)]
PLAN = Plan(Path(__file__).resolve(), PHASES, lambda records: [f"- {{records['good'].state}}"])

parser = argparse.ArgumentParser()
phases.add_arguments(parser, "out")
options = parser.parse_args()
if options.command == "phase":
    sys.exit(PLAN.run_inside(options.name, options.out, options))
sys.exit(PLAN.run(options.out, [], options.only, options.within))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(benchmarks=str(ROOT / "benchmarks")))
    return path


TIMEOUT_S = 240.0  # machines that run tests are busy


def start(script: Path, *arguments: str, hang_s: float = 10) -> subprocess.Popen[str]:
    command = [sys.executable, str(script), "--out", str(script.with_name("out")), *arguments]
    env = os.environ | {"HANG_S": str(hang_s)}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert "Traceback" not in err
    return process.returncode, out


@pytest.mark.slow
def test_each_end_of_a_phase_leaves_its_measurements_and_the_others_run(script: Path) -> None:
    code, out = finish(start(script))
    assert code == 1
    records = phases.read(script.with_name("out"))
    states = {name: record.state for name, record in records.items()}
    assert states == {"good": "done", "fails": "failed", "hangs": "timeout", "dies": "killed", "last": "done"}
    assert [next(iter(record.values)) for record in records.values()] == ["a", "b", "c", "d", "e"]
    assert records["fails"].error == "ValueError: it is broken"
    assert records["fails"].values["kernel"] == "failed: RuntimeError: no such kernel"
    assert records["hangs"].error == "over 10 s" and records["dies"].error == "ended by signal 9"
    assert "hangs: timeout after" in out

    written = json.loads((script.with_name("out") / "results.json").read_text())
    assert [phase["state"] for phase in written["phases"]] == list(states.values())
    assert written["phases"][0]["values"] == {"a": {"ms": 1.5, "again": False}} and written["summary"] == ["- done"]
    table = (script.with_name("out") / "table.md").read_text()
    assert "| fails | failed | " in table and "| good | a | ms 1.5, again no |" in table
    assert "to the log" in (script.with_name("out") / "log.txt").read_text()


@pytest.mark.slow
def test_the_next_call_runs_what_is_not_done_and_keeps_what_was_measured(script: Path) -> None:
    finish(start(script))
    (script.with_name("out") / "second").touch()
    code, out = finish(start(script))
    records = phases.read(script.with_name("out"))
    assert code == 1 and "good: done before" in out and "last: done before" in out
    assert {name: record.attempts for name, record in records.items()} == {
        "good": 1,
        "last": 1,
        "fails": 2,
        "hangs": 2,
        "dies": 2,
    }
    assert records["hangs"].state == "done" and records["hangs"].error is None
    assert records["good"].values["a"]["again"] is False and records["hangs"].values["c"]["again"] is True


def test_only_named_phases_run_and_success_is_zero(script: Path) -> None:
    assert finish(start(script, "--only", "last", "--only", "good"))[0] == 0
    assert set(phases.read(script.with_name("out"))) == {"good", "last"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stop_at_any_instant_loses_nothing_and_leaves_no_process(script: Path, number: signal.Signals) -> None:
    out = script.with_name("out")
    process = start(script, hang_s=60)
    assert wait(lambda: "hangs" in phases.read(out) and phases.read(out)["hangs"].values, TIMEOUT_S)
    process.send_signal(number)
    code, _ = finish(process)
    assert code == (-9 if number == signal.SIGKILL else 128 + number)
    assert wait(lambda: not carrying(f"phase\0hangs\0--out\0{out}"), TIMEOUT_S)
    records = phases.read(out)
    assert records["hangs"].state == "interrupted" and "c" in records["hangs"].values
    assert "dies" not in records
    assert "| good | a |" in (out / "table.md").read_text()  # written after each phase
    (out / "second").touch()
    assert finish(start(script, "--only", "hangs", hang_s=60))[0] == 0


def test_a_torn_line_counts_as_not_written_and_does_not_damage_the_next(tmp_path: Path) -> None:
    phases.append(tmp_path, {"phase": "one", "begin": True})
    phases.append(tmp_path, {"phase": "one", "name": "a", "value": 1})
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"phase": "one", "name": "b", "val')
    assert phases.read(tmp_path)["one"].values == {"a": 1}
    phases.append(tmp_path, {"phase": "one", "name": "c", "value": 3})
    assert phases.read(tmp_path)["one"].values == {"a": 1, "c": 3}
    assert phases.read(tmp_path)["one"].state == "interrupted"


def test_no_phase_begins_that_would_not_end_in_time(script: Path) -> None:
    (script.with_name("out")).mkdir()
    (script.with_name("out") / "second").touch()
    code, out = finish(start(script, "--within", "25", hang_s=5))
    assert code == 1 and "good: not run, left for the next call (25 s are left)" in out
    assert set(phases.read(script.with_name("out"))) == {"hangs"}
    assert json.loads((script.with_name("out") / "results.json").read_text())["phases"][0]["state"] == "not run"


def test_values_are_written_for_people() -> None:
    values = [0.000123456, True, None, {"a": [1, 2.5]}, [], "text"]
    assert [phases.format_value(value) for value in values] == ["0.0001235", "yes", "-", "a 1, 2.5", "-", "text"]
