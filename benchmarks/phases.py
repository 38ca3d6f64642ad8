"""Run measurements in phases: each in a process of its own, with a limit, and safe to stop at any instant.

Whatever a phase measures becomes a line of `journal.jsonl` at once. After a stop the phases that are done are kept, the
others are run again, and what an earlier attempt measured stays until a later one measures it anew. `results.json` and
`table.md` are written from the journal after each phase.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from autoresearch.errors import UsageError
from autoresearch.files import JsonObject, write_atomically
from autoresearch.sandbox import kernel

Value = object  # that JSON can hold
Summary = Callable[[dict[str, "Record"]], list[str]]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MAX_CELL_CHARS = 300


@dataclass(frozen=True)
class Bench:
    """What a phase gets: its options, and where to note what it measures."""

    phase: str
    folder: Path
    options: argparse.Namespace

    def note(self, name: str, value: Value) -> None:
        """Write a measurement to the journal, on the disk before this returns."""
        append(self.folder, {"phase": self.phase, "name": name, "value": value})
        print(f"  {name}: {format_value(value)}", flush=True)

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Note an error of one measurement, and go on with the next."""
        try:
            yield
        except Exception as error:  # of a kernel, a compiler or a driver: each measurement may fail alone
            traceback.print_exc()
            self.note(name, f"failed: {describe(error)}")


@dataclass(frozen=True)
class Phase:
    """A measurement with its limit in seconds; `what` is one line for people."""

    name: str
    limit_s: float
    what: str
    run: Callable[[Bench], None]


@dataclass
class Record:
    """What the journal says of one phase; `state` is done, failed, timeout, killed, interrupted, or not run."""

    state: str = "not run"
    seconds: float | None = None
    attempts: int = 0
    error: str | None = None
    values: JsonObject = field(default_factory=dict)


