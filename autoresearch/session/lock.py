"""The lock that serialises all work on a session."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SessionLock(threading.Condition):
    """Serialise all work on a session; threads release it only while they are blocked."""

    @contextmanager
    def released(self) -> Iterator[None]:
        self.release()
        try:
            yield
        finally:
            self.acquire()
