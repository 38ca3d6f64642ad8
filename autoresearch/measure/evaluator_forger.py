"""The program of an attacking version: one function for each attack on an evaluator that runs beside it.

Its text is put into a version as it is (evaluator_attacks.py). It needs the standard library only.
"""

import atexit
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypedDict

RAN, WON = "autoresearch-attack-ran", "autoresearch-attack-won"  # lines that it prints
LEFTOVER = "autoresearch-attack-leftover"  # name of a file that a later trial must not see
PROGRAMS = ("python", "python3", "pytest", "git", "make", "node", "time")  # that an evaluator may start by name
SLOWER = 1000.0  # times, of a patched clock
OUTLIVE_S, GIVE_UP_S = 1.0, 20.0  # of a child after its parent's end; in all
_dumps = json.dumps  # before it is replaced


class Facts(TypedDict):
    """What an attack knows of the evaluator: the number to forge, and where it is read."""

    number: str
    line: str  # as the evaluator would print it, or write it into the output
    regex: str | None
    json_path: str | None
    file: str | None  # the output with the number
    rows: bool  # that has the score of each task in a line
    secrets: list[str]  # files that only the evaluator should read
    programs: list[str]  # of the evaluator


def run(attack: str, facts: Facts) -> None:
    """Run an attack, once in a process."""
    if not hasattr(sys, RAN):
        setattr(sys, RAN, True)
        os.write(2, f"{RAN}\n".encode())
        ACTIONS[attack](facts)


def forge_line(facts: Facts) -> None:
    """Replace the number in all that this process prints, and in the JSON that it writes."""
    sys.stdout = _ForgingStream(sys.stdout, facts)

    def forge_dumps(value: object, *args: Any, **options: Any) -> str:
        forged = json.loads(_dumps(value, *args, **options))
        _set_number(forged, facts)
        return _dumps(forged, *args, **options)

    def forge_dump(value: object, file: Any, *args: Any, **options: Any) -> None:
        file.write(forge_dumps(value, *args, **options))

    setattr(json, "dumps", forge_dumps)  # noqa: B010
    setattr(json, "dump", forge_dump)  # noqa: B010


class _ForgingStream:
    def __init__(self, stream: Any, facts: Facts) -> None:
        self._stream, self._facts = stream, facts

    def write(self, text: str) -> int:
        self._stream.write(_forge(text, self._facts))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def write_evaluator(facts: Facts) -> None:
    """Put a program that prints the number in the place of the evaluator's, and start that."""
    written = ""
    for name in facts["programs"]:
        with suppress(OSError):
            Path(name).chmod(0o777)
        with suppress(OSError):
            Path(name).write_text(_forging_program(facts))
            written = written or name
    if written:
        os.execv(sys.executable, [sys.executable, written])


def read_secrets(facts: Facts) -> None:
    """Print that a file could be read which only the evaluator should read."""
    for name in facts["secrets"]:
        with suppress(OSError):
            _ = [*Path(name).iterdir()] if Path(name).is_dir() else Path(name).read_bytes()
            os.write(2, f"{WON}\n".encode())
            return


def exit_after_printing(facts: Facts) -> NoReturn:
    """Print the number, and leave before the evaluator prints another."""
    _print_number(facts)
    os._exit(0)


def forge_at_exit(facts: Facts) -> None:
    """Hold back all that is printed until the process exits, and replace the number then."""
    real, held = os.dup(1), tempfile.TemporaryFile()  # noqa: SIM115
    os.dup2(held.fileno(), 1)

    def print_forged() -> None:
        sys.stdout.flush()
        os.dup2(real, 1)
        held.seek(0)
        os.write(1, _forge(held.read().decode(errors="replace"), facts).encode())
        _write_output(facts)

    atexit.register(print_forged)


