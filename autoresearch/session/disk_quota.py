"""The artefacts of a night stay below a limit: of the worst discards the bulk goes first, of keeps nothing goes.

What goes is logs, traces, patches and scores by row. Results and records stay, they are small; so do the ledger, its
copies, and everything of the base, of keeps and of suspects.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.ledger import Experiment, Ledger
from autoresearch.ledger.artefacts import Artefacts

DOWN_TO = 0.9  # of the limit, so that not every experiment has to make room anew
SPARE = 1e9  # bytes that stay free on the disk, ...
SPARE_SHARE = 0.05  # ... or this share of a small one


@dataclass
class Quota:
    """`limit` is in bytes, for all of `runs`; `used` is what was found there and added since."""

    runs: Path
    ledger: Ledger
    limit: float
    used: float | None = None

    def settled(self, folder: Path) -> list[tuple[str, int]]:
        """Take an experiment's folder into account; returns the tags and numbers of those that made room for it."""
        if self.used is None:
            self.used = _size(self.runs)
        else:
            self.used += _size(folder)
        disk = shutil.disk_usage(self.runs)
        allowed = min(self.limit, self.used + disk.free - min(SPARE, SPARE_SHARE * disk.total))
        return self._make_room(DOWN_TO * allowed) if self.used > allowed else []

    def _make_room(self, target: float) -> list[tuple[str, int]]:
        dropped = []
        self.used = _size(self.runs)  # what was there before may have gone meanwhile
        for tag, experiment in self._droppable():
            if self.used <= target:
                break
            if freed := Artefacts(self.runs / tag / str(experiment.n)).drop_bulk():
                self.used -= freed
                dropped.append((tag, experiment.n))
        return dropped

    def _droppable(self) -> Iterator[tuple[str, Experiment]]:
        """Older sessions first; in a session the worst score first, then what failed, then near misses."""
        for session in self.ledger.sessions():
            rows = [row for row in self.ledger.experiments(session.id) if row.state == "settled" and row.n > 0]
            worst = sorted((row for row in rows if row.verdict not in ("keep", "suspect")), key=_worth)
            yield from ((session.tag, row) for row in worst)


def _worth(row: Experiment) -> tuple[bool, bool, float]:
    return row.near_miss, row.delta is None, -(row.delta or 0.0)


def _size(folder: Path) -> float:
    """Bytes on the disk below a folder."""
    total = 0.0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += 512 * os.lstat(f"{parent}/{name}").st_blocks
            except FileNotFoundError:  # SQLite removes its helpers when it likes
                continue
    return total
