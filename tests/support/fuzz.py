"""Parsers of hostile bytes as functions from bytes to a short outcome; any other exception is a fault of ours."""

import io
import json
import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from rich.console import Console
from safetensors import SafetensorError, deserialize
from support.experiments import trial

from autoresearch.agents.editor import Editor
from autoresearch.agents.edits import BadEdit, apply_reply
from autoresearch.agents.rationale import find_in_reply
from autoresearch.analysis.experiment_details import ExperimentDetails
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.ledger.rows import Experiment
from autoresearch.measure import facts, safetensors_header, training, wire
from autoresearch.measure.clock import Budget
from autoresearch.measure.reported_errors import error_class
from autoresearch.measure.result import Result
from autoresearch.measure.safetensors_header import count_parameters
from autoresearch.report import experiment, html, markdown
from autoresearch.sandbox.cleanup import wipe
from autoresearch.source import constants, contract, diff, fingerprint, parsing, size
from autoresearch.terminal.console import print_blocks

CORPUS = Path(__file__).parents[1] / "fixtures" / "fuzz"
LIMIT_S = 10.0  # of CPU for one input, on a busy machine
SEPARATOR = "\x1e"  # between two texts in one input


class TooSlow(BaseException):
    """An input took over `LIMIT_S`."""


@contextmanager
def time_limit(seconds: float = LIMIT_S) -> Iterator[None]:
    """Raise TooSlow after so many seconds of CPU."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"over {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def header(data: bytes) -> str:
    """Count the parameters of a checkpoint; where the library reads it too, it has as many."""
    with open(wire.seal("checkpoint", data), "rb") as file:
        count = count_parameters(file.fileno())
    assert count is None or 0 <= count <= 2 * len(data)
    known = None
    if len(data) < 100_000:
        with suppress(SafetensorError):
            known = [tensor["shape"] for _, tensor in deserialize(data)]
    if count is not None and known is not None:
        assert count == sum(_product(shape) for shape in known)
    return f"{_refusal(data) if count is None else min(count, 99)} {known is None}"


def _refusal(data: bytes) -> str:
    length = int.from_bytes(data[:8], "little")
    try:
        return str(safetensors_header._count(data[8 : 8 + length], len(data) - 8 - length))
    except (ValueError, RecursionError) as error:
        return re.sub(r"\d.*", "", str(error))


def _product(shape: list[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def messages(data: bytes) -> str:
    """Receive a datagram, and do with it what the referee does."""
    ours, theirs = wire.Channel.pair()
    try:
        theirs.send(data[: wire.MAX_MESSAGE_BYTES - 1] or b"x")
        message = ours.receive(1)
    except wire.Closed as closed:
        return re.sub(r"[\d'].*", "", str(closed))[:30]
    finally:
        ours.close()
        theirs.close()
    assert message is not None
    result = Result()
    process: Any = SimpleNamespace(cell=SimpleNamespace(pid=os.getpid()))
    receiver = training._Receiver(process, result, "", Budget(15.0, "cpu"), False)
    receiver.record(message.fields.get("values"))
    result.outcome, result.reason = training._classify_error(message.fields)
    assert error_class(message.fields.get("error"))
    json.dumps(result.as_json(), allow_nan=False).encode()
    facts.describe_training(result.as_json(), 100.0, 8e4)
    return f"{message.kind[:8]} {len(result.reported)} {result.outcome}"


def source(data: bytes) -> str:
    """Ask everything about one text, and the difference to another."""
    text, _, other = data.decode("utf-8", "surrogatepass" if data[:1] == b"#" else "replace").partition(SEPARATOR)
    contract.complaint(text)
    parsing.uses_torch(text)
    size.size_or_none(text)
    diff.summary(text, other)
    _check_patch(text, other)
    try:
        fingerprint.fingerprint(text)
        fingerprint.fingerprint_without_seed(text)
        shape, numbers = fingerprint.outline(text)
        json.dumps(numbers)
        assert fingerprint.are_close(numbers, numbers, 0.01)
        found = constants.constants(text)
        again = constants.with_constants(text, {each.name: each.value for each in found})
        assert [each.name for each in constants.constants(again)] == [each.name for each in found]
        size.size(text)
    except SyntaxError as error:
        return f"{error.msg}"[:20]
    return f"{len(found)} {shape[:1]}"


def _check_patch(before: str, after: str) -> None:
    """Check that the patch has each line of the new text."""
    patch = diff.unified_diff(before, after)
    assert bool(patch) == (before != after)


def edits(data: bytes) -> str:
    """Apply a model's reply to a text, as an edit and as a record."""
    reply, _, current = data.decode("utf-8", "replace").partition(SEPARATOR)
    outcome = ""
    try:
        outcome = str(type(apply_reply(reply, current)))
    except BadEdit as bad:
        outcome = str(bad)[:20]
    with suppress(ValueError):
        outcome += find_in_reply(reply).category
    with suppress(ValueError, RecursionError):
        command = json.loads(reply)
        if isinstance(command, dict):
            outcome += Editor(current).run(command)[:10]
    return outcome


