"""Self-attack: a cell like those of trials, and a program in it that tries to escape (escape_attempts.py).

It proves that these attempts are blocked here and now, not that there are no others. Takes under a second.
"""

import contextlib
import json
import os
import select
import shutil
import socket
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoresearch.files import JsonObject
from autoresearch.sandbox.cell import Cell, CellError
from autoresearch.sandbox.grade import SECOND_FILTER, describe
from autoresearch.sandbox.launch import CellSpec

ATTACKER = Path(__file__).resolve().with_name("escape_attempts.py")
ATTACK_TIMEOUT_S = 10.0
MAX_NAMED = 6  # attempts in one line

Address = str | tuple[str, int]


@dataclass(frozen=True)
class Inspection:
    """Layers of the cells on this machine, and the attempts to escape by name, True if blocked."""

    layers: JsonObject
    attacks: dict[str, bool]
    layer_weaknesses: list[str]

    @property
    def grade(self) -> str:
        """Return STRONG if every required layer is there and every attempt was blocked, else WEAK."""
        return "WEAK" if self.weaknesses else "STRONG"

    @property
    def weaknesses(self) -> list[str]:
        through = [name for name, blocked in self.attacks.items() if not blocked]
        shown = ", ".join(through[:MAX_NAMED]) + (", ..." if len(through) > MAX_NAMED else "")
        return [*self.layer_weaknesses, *([f"a trial could {shown}"] if through else [])]

    def __str__(self) -> str:
        blocked = sum(self.attacks.values())
        layers = describe(self.layers)
        return f"cell: {self.grade}  {layers} | self-attack {blocked}/{len(self.attacks)} blocked"


def inspect(forbidden: Sequence[Path], spec: CellSpec, known: Sequence[str] = ()) -> Inspection:
    """Start a cell and attack from inside it; `known` are weaknesses that no cell can remove.

    The program in `spec` is replaced by that of the attack. `forbidden` are files and folders that no trial may read:
    held-out rows, the repository, the ledger, a library file that is a source of validation text. Raises CellError if
    no cell can be started.
    """
    reader, writer = os.pipe()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with os.fdopen(reader, "rb") as results, ours, AttackTargets(forbidden) as targets:
        program = [sys.executable, "-I", str(ATTACKER), json.dumps(targets.values | {"gpu": spec.gpu})]
        fds = {3: writer, 4: theirs.fileno()}
        try:
            cell = Cell.start(replace(spec, program=program, fds=fds, read=[ATTACKER.parent]))
        finally:
            os.close(writer)
            theirs.close()
        with cell:
            attacks, is_filtered = _follow(cell, results.fileno(), ours)
            log = cell.log()
        if not attacks:
            raise CellError(f"the self-attack did not run: {log.strip()[-300:] or 'no output'}")
        attacks.update(targets.check_traces())
        missing = [] if is_filtered else [SECOND_FILTER]
        return Inspection(cell.layers, attacks, [*cell.weaknesses, *missing, *known])


class AttackTargets(contextlib.ExitStack):
    """Targets of this program that an attacker may try to reach: listeners, a file, writable folders."""

    def __init__(self, forbidden: Sequence[Path]) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="bait-"))
        self.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.marker = f".autoresearch-{uuid.uuid4().hex}"
        self.canary = self.folder / "canary"
        self.canary.write_text("content")
        self.before = self._state()
        self.sockets: dict[str, socket.socket] = {}
        self.values: JsonObject = {
            "owner": os.getpid(),
            "key": uuid.uuid4().int & 0x7FFFFFFF,
            "marker": self.marker,
            "canary": str(self.canary),
            "forbidden": [str(path.absolute()) for path in forbidden if path.exists()],
            "folders": [str(folder) for folder in self._folders(forbidden)],
        }
        home, inet, unix = ("127.0.0.1", 0), socket.AF_INET, socket.AF_UNIX
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        self._listen("tcp", "connect over TCP", inet, stream, home)
        self._listen("udp", "send over UDP", inet, datagram, home)
        self._listen("abstract", "connect to an abstract socket", unix, stream, f"\0{self.marker}-bait")
        self._listen("stream", "connect to a socket on a path", unix, stream, str(self.folder / "stream"))
        self._listen("datagram", "send to a socket on a path", unix, datagram, str(self.folder / "datagram"))

    def check_traces(self) -> dict[str, bool]:
        """Return, by attempt, whether it left no trace outside the cell."""
        markers = {folder: Path(folder, self.marker) for folder in self.values["folders"]}
        traces = {f"write to {folder}": not marker.exists() for folder, marker in markers.items()}
        for marker in markers.values():
            marker.unlink(missing_ok=True)
        for name, sock in self.sockets.items():
            traces[name] = not select.select([sock], [], [], 0)[0]
        traces["send to a path from a socket pair"] = traces["send to a socket on a path"]
        after = self._state()
        for name, before, now in zip(("mode", "time", "attributes"), self.before, after, strict=True):
            traces[f"change the {name} of a file"] = before == now
        return traces

    def _listen(self, target: str, attempt: str, family: int, kind: int, address: Address) -> None:
        sock = self.sockets[attempt] = self.enter_context(socket.socket(family, kind))
        with contextlib.suppress(OSError):  # without loopback there is nothing to reach
            sock.bind(address)
            if kind == socket.SOCK_STREAM:
                sock.listen()
        self.values[target] = address if family == socket.AF_UNIX else sock.getsockname()[1]

    def _folders(self, forbidden: Sequence[Path]) -> list[Path]:
        """Return the folders that we can write to, in which a trial must leave nothing."""
        shared = ("/tmp", "/var/tmp", "/dev/shm", tempfile.gettempdir())
        ours = (os.environ.get("HOME", "/"), sysconfig.get_path("purelib"), ".")
        folders = [*map(Path, shared + ours), *forbidden]
        return sorted({folder.resolve() for folder in folders if folder.is_dir() and os.access(folder, os.W_OK)})

    def _state(self) -> tuple[int, int, list[str]]:
        status = self.canary.stat()
        return status.st_mode, status.st_mtime_ns, os.listxattr(self.canary)


def _follow(cell: Cell, results: int, attacker: socket.socket) -> tuple[dict[str, bool], bool]:
    """Read the attempts by name; restrict the cell when it asks for it, and return whether it could be.

    An attempt that was not reported counts as not blocked.
    """
    deadline = time.monotonic() + ATTACK_TIMEOUT_S
    data, is_filtered = b"", False
    waited_for: list[int | socket.socket] = [results, attacker]
    while ready := select.select(waited_for, [], [], max(0.0, deadline - time.monotonic()))[0]:
        if attacker in ready:
            waited_for.remove(attacker)
            is_filtered = _restrict(cell, attacker)
        if results in ready:
            if not (part := os.read(results, 1 << 16)):
                break
            data += part
    attacks: dict[str, bool] = {}
    for line in map(json.loads, data.splitlines()):
        attacks.update([line] if line[-1] in (True, False) else dict.fromkeys(line, False))
    return attacks, is_filtered


def _restrict(cell: Cell, attacker: socket.socket) -> bool:
    """Let the attacker only compute from now on, if it has installed the second filter."""
    _, fds, _, _ = socket.recv_fds(attacker, 16, 1)
    if not fds:
        return False
    cell.listen(fds[0])
    os.close(fds[0])
    cell.only_compute()
    attacker.send(b"x")
    return True
