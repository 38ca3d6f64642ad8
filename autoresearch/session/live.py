"""The trial that runs now: followed in memory, and written to a file for other programs.

`runs/<tag>/live.json` is replaced atomically, at most once a second, and removed when the trial is over. A program that
was killed leaves it behind: it is valid only while the ledger says that this trial runs.
"""

import json
import math
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from autoresearch import hardware
from autoresearch.measure.facts import trained_tokens
from autoresearch.measure.result import Progress
from autoresearch.session.events import LedgerEvent, SessionClosed, SessionEvent, SessionOpened, TrialProgress

CURVE_POINTS = 120
INTERVAL_S = 1.0  # between two readings of the card, and between two files
LIVE_FILE = "live.json"


@dataclass
class LiveTrial:
    """The state of a running trial; losses and tokens are train.py's claims."""

    n: int
    purpose: str
    stage: str = "setup"
    fraction: float = 0.0
    since: float = 0.0  # its start (unix seconds)
    at: float = 0.0  # time of this state (unix seconds)
    loss: float | None = None
    tokens_per_second: float | None = None
    curve: list[tuple[float, float]] = field(default_factory=list)  # progress (0 to 1) and loss
    gpu: dict[str, float] | None = None  # `used_mb`, `total_mb` and `load` (percent) of its `card`, if it runs on one
    card: str | None = None
    others: int = 0  # trials on other slots
    arm: str | None = None  # the researcher that proposed it, in a session with several

    @classmethod
    def read(cls, folder: Path) -> "LiveTrial | None":
        """Read the file in a session's folder; None if there is none that can be read."""
        try:
            content = json.loads((folder / LIVE_FILE).read_text())
            values = {each.name: content[each.name] for each in fields(cls) if each.name in content}  # old: fewer
            curve = [(float(x), float(y)) for x, y in values["curve"]]
            return cls(**values | {"n": int(values["n"]), "fraction": float(values["fraction"]), "curve": curve})
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None


class LiveTrialRecorder:
    """Follow the running trials, one on each slot; slots report from their own threads."""

    def __init__(self, gpu: str | None = None, runs: Path | None = None) -> None:
        self.gpu, self.runs = gpu, runs
        self.folder: Path | None = None  # of the file; known once a session was opened
        self._trials: dict[int, LiveTrial] = {}  # by experiment, oldest first
        self._train_began: dict[int, float] = {}
        self._last_values: dict[int, dict[str, float]] = {}
        self._refreshed = 0.0
        self._lock = threading.Lock()

    @property
    def running(self) -> LiveTrial | None:
        """Return the trial that has run for longest; None between two trials."""
        return next(iter(self._trials.values()), None)

    def handle(self, event: SessionEvent) -> None:
        with self._lock:
            match event:
                case SessionOpened() if self.runs is not None:
                    self.folder = self.runs / event.session.tag
                case TrialProgress(n, _, Progress("over")) | LedgerEvent("measured", int(n)):
                    for each in (self._trials, self._train_began, self._last_values):
                        each.pop(n, None)
                    self._remove_file()
                case TrialProgress():
                    self._update(event, time.time())
                case SessionClosed():
                    self._trials.clear()
                    self._remove_file()

    def _update(self, event: TrialProgress, now: float) -> None:
        n, progress = event.n, event.progress
        if n not in self._trials or progress.stage == "setup":
            card = progress.gpu or self.gpu
            self._trials[n] = LiveTrial(n, event.purpose, since=now, card=card, arm=event.arm)
            self._train_began.pop(n, None)
        self._follow(self._trials[n], progress, now)
        if now - self._refreshed >= INTERVAL_S and (first := self.running) is not None:
            self._refreshed = now
            first.gpu, first.others = hardware.gpu_load(first.card), len(self._trials) - 1
            self._write_file(first)

    def _follow(self, trial: LiveTrial, progress: Progress, now: float) -> None:
        trial.stage, trial.at = progress.stage, now
        trial.fraction = max(trial.fraction, progress.fraction)
        loss = progress.values.get("loss")
        if progress.stage != "train":
            return
        began = self._train_began.setdefault(trial.n, now)
        if loss is None or not math.isfinite(loss):
            return
        trial.loss = loss
        is_new = progress.values != self._last_values.get(trial.n)
        self._last_values[trial.n] = dict(progress.values)
        if not trial.curve or (is_new and progress.fraction >= trial.curve[-1][0] + 1 / CURVE_POINTS):
            trial.curve.append((progress.fraction, loss))
        tokens = trained_tokens({"reported": progress.values})
        if 0 < tokens < math.inf and now > began:
            trial.tokens_per_second = tokens / (now - began)

    def _write_file(self, trial: LiveTrial) -> None:
        if self.folder is not None:
            partial = self.folder / f".{LIVE_FILE}.new"
            with suppress(OSError):  # a full disk is no reason to end a session
                self.folder.mkdir(exist_ok=True)  # not its parents: the repository may have been moved
                partial.write_text(json.dumps(asdict(trial)))
                partial.replace(self.folder / LIVE_FILE)

    def _remove_file(self) -> None:
        """Remove the file unless another trial runs, which will overwrite it."""
        if not self._trials and self.folder is not None:
            with suppress(OSError):
                (self.folder / LIVE_FILE).unlink(missing_ok=True)
