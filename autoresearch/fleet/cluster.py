"""The driver's connection to a Ray cluster: its nodes, questions to them, and tasks. Ray is imported here alone."""

import math
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autoresearch.errors import Blocker, UsageError, describe_install
from autoresearch.fleet.mailbox import Mailbox
from autoresearch.fleet.node import inspect_node, run_trial
from autoresearch.fleet.orders import NodeFacts, NodeQuestion, TrialOrder

NODE_ID = "ray.io/node-id"  # label that Ray gives to each node
REACH_TIMEOUT_S = 10.0
INSPECT_TIMEOUT_S = 120.0  # a process of Ray starts, torch may have to be compiled, a card to be initialised
CONNECT_HELP = "start one with `ray start --head`, or give its address: --ray HOST:PORT (docs/fleet.md)"


@dataclass(frozen=True)
class RayNode:
    """A node that is alive, as Ray knows it."""

    id: str
    host: str
    resources: Mapping[str, float]
    labels: Mapping[str, str]

    def count_slots(self, device: str, threads: int) -> int:
        """Return how many trials may run here at once."""
        cpus = int(self.resources.get("CPU", 0) // (threads if device == "cpu" else 1))
        return cpus if device == "cpu" else min(cpus, int(self.resources.get("GPU", 0)))

    def describe(self) -> str:
        cards = int(self.resources.get("GPU", 0))
        return f"{self.host}: {int(self.resources.get('CPU', 0))} CPUs, {cards} GPUs"


@dataclass
class Cluster:
    """A connection to a Ray cluster. A lost task is never repeated by Ray: the ledger knows what to repeat."""

    address: str
    _ray: Any
    mailbox: Any = field(default=None, init=False)

    @classmethod
    def connect(cls, address: str) -> "Cluster":
        """Connect to a cluster. Raises UsageError without Ray, Blocker without a cluster."""
        ray = import_ray()
        try:
            _reach(address)
            ray.init(address=address, logging_level="ERROR", log_to_driver=False, ignore_reinit_error=True)
        except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
            words = " ".join(str(error).split())[:300]
            raise Blocker(f"no Ray cluster answers at {address} ({words}): {CONNECT_HELP}") from None
        return cls(address, ray)

    def close(self) -> None:
        """End the connection, and with it all its tasks."""
        self._ray.shutdown()

    def nodes(self) -> list[RayNode]:
        """Return the nodes that are alive."""
        alive = (node for node in self._ray.nodes() if node["Alive"])
        found = (RayNode(n["NodeID"], n["NodeManagerHostname"], n["Resources"], n["Labels"]) for n in alive)
        return sorted(found, key=lambda node: (node.host, node.id))

    def inspect(self, nodes: Sequence[RayNode], question: NodeQuestion) -> dict[str, NodeFacts | str]:
        """Ask nodes what they are, all at once; the answer of one that cannot run trials is why."""
        options, task = resources_of(question.device, question.threads), self._remote(inspect_node)
        refs = {each.id: task.options(**options, label_selector={NODE_ID: each.id}).remote(question) for each in nodes}
        self._ray.wait([*refs.values()], num_returns=len(refs), timeout=INSPECT_TIMEOUT_S)
        return {id: self._answer_of(ref) for id, ref in refs.items()}

    def _answer_of(self, ref: Any) -> NodeFacts | str:
        try:
            answer: NodeFacts | str = self._ray.get(ref, timeout=0)
        except self._ray.exceptions.GetTimeoutError:
            self._ray.cancel(ref, force=True)
            return f"it did not answer within {INSPECT_TIMEOUT_S:.0f} s: its CPUs may be in use"
        except self._ray.exceptions.RayError as error:
            return f"it cannot run autoresearch: {first_words(error)}"
        return answer

    def submit(self, order: TrialOrder, excluded: Iterable[str]) -> Any:
        """Start a trial on any node but the excluded ones; return the reference of its answer."""
        settings, without = order.settings, sorted(excluded)
        selector = {NODE_ID: f"!in({','.join(without)})"} if without else {}
        task = self._remote(run_trial).options(
            **resources_of(settings.device, settings.threads), label_selector=selector
        )
        return task.remote(order, self.mailbox)

    def wait(self, ref: Any, timeout_s: float) -> bool:
        """Return whether a task has ended."""
        return bool(self._ray.wait([ref], timeout=timeout_s)[0])

    def get(self, ref: Any) -> Any:
        """Return what a task returned. Raises what it raised, or RayError if its process was lost."""
        return self._ray.get(ref)

    def put(self, content: bytes) -> Any:
        """Store bytes where nodes can fetch them, once each."""
        return self._ray.put(content)

    def cancel(self, ref: Any) -> None:
        """End a task that has not begun."""
        self._ray.cancel(ref)

    @property
    def lost_errors(self) -> tuple[type[BaseException], ...]:
        """Return the errors of a task whose process, node or memory was lost."""
        return (self._ray.exceptions.RayError,)

    def open_mailbox(self) -> None:
        """Start the actor that holds what running trials say; Ray starts it again if its node ends."""
        self.mailbox = self._ray.remote(num_cpus=0, max_restarts=-1)(Mailbox).remote()

    def _remote(self, function: Any) -> Any:
        """Make a function a task that is never repeated, in a process of its own."""
        return self._ray.remote(max_retries=0, max_calls=1)(function)


def _reach(address: str) -> None:
    """Raise OSError if nobody listens at an address: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), REACH_TIMEOUT_S).close()


def import_ray() -> Any:
    """Import Ray. Raises UsageError if it is not installed."""
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise UsageError(f"--ray needs Ray: {describe_install('ray[client]>=2.50')}") from None
    return ray


def first_words(error: BaseException) -> str:
    """Return the cause of an error of Ray on one line."""
    cause = getattr(error, "cause", None) or error
    line = next((line for line in str(cause).splitlines() if line.strip()), "")
    return f"{type(cause).__name__}: {line.strip()[:200]}"


def resources_of(device: str, threads: int) -> dict[str, float]:
    """Return what a trial takes of its node, in the terms of Ray."""
    return {"num_cpus": threads} if device == "cpu" else {"num_cpus": 1, "num_gpus": 1}


def choose_device(nodes: Sequence[RayNode], device: str) -> str:
    """Return the device of trials: cards where the cluster has some, unless the settings say otherwise."""
    has_cards = any(math.floor(node.resources.get("GPU", 0)) for node in nodes)
    return device if device != "auto" else "cuda" if has_cards else "cpu"
