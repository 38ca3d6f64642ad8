"""The argument of `train` while a tool tries a version, inside a cell: no referee, a short run, times of its parts."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from types import FrameType, ModuleType

from autoresearch.measure import wire
from autoresearch.measure.answers import Array
from autoresearch.measure.batches import BatchStream
from autoresearch.measure.trial_context import TrialContext

LOOKED_INTO_FROM = 0.6  # share of a run after which steps are looked into; until then they are timed
MAX_SLOWNESS = 4.0  # wall-clock seconds for a second of CPU time, on a core that others use
RESERVED_SHARE = 0.1  # of a short run, for `trial.reserve` of a long one


class ToolContext(TrialContext):
    """Run `train` for some CPU-seconds, or for some steps, and keep its checkpoints.

    `first` is the checkpoint of a rehearsal before `start()`, `last` the one after it; None if there is none. `look` is
    called once, with the frame of the training loop, when `LOOKED_INTO_FROM` of the run is over.
    """

    def __init__(
        self,
        channel: wire.Channel,
        hello: wire.Fields,
        torch: ModuleType | None,
        rows: list[Array],
        seconds: float = 0.0,
        steps: int | None = None,
        look: Callable[[FrameType], None] = lambda frame: None,
    ) -> None:
        super().__init__(channel, hello, torch)
        self._rows, self._seconds, self._most, self._look = rows, seconds, steps, look
        self._now = tool_clock(hello["threads"])
        self._began, self._looks, self._looked = self._now(), 0, False
        self._marks: list[tuple[float, float]] = []  # time and step of each log, until the run is looked into
        self._draws: list[float] = []  # times at which batches were drawn, until then
        self.setup_s = self.save_s = self._started = self._started_wall = 0.0
        self.first: int | None = None
        self.last: int | None = None
        self.reported: dict[str, float] = {}

    def start(self) -> None:
        """Hand over the rows and start the clock of the tool."""
        if self._stream is not None:
            raise RuntimeError("trial.start() may be called once")
        self._stream = BatchStream(self._rows, self.seed)
        self._started, self._started_wall = self._now(), time.monotonic()
        self.setup_s = self._started - self._began

    @property
    def steps_taken(self) -> int:
        """Return the batches that were drawn; of a program that draws none, the looks at `progress`, less one."""
        return self._steps or max(0, self._looks - 1)

    @property
    def progress(self) -> float:
        self._require_stream()
        self._looks += 1
        fraction = self._fraction()
        if fraction >= LOOKED_INTO_FROM and not self._looked and self._most is None:
            self._looked = True
            self._look(sys._getframe(1))
        return fraction

    def _fraction(self) -> float:
        if self._most is not None:
            return min(1.0, self.steps_taken / self._most) if self._most else 1.0
        own = min(self.reserve, RESERVED_SHARE * self._seconds)
        spent = max(self._now() - self._started, (time.monotonic() - self._started_wall) / MAX_SLOWNESS)
        return min(1.0, spent / max(1e-9, self._seconds - own))

    def batches(self, batch_size: int) -> Iterator[tuple[Array, Array]]:
        for batch in super().batches(batch_size):
            if not self._looked:
                self._draws.append(self._now())
            yield batch

    def log(self, **values: float) -> None:
        self.reported |= {name: float(value) for name, value in values.items()}
        if "step" in values and not self._looked:
            self._marks.append((self._now(), float(values["step"])))

    @property
    def seconds_per_step(self) -> float | None:
        """Return the median time of a step, by the steps that the program logs; None if it logs fewer than two."""
        pairs = zip(self._marks, self._marks[1:], strict=False)
        times = [(after - before) / (late - early) for (before, early), (after, late) in pairs if late > early]
        return median(times) if times else None

    @property
    def seconds_per_batch(self) -> float | None:
        """Return the mean time from one batch to the next; None if the program draws fewer than two."""
        more = len(self._draws) - 1
        return (self._draws[-1] - self._draws[0]) / more if more > 0 else None

    def save(self, state: dict[str, Array], config: wire.Fields) -> None:
        began = self._now()
        self._file = None
        fd = self._write(state, config)
        self._file = None
        wire.seal_file(fd)
        if self._stream is None:
            self.first = _replace(self.first, fd)
        else:
            self.last = _replace(self.last, fd)
            self.save_s = self._now() - began


def tool_clock(threads: int) -> Callable[[], float]:
    """Return a clock in seconds: CPU time, as others may use the core, of a program with one thread."""
    return time.process_time if threads == 1 else time.perf_counter


def _replace(old: int | None, new: int) -> int:
    if old is not None:
        os.close(old)
    return new
