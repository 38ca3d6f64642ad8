"""The card between two trials: what a dead trial held has to be free again before the next one is measured."""

import time
from collections.abc import Callable

from autoresearch.errors import GOES_ON, UserError
from autoresearch.measure import machine

SLACK = 512 * 2**20  # bytes that others on the card (a desktop) may come to use meanwhile
PATIENCE = 120.0  # s, for a driver to give memory back
LOOK = 0.5  # s


class Card:
    """`uuid` None: no card, nothing to wait for. `read` gives the bytes that it has and those in use, if it can be asked."""

    def __init__(
        self,
        uuid: str | None,
        read: Callable[[str | None], tuple[int, int] | None] = machine.gpu_memory,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.uuid, self.read, self.sleep = uuid, read, sleep
        self.level: int | None = None  # bytes in use without a trial of ours

    def wait_until_clean(self) -> None:
        """Return when no more memory is in use than before the first trial. Raises UserError where that does not come."""
        waited = 0.0
        while (used := self._used()) is not None and self.level is not None and used > self.level + SLACK:
            if waited >= PATIENCE:
                raise UserError(
                    f"{used / 2**20:.0f} MB of the card's memory are in use without a trial, {self.level / 2**20:.0f} MB before the"
                    f" first one, for {PATIENCE:.0f} s: end what uses it (`nvidia-smi`), {GOES_ON}"
                )
            self.sleep(LOOK)
            waited += LOOK
        if used is not None:
            self.level = used if self.level is None else min(self.level, used)

    def _used(self) -> int | None:
        found = self.read(self.uuid) if self.uuid is not None else None
        return None if found is None else found[1]
