"""A limit on the disk space of artefacts: the bulk of the worst discards is deleted first.

The bulk is logs, traces, patches and scores by row. Results and records stay, they are small; so do the ledger, its
backups, and everything of the base, of keeps and of suspects.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.files import measure_size
from autoresearch.ledger import Experiment, Ledger
from autoresearch.ledger.artefacts import Artefacts

TARGET_SHARE = 0.9  # of the limit, so that not every experiment has to make room
SPARE_BYTES = 1e9  # stay free on the disk, ...
SPARE_SHARE = 0.05  # ... or this share of a small one


@dataclass
class DiskQuota:
    """Keep `runs` below `limit` bytes; `used` counts existing and added bytes."""

    runs: Path
    ledger: Ledger
    limit: float
    used: float | None = None

    def make_room_for(self, folder: Path) -> list[tuple[str, int]]:
        """Count a new folder; return tag and number of experiments that made room for it."""
        if self.used is None:
            self.used = measure_size(self.runs)
        else:
            self.used += measure_size(folder)
        disk = shutil.disk_usage(self.runs)
        allowed = min(self.limit, self.used + disk.free - min(SPARE_BYTES, SPARE_SHARE * disk.total))
        return self._drop_bulk(TARGET_SHARE * allowed) if self.used > allowed else []

    def _drop_bulk(self, target: float) -> list[tuple[str, int]]:
        dropped = []
        self.used = measure_size(self.runs)  # the user may have deleted files meanwhile
        for tag, experiment in self._candidates():
            if self.used <= target:
                break
            if freed := Artefacts(self.runs / tag / str(experiment.n)).drop_bulk():
                self.used -= freed
                dropped.append((tag, experiment.n))
        return dropped

    def _candidates(self) -> Iterator[tuple[str, Experiment]]:
        """Yield by session, oldest first: worst scores, then failures, then near misses."""
        for session in self.ledger.sessions():
            rows = [row for row in self.ledger.experiments(session.id) if row.state == "settled" and row.n > 0]
            discards = [row for row in rows if row.verdict not in ("keep", "suspect")]
            worst = sorted(discards, key=lambda row: (row.near_miss, row.delta is None, -(row.delta or 0.0)))
            yield from ((session.tag, row) for row in worst)
