"""The lock that serialises all work on a session."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SessionLock(threading.Condition):
    """Serialise all work on a session: a thread holds it while it works, and releases it only while it is blocked."""

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let other threads work meanwhile."""
        self.release()
        try:
            yield
        finally:
            self.acquire()
