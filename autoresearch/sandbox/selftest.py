"""The self-attack: a cell like those of trials, and a program in it that tries to get out (escape_attempts.py).

`doctor` shows what came of it and `run` does it at every start, for it takes under a second. It proves that
these attempts are blocked here and now; it does not prove that there are no others.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoresearch.sandbox.cell import Cell, CellError, CellSpec
from autoresearch.sandbox.grade import describe

ATTACKER = Path(__file__).resolve().with_name("escape_attempts.py")
PATIENCE = 10.0  # s
SHOWN = 6  # attempts named in one line


@dataclass(frozen=True)
class Inspection:
    """What protects the cells on this machine, and which attempts to get out of one were blocked (True)."""

    layers: dict[str, Any]
    attacks: dict[str, bool]
    layer_weaknesses: list[str]

    @property
    def grade(self) -> str:
        """STRONG if every layer that counts is there and every attempt was blocked; otherwise WEAK."""
        return "WEAK" if self.weaknesses else "STRONG"

    @property
    def weaknesses(self) -> list[str]:
        """What is not protected, in plain words."""
        through = [name for name, blocked in self.attacks.items() if not blocked]
        shown = ", ".join(through[:SHOWN]) + (", ..." if len(through) > SHOWN else "")
        return [*self.layer_weaknesses, *([f"a trial could {shown}"] if through else [])]

    def __str__(self) -> str:
        blocked = sum(self.attacks.values())
        layers = describe(self.layers)
        return f"cell: {self.grade}  {layers} | self-attack {blocked}/{len(self.attacks)} blocked"


def self_attack(forbidden: Sequence[Path], **options: Any) -> dict[str, bool]:
    """Attempts to get out of a cell, True where blocked; see `inspect`."""
    return inspect(forbidden, **options).attacks


def inspect(
    forbidden: Sequence[Path],
    library: Sequence[Path | str] | None = None,
    gpu: bool = False,
    off: frozenset[str] = frozenset(),
    known: Sequence[str] = (),
) -> Inspection:
    """Start a cell and attack from inside it; `known` are weaknesses that no cell can mend.

    `forbidden` are files and folders that no trial may read: held-out rows, the repository, the ledger, a
    library file that validation text comes from. Raises CellError if no cell can be started.
    """
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as results, Bait(forbidden) as bait:
        program = [sys.executable, "-I", str(ATTACKER), json.dumps(bait.targets)]
        spec = CellSpec(program, {3: writer}, [ATTACKER.parent], library=library, gpu=gpu, off=off)
        try:
            cell = Cell.start(spec)
        finally:
            os.close(writer)
        with cell:
            attacks = _results(results.fileno())
            log = cell.log()
        if not attacks:
            raise CellError(f"the self-attack did not run: {log.strip()[-300:] or 'no output'}")
        attacks.update(bait.blocked())
        return Inspection(cell.layers, attacks, [*cell.weaknesses, *known])


class Bait:
    """Listeners, a file and places to write to, of this program's own, that an attacker may try to reach."""

    def __init__(self, forbidden: Sequence[Path]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bait-"))
        self.marker = f".autoresearch-{uuid.uuid4().hex}"
        self.canary = self.folder / "canary"
        self.canary.write_text("tweet")
        self.before = self._state()
        self.sockets: dict[str, socket.socket] = {}
        self.targets: dict[str, Any] = {
            "owner": os.getpid(),
            "key": uuid.uuid4().int & 0x7FFFFFFF,
            "marker": self.marker,
            "canary": str(self.canary),
            "forbidden": [str(path.absolute()) for path in forbidden if path.exists()],
            "folders": [str(folder) for folder in self._folders(forbidden)],
            "tcp": self._listen("connect over TCP", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))[1],
            "udp": self._listen("send over UDP", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))[1],
        }
        unix = {
            "abstract": ("connect to an abstract socket", socket.SOCK_STREAM, f"\0{self.marker}-bait"),
            "stream": ("connect to a socket on a path", socket.SOCK_STREAM, str(self.folder / "stream")),
            "datagram": ("send to a socket on a path", socket.SOCK_DGRAM, str(self.folder / "datagram")),
        }
        for target, (name, kind, address) in unix.items():
            self._listen(name, socket.AF_UNIX, kind, address)
            self.targets[target] = address

    def blocked(self) -> dict[str, bool]:
        """What can only be told from outside: by attempt, whether it left no trace."""
        traces = {f"write to {folder}": not self._remove_marker(folder) for folder in self.targets["folders"]}
        for name, sock in self.sockets.items():
            traces[name] = not select.select([sock], [], [], 0)[0]
        traces["send to a path from a socket pair"] = traces["send to a socket on a path"]
        after = self._state()
        for name, before, now in zip(("mode", "time", "attributes"), self.before, after, strict=True):
            traces[f"change the {name} of a file"] = before == now
        return traces

    def __enter__(self) -> "Bait":
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self.sockets.values():
            sock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listen(self, name: str, family: int, kind: int, address: Any) -> Any:
        sock = self.sockets[name] = socket.socket(family, kind)
        with contextlib.suppress(OSError):  # no loopback here: nothing to reach either
            sock.bind(address)
            if kind == socket.SOCK_STREAM:
                sock.listen()
        return sock.getsockname()

    def _folders(self, forbidden: Sequence[Path]) -> list[Path]:
        """Where a trial must leave nothing: what we may write to ourselves."""
        places = [
            Path(os.environ.get("HOME", "/")),
            Path(tempfile.gettempdir()),
            *map(Path, ("/tmp", "/var/tmp", "/dev/shm")),
        ]
        places += [
            Path(sysconfig.get_path("purelib")),
            Path.cwd(),
            *(path for path in forbidden if path.is_dir()),
        ]
        return sorted({place.resolve() for place in places if place.is_dir() and os.access(place, os.W_OK)})

    def _remove_marker(self, folder: str) -> bool:
        try:
            Path(folder, self.marker).unlink()
        except FileNotFoundError:
            return False
        return True

    def _state(self) -> tuple[int, int, list[str]]:
        status = self.canary.stat()
        return status.st_mode, status.st_mtime_ns, os.listxattr(self.canary)


def _results(fd: int) -> dict[str, bool]:
    """The attempts by name; one that the attacker did not live to report counts as not blocked."""
    deadline = time.monotonic() + PATIENCE
    data = b""
    while select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(fd, 1 << 16)
        if not part:
            break
        data += part
    lines = [json.loads(line) for line in data.splitlines()]
    names = lines[0] if lines else []
    return {**dict.fromkeys(names, False), **dict(lines[1:])}