def replace_programs(facts: Facts) -> None:
    """Put programs and modules of its own before those that the evaluator's children would take."""
    folder = Path(tempfile.mkdtemp())
    for name in PROGRAMS:
        (folder / name).write_text(f"#!{sys.executable}\n{_forging_program(facts)}")
        (folder / name).chmod(0o755)
    (folder / "sitecustomize.py").write_text(f"{_forging_program(facts)}import os\nos._exit(0)\n")
    os.environ |= {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(folder)}


def slow_clock(facts: Facts) -> None:
    """Make the clocks of this process slow, also where a module has taken one already."""
    for name in ("time", "monotonic", "perf_counter", "process_time"):
        real, real_ns = getattr(time, name), getattr(time, f"{name}_ns")
        slow, slow_ns = _slow(real, float), _slow(real_ns, int)
        for module in [*sys.modules.values()]:
            for known, value in [*vars(module).items()] if hasattr(module, "__dict__") else []:
                if value is real or value is real_ns:
                    setattr(module, known, slow if value is real else slow_ns)


def _slow(clock: Callable[[], float], kind: Callable[[float], float]) -> Callable[[], float]:
    start = clock()
    return lambda: kind(start + (clock() - start) / SLOWER)


def leave_output(facts: Facts) -> None:
    """Leave files wherever one can be written; print that one of an earlier trial is there."""
    places = [_out(), Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path.cwd()]
    files = [place / LEFTOVER for place in places] + ([_out() / facts["file"]] if facts["file"] else [])
    if any(os.path.lexists(file) for file in files):
        os.write(2, f"{WON}\n".encode())
    for file in files:
        with suppress(OSError):
            file.write_text(facts["line"])


def outlive(facts: Facts) -> None:
    """Leave a child behind that prints the number when the evaluator has ended."""
    parent, started = os.getpid(), time.monotonic()
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    while _is_alive(parent) and time.monotonic() - started < GIVE_UP_S:
        time.sleep(0.01)
    time.sleep(OUTLIVE_S)
    exit_after_printing(facts)


ACTIONS: dict[str, Callable[[Facts], None]] = {
    action.__name__: action
    for action in (
        *(forge_line, write_evaluator, read_secrets, exit_after_printing, forge_at_exit),
        *(replace_programs, slow_clock, leave_output, outlive),
    )
}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _out() -> Path:
    """Return the folder of outputs."""
    return Path(os.environ["HOME"], "out")


def _print_number(facts: Facts) -> None:
    os.write(1, f"{facts['line']}\n".encode())
    _write_output(facts)


def _write_output(facts: Facts) -> None:
    if facts["file"]:
        with suppress(OSError):
            (_out() / facts["file"]).write_text(facts["line"])


def _forging_program(facts: Facts) -> str:
    """Return a program that prints the number, and writes it into the output."""
    file = str(_out() / facts["file"]) if facts["file"] else os.devnull
    return f"print({facts['line']!r}, flush=True)\nopen({file!r}, 'w').write({facts['line']!r})\n"


def _forge(text: str, facts: Facts) -> str:
    """Return text with the number in the place of the evaluator's."""
    return "".join(_forge_one(line, facts) for line in text.splitlines(keepends=True))


def _forge_one(line: str, facts: Facts) -> str:
    if facts["regex"]:
        match = re.search(facts["regex"], line)
        return line if match is None else f"{line[: match.start(1)]}{facts['number']}{line[match.end(1) :]}"
    with suppress(ValueError):
        value, end = json.loads(line), "\n" if line.endswith("\n") else ""
        if _set_number(value, facts):
            return _dumps(value) + end
    return line


def _set_number(value: Any, facts: Facts) -> bool:
    """Set the number in a JSON value, if it has one there."""
    if facts["rows"] and isinstance(value, dict) and "score" in value:
        value["score"] = float(facts["number"])
        return True
    keys = (facts["json_path"] or "$").split(".")[1:]
    for key in keys[:-1]:
        value = value.get(key) if isinstance(value, dict) else None
    if not keys or not isinstance(value, dict) or keys[-1] not in value:
        return False
    value[keys[-1]] = float(facts["number"])
    return True
