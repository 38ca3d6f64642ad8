"""The protocol of the APIs that servers of models speak."""

from collections.abc import Mapping, Sequence, Set
from typing import Protocol

from autoresearch.agents.llm.messages import Reply, Request
from autoresearch.files import JsonObject


class Api(Protocol):
    """Convert requests and replies, and send them once. `advice` is for the user, by name of the fault."""

    @property
    def advice(self) -> Mapping[str, str]: ...

    @property
    def host(self) -> str: ...

    @property
    def secrets(self) -> Sequence[str]: ...

    def body(self, request: Request) -> JsonObject:
        """Return the request as the server gets it."""

    def receive(self, body: JsonObject, seconds: float) -> Reply:
        """Send a request and read the whole reply, for at most so many seconds. Raises CallFailed."""

    def count_tokens(self, body: JsonObject, seconds: float) -> int | None:
        """Let the server count the tokens of a prompt at no cost; None if it cannot, or not within so many seconds."""

    def leave_out(self, model: str, message: str) -> Set[str]:
        """Leave out optional parts of requests that a server refuses, and return their names; none if none is left."""

    def restore(self, model: str, names: Set[str]) -> None:
        """Send parts again that were left out: they were not the reason."""
