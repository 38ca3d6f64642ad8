"""Parts that a session can do without: after an unexpected error it goes on, and says so."""

from collections.abc import Callable
from typing import TypeVar

from autoresearch.errors import describe_failure, is_unexpected
from autoresearch.session.context import SessionContext

T = TypeVar("T")


class OptionalPart:
    """One such part; `name` is what there is no more of after an unexpected error."""

    def __init__(self, context: SessionContext, name: str) -> None:
        self.context, self.name, self.is_broken = context, name, False

    def run(self, work: Callable[[], T], otherwise: T) -> T:
        """Return what `work` returns; `otherwise` if it fails unexpectedly, now or before."""
        if self.is_broken:
            return otherwise
        try:
            return work()
        except Exception as error:
            if not is_unexpected(error):
                raise
            self.is_broken = True
            self.context.emit("failed", None, f"no more {self.name}: {describe_failure(error)}")
            return otherwise