def append(folder: Path, line: JsonObject) -> None:
    """Add a line to the journal in one call, after a torn one on a line of its own."""
    fd = os.open(folder / "journal.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(fd).st_size
        is_torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        os.write(fd, ("\n" * is_torn + json.dumps(line | {"at": round(time.time(), 3)}) + "\n").encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def read(folder: Path) -> dict[str, Record]:
    """Return the records of all phases in the journal; a torn line counts as not written."""
    try:
        lines = (folder / "journal.jsonl").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    records: dict[str, Record] = {}
    for text in lines:
        try:
            line = json.loads(text)
            record = records.setdefault(line["phase"], Record())
        except (ValueError, KeyError, TypeError):
            continue
        if "begin" in line:
            record.state, record.error, record.seconds = "interrupted", None, None
            record.attempts += 1
        elif "end" in line:
            record.state, record.seconds = line["end"], line["seconds"]
            record.error = line.get("error") or record.error
        elif "error" in line:
            record.error = line["error"]
        else:
            record.values[line["name"]] = line["value"]
    return records


def describe(error: BaseException) -> str:
    """Return class and first line of an exception."""
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}"[:MAX_CELL_CHARS]


@dataclass(frozen=True)
class Plan:
    """Phases that a script runs in order; `summarise` returns lines that compare them."""

    script: Path
    phases: Sequence[Phase]
    summarise: Summary = lambda records: []

    @property
    def limit_s(self) -> float:
        return sum(phase.limit_s for phase in self.phases)

    def scaled(self, factor: float) -> "Plan":
        return replace(self, phases=[replace(phase, limit_s=factor * phase.limit_s) for phase in self.phases])

    def select(self, names: Sequence[str]) -> list[Phase]:
        """Return the phases of these names, in order; all of them without a name. Raises UsageError."""
        known = [phase.name for phase in self.phases]
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"no phase {unknown[0]!r}: there are {', '.join(known)}")
        return [phase for phase in self.phases if not names or phase.name in names]

    def run(self, folder: Path, arguments: Sequence[str], only: Sequence[str], within_s: float | None) -> int:
        """Run the phases that are not done yet; return the exit code: 0 if each of them is done, else 1.

        A phase is left out if its limit is longer than what is left of `within_s`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        started, chosen = time.monotonic(), self.select(only)
        with _stop_as_exit():
            try:
                for phase in chosen:
                    if (state := read(folder).get(phase.name, Record()).state) == "done":
                        print(f"{phase.name}: done before", flush=True)
                        continue
                    left = None if within_s is None else within_s - (time.monotonic() - started)
                    if left is not None and phase.limit_s > left:
                        print(f"{phase.name}: {state}, left for the next call ({left:.0f} s are left)", flush=True)
                        continue
                    self._run_phase(phase, folder, arguments)
                    self.write(folder)
            finally:
                self.write(folder)
        records = read(folder)
        return 0 if all(records.get(phase.name, Record()).state == "done" for phase in chosen) else 1

    def _run_phase(self, phase: Phase, folder: Path, arguments: Sequence[str]) -> None:
        """Run one phase in a process group of its own and write how it ended."""
        print(f"{phase.name}: {phase.what} (at most {phase.limit_s:.0f} s)", flush=True)
        append(folder, {"phase": phase.name, "begin": True})
        started = time.monotonic()
        command = [sys.executable, str(self.script), "phase", phase.name, "--out", str(folder), *arguments]
        with (folder / "log.txt").open("ab") as log:
            log.write(f"\n== {phase.name}\n".encode())
            log.flush()
            child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            end = _describe_exit(child.wait(phase.limit_s))
        except subprocess.TimeoutExpired:
            end = {"end": "timeout", "error": f"over {phase.limit_s:.0f} s"}
        except BaseException as stop:
            end = {"end": "interrupted", "error": describe(stop)}
            raise
        finally:
            _kill(child)
            seconds = round(time.monotonic() - started, 2)
            append(folder, {"phase": phase.name, "seconds": seconds} | end)
        record = read(folder)[phase.name]
        error = f": {record.error}" if record.error else ""
        print(f"{phase.name}: {record.state} after {seconds:.0f} s{error}", flush=True)

    def run_inside(self, name: str, folder: Path, options: argparse.Namespace) -> int:
        """Run one phase in this process, which ends with the one that started it; return the exit code."""
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        phase = next(phase for phase in self.phases if phase.name == name)
        try:
            phase.run(Bench(name, folder, options))
        except Exception as error:  # the journal says it, and the other phases run
            traceback.print_exc()
            append(folder, {"phase": name, "error": describe(error)})
            return 1
        return 0

    def write(self, folder: Path) -> None:
        """Write `results.json` and `table.md` from the journal, each as a whole."""
        records = read(folder)
        known = {phase.name: records.get(phase.name, Record()) for phase in self.phases}
        lines = self.summarise(known)
        phases = [vars(known[phase.name]) | {"name": phase.name, "limit_s": phase.limit_s} for phase in self.phases]
        write_atomically(folder / "results.json", [json.dumps({"phases": phases, "summary": lines}, indent=1), "\n"])
        write_atomically(folder / "table.md", ["\n".join(self._tabulate(known, lines)), "\n"])

    def _tabulate(self, records: dict[str, Record], lines: Sequence[str]) -> Iterator[str]:
        yield from ("| phase | state | seconds | limit | |", "|---|---|---|---|---|")
        for phase in self.phases:
            record = records[phase.name]
            seconds = "-" if record.seconds is None else f"{record.seconds:.0f}"
            words = _one_cell(record.error or phase.what)
            yield f"| {phase.name} | {record.state} | {seconds} | {phase.limit_s:.0f} | {words} |"
        yield from ("", "| phase | measured | value |", "|---|---|---|")
        for phase in self.phases:
            for name, value in records[phase.name].values.items():
                yield f"| {phase.name} | {_one_cell(name)} | {_one_cell(format_value(value))} |"
        yield from ("", *lines) if lines else ()


def add_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """Add the options of a script with phases: where results go, which phases, and for how long."""
    parser.add_argument("command", nargs="?", default="run", help="run (default), table, or phase (used by run)")
    parser.add_argument("name", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(out), help=f"folder of the results, by default {out}")
    parser.add_argument("--only", action="append", default=[], metavar="PHASE", help="run this one; may be repeated")
    parser.add_argument("--within", type=float, metavar="SECONDS", help="begin no phase whose limit is longer")


def format_value(value: Value) -> str:
    """Return a measurement for a person."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {format_value(each)}" for name, each in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(format_value, value)) or "-"
    return str(value)


def _one_cell(text: str) -> str:
    text = " ".join(text.replace("|", "/").split())
    return text if len(text) <= MAX_CELL_CHARS else f"{text[:MAX_CELL_CHARS]} ..."


def _describe_exit(status: int) -> JsonObject:
    if status < 0:
        return {"end": "killed", "error": f"ended by signal {-status}"}
    return {"end": "failed" if status else "done"}


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a phase with its process group; its cells follow it by themselves."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@contextmanager
def _stop_as_exit() -> Iterator[None]:
    """Turn signals that ask to stop into SystemExit, so that the phase is killed and the table written."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
