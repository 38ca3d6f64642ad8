"""The trial that runs now: followed as it goes, and left in a file for other programs to look at.

`runs/<tag>/live.json` is written at most once a second, whole or not at all, and removed when the trial is over. It may
be left behind by a program that was killed: believe it only while the ledger says that this very trial runs.
"""

import json
import math
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from autoresearch import hardware, ledger
from autoresearch.measure.facts import trained_tokens
from autoresearch.measure.result import Progress
from autoresearch.sandbox.selftest import Inspection
from autoresearch.session.events import Reporter
from autoresearch.setup.project import Project

POINTS = 120  # of a curve
INTERVAL = 1.0  # s between two readings of the card, and between two files
FILE = "live.json"


@dataclass
class Running:
    """Where a trial stands. `since` and `at` are unix seconds: its start, and when this was so.

    `curve` holds pairs of progress (0 to 1) and loss; `gpu` holds `used_mb`, `total_mb` and `load` (percent) of the
    `card` it runs on, where there is one. Losses and tokens are what train.py says. `others` run on other slots.
    """

    n: int
    purpose: str
    stage: str = "setup"
    fraction: float = 0.0
    since: float = 0.0
    at: float = 0.0
    loss: float | None = None
    tokens_per_second: float | None = None
    curve: list[tuple[float, float]] = field(default_factory=list)
    gpu: dict[str, float] | None = None
    card: str | None = None
    others: int = 0

    @classmethod
    def read(cls, folder: Path) -> "Running | None":
        """What was left in a folder of a session; None where there is nothing that can be read."""
        try:
            found = json.loads((folder / FILE).read_text())
            told = [each.name for each in fields(cls) if each.name in found]  # an older program says less
            values = {name: found[name] for name in told}
            curve = [(float(x), float(y)) for x, y in values["curve"]]
            return cls(**values | {"n": int(values["n"]), "fraction": float(values["fraction"]), "curve": curve})
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None


class Recorder(Reporter):
    """Follows trials, on each slot one. Slots report from threads of their own."""

    def __init__(self, gpu: str | None = None) -> None:
        self.gpu = gpu
        self.folder: Path | None = None
        self._all: dict[int, Running] = {}  # by experiment, the one that has run for longest first
        self._trains: dict[int, float] = {}
        self._said: dict[int, dict[str, float]] = {}
        self._looked = 0.0
        self._lock = threading.Lock()

    @property
    def running(self) -> Running | None:
        """The trial that has run for longest, None between two."""
        return next(iter(self._all.values()), None)

    def opened(self, row: ledger.Session, place: Project, found: Inspection, dirty: bool) -> None:
        self.gpu, self.folder = place.slot.gpu, place.runs / row.tag

    def closed(self, row: ledger.Session, reason: str, branch_follows: bool) -> None:
        with self._lock:
            self._all.clear()
            self._leave()

    def event(self, kind: str, n: int | None, text: str, data: dict[str, Any]) -> None:
        if kind == "measured" and n is not None:
            with self._lock:
                for known in (self._all, self._trains, self._said):
                    known.pop(n, None)
                self._leave()

    def progress(self, n: int, purpose: str, progress: Progress) -> None:
        now = time.time()
        with self._lock:
            if n not in self._all or progress.stage == "setup":
                self._all[n] = Running(n, purpose, since=now, card=progress.gpu or self.gpu)
                self._trains.pop(n, None)
            self._follow(self._all[n], progress, now)
            if now - self._looked >= INTERVAL and (first := self.running) is not None:
                self._looked = now
                first.gpu, first.others = hardware.gpu_load(first.card), len(self._all) - 1
                self._write(first)

    def _follow(self, running: Running, progress: Progress, now: float) -> None:
        running.stage, running.at = progress.stage, now
        running.fraction = max(running.fraction, progress.fraction)
        loss = progress.values.get("loss")
        if progress.stage != "train":
            return
        began = self._trains.setdefault(running.n, now)
        if loss is None or not math.isfinite(loss):
            return
        running.loss = loss
        anew = progress.values != self._said.get(running.n)
        self._said[running.n] = dict(progress.values)
        if not running.curve or (anew and progress.fraction >= running.curve[-1][0] + 1 / POINTS):
            running.curve.append((progress.fraction, loss))
        tokens = trained_tokens({"reported": progress.values})
        if 0 < tokens < math.inf and now > began:
            running.tokens_per_second = tokens / (now - began)

    def _write(self, running: Running) -> None:
        if self.folder is not None:
            beside = self.folder / f".{FILE}.new"
            with suppress(OSError):  # a full disk is no reason to end a night
                self.folder.mkdir(exist_ok=True)  # not its parents: the repository may have been moved
                beside.write_text(json.dumps(asdict(running)))
                beside.replace(self.folder / FILE)

    def _leave(self) -> None:
        """What was left in the file is over, unless another one runs, which will write it anew."""
        if not self._all and self.folder is not None:
            with suppress(OSError):
                (self.folder / FILE).unlink(missing_ok=True)