def result(data: bytes) -> str:
    """Render an experiment whose trial has any JSON for what train.py may report, everywhere."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(values, dict):
        return "no object"
    reported = {str(name): value for name, value in values.items()}
    curve = [{"loss": value, "seconds": value, "step": value} for value in reported.values()]
    found = {"reported": reported, "curve": curve, "layers": {}, "train_seconds": 1.0, "outcome": "ok"}
    lines = facts.describe_training(found, 100.0, 8e4)
    blank = dict.fromkeys(Experiment.__annotations__) | {"n": 1, "params": {}, "state": "settled", "verdict": "keep"}
    row = Experiment(**blank)  # type: ignore[arg-type]
    details = ExperimentDetails(row, Artefacts(Path("/nonexistent")), [trial(result=found)], [], None, None, None)
    blocks = list(experiment.layout(details))
    html.page("experiment 1", blocks)
    markdown.document(blocks)
    print_blocks(blocks, Console(file=io.StringIO(), width=80, force_terminal=True))
    json.dumps(facts.repetition_warning(found))
    return f"{len(lines)} {len(blocks)}"


def tree(data: bytes) -> str:
    """Build a hostile folder by the bytes, and remove it."""
    base = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        (base / "target").mkdir(mode=0o755)
        (base / "target" / "file").write_text("stays")
        (base / "root").mkdir()
        made = _build(base / "root", base / "target", data[:600])
        wipe(str(base / "root"))
        assert not (base / "root").exists()
        assert (base / "target" / "file").read_text() == "stays"
        assert (base / "target").stat().st_mode & 0o777 == 0o755
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return str(sorted(made))


def _build(root: Path, target: Path, data: bytes) -> set[str]:
    """Make folders, files, links, pipes and sockets in folders that are entered and left; return what was made."""
    made = set[str]()
    here = [os.open(root, os.O_RDONLY)]
    for k in range(0, len(data) - 1, 2):
        code, name = data[k] % 8, bytes([1 + data[k + 1] % 255]).replace(b"/", b"_") * (1 + data[k] // 16 * 16)
        with suppress(OSError):
            match code:
                case 0 | 1:
                    os.mkdir(name, dir_fd=here[-1])
                    here.append(os.open(name, os.O_RDONLY, dir_fd=here[-1]))
                case 2:
                    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=here[-1]))  # no pipe is opened
                case 3:
                    os.symlink(target, name, dir_fd=here[-1])
                case 4:
                    os.mkfifo(name, dir_fd=here[-1])
                case 5:
                    os.fchmod(here[-1], data[k + 1] & 0o777)
                case 6 if len(here) > 1:
                    os.close(here.pop())
                case 7:
                    _make_socket(here[-1], name)
            made.add(["dir", "file", "link", "fifo", "chmod", "up", "socket"][max(0, code - 1)])
    for fd in here:
        os.close(fd)
    return made


def _make_socket(folder: int, name: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"/proc/self/fd/{folder}/".encode() + name[:80])


PARSERS: dict[str, Callable[[bytes], str]] = {
    "header": header,
    "messages": messages,
    "source": source,
    "edits": edits,
    "result": result,
    "tree": tree,
}


def corpus(parser: str) -> list[bytes]:
    """Return the inputs that are kept for a parser: seeds, and everything that was ever a fault."""
    return [path.read_bytes() for path in sorted((CORPUS / parser).iterdir())]


def run(parser: str, data: bytes) -> str:
    """Parse one input within the time limit."""
    with time_limit():
        return PARSERS[parser](data)
