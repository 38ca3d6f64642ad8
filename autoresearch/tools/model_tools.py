"""The tools as an agent gets them: their answers bounded and quoted, probes limited, private text withheld."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from autoresearch.measure.result import Overhead
from autoresearch.source.parsing import explain
from autoresearch.text import first_and_last_lines
from autoresearch.tools import scale
from autoresearch.tools.probe import probe
from autoresearch.tools.profile import profile
from autoresearch.tools.same import same
from autoresearch.tools.short_trial import check
from autoresearch.tools.workbench import ToolError, Workbench

MAX_ANSWER_CHARS = 1_950  # 2,000 with the marks of a quotation
CUT = "\n... (cut)"
FIRST_LINES, LAST_LINES = 4, 8  # of what a version prints
MAX_LINE_CHARS = 200
PROBES_AN_HOUR = 20
HOUR_S = 3600.0
WITHHELD = "what it printed is withheld: the training text is yours alone (`share_text: true` shows it to the model)"
NO_PROBE = "probe is not available: the training text is private here, and `share_text: true` is not set"
NO_CORES = "no core is spare here, and none of the tools may slow a trial"

Versions = Callable[[int | None], tuple[str, str] | None]  # number (None: the incumbent) -> its name and text


@dataclass
class ModelTools:
    """Run tools for an agent, one at a time; without a `bench` they say why they are not available.

    Where training text must not reach the agent (`bench.private`), nothing that a version prints is returned, names
    come from a fixed vocabulary, and there is no probe.
    """

    bench: Workbench | None
    versions: Versions
    seed: int = 1
    overhead: Callable[[], Overhead | None] = lambda: None  # what the base spent beside its budget, if that is known
    now: Callable[[], float] = time.monotonic
    _probes: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, text: str) -> str:
        """Return what happens when a version trains, saves, loads and answers for a few seconds."""
        return self._try(
            lambda bench: _with_print(bench, *check(bench, _fit(bench, text), self.seed, base=self.overhead()))
        )

    def same(self, text: str, n: int | None) -> str:
        """Return whether a version computes the same function as experiment `n`, or the incumbent (None).

        Raises ValueError if there is no such experiment.
        """
        found = self.versions(n)
        if found is None:
            raise ValueError(f"there is no experiment {n}")
        name, other = found
        return self._try(lambda bench: same(bench, _fit(bench, text), _fit(bench, other), name, self.seed)[1])

    def is_same(self, text: str, n: int) -> bool:
        """Return whether a version was found to compute the function of experiment `n`; False if that is not known."""
        found, bench = self.versions(n), self.bench
        if found is None or bench is None:
            return False
        with self._lock, suppress(ToolError, SyntaxError):
            return same(bench, _fit(bench, text), _fit(bench, found[1]), found[0], self.seed)[0]
        return False

    def profile(self, text: str) -> str:
        """Return where the time of a version's training step goes."""
        return self._try(lambda bench: profile(bench, _fit(bench, text), self.seed))

    def probe(self, text: str, code: str) -> str:
        """Return what a snippet prints about the training rows. Raises ValueError if it may not run now."""
        if self.bench is not None and self.bench.private:
            raise ValueError(NO_PROBE)
        left = self._count_probe() if self.bench is not None else 0
        return self._try(
            lambda bench: probe(bench, _fit(bench, text), code, self.seed) or "(nothing was printed)",
            f"; {left} probe{'s'[: left != 1]} left in this hour",
        )

    def close(self) -> None:
        """End what runs, and run nothing from now on."""
        if self.bench is not None:
            self.bench.gate.close()

    def _count_probe(self) -> int:
        """Count one more probe, and return how many are left. Raises ValueError if there is none."""
        now = self.now()
        while self._probes and now - self._probes[0] >= HOUR_S:
            self._probes.popleft()
        if len(self._probes) >= PROBES_AN_HOUR:
            wait = (HOUR_S - (now - self._probes[0])) / 60
            raise ValueError(f"{PROBES_AN_HOUR} probes an hour are the most: the next one in {wait:.0f} min")
        self._probes.append(now)
        return PROBES_AN_HOUR - len(self._probes)

    def _try(self, tool: Callable[[Workbench], str], note: str = "") -> str:
        """Run one tool and return its answer, or how it failed, with its cost in seconds and a note."""
        bench = self.bench
        if bench is None:
            raise ValueError(f"not available: {NO_CORES}")
        began = self.now()
        with self._lock:
            bench.cpu_times.clear()
            try:
                words = tool(bench)
            except SyntaxError as error:
                raise ValueError(f"it does not parse: {explain(error)}") from None
            except ToolError as error:
                words = _with_print(bench, f"it fails: {error}", error.printed)
            return _bounded(bench, words, self.now() - began, note)


def _fit(bench: Workbench, text: str) -> str:
    return scale.with_small_batches(text, bench.data.seq_len) if bench.scaled else text


def _with_print(bench: Workbench, words: str, printed: str) -> str:
    """Return the words, and the first and last lines that were printed, if they may be shown."""
    lines = first_and_last_lines(printed, FIRST_LINES, LAST_LINES, MAX_LINE_CHARS)
    if not lines:
        return words
    return f"{words}\n{WITHHELD}" if bench.private else "\n".join([words, "it printed:", *lines])


def _bounded(bench: Workbench, words: str, spent: float, note: str) -> str:
    """Return an answer with its cost and a note before it, cut to `MAX_ANSWER_CHARS`."""
    cores, had = bench.settings.threads, sum(bench.cpu_times)
    scaled = "; CPU figures of short rows and small batches, not those of the card" if bench.scaled else ""
    head = f"({spent:.1f} s, {had:.1f} s of CPU time on {cores} spare core{'s' if cores > 1 else ''}{scaled}{note})\n"
    most = MAX_ANSWER_CHARS - len(head)
    return head + (words if len(words) <= most else f"{words[: most - len(CUT)]}{CUT}")
