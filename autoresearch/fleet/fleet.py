"""The nodes that run the trials of a session: those of one pool, whose scores may be compared."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autoresearch import __version__
from autoresearch.config import Config
from autoresearch.data.workers import say
from autoresearch.errors import Blocker
from autoresearch.files import JsonObject
from autoresearch.fleet.cluster import Cluster, RayNode, choose_device
from autoresearch.fleet.orders import NodeFacts, NodeQuestion, TrialOrder, refuse_node
from autoresearch.sandbox.selftest import Inspection
from autoresearch.setup.slots import Slot


@dataclass
class Fleet:
    """The nodes of one pool. `left_out` are other nodes, by id, and why no trial may run there."""

    cluster: Cluster
    device: str
    threads: int
    require_strong: bool
    nodes: dict[str, RayNode]
    facts: dict[str, NodeFacts]
    left_out: dict[str, str]
    _refs: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, config: Config) -> "Fleet":
        """Connect to a cluster, and inspect its nodes. Raises Blocker if none can run a trial, UsageError."""
        say(f"connects to Ray at {config.ray}, and asks each node what it is", True)
        cluster = Cluster.connect(config.ray or "auto")
        nodes = cluster.nodes()
        device = choose_device(nodes, config.device)
        able = [node for node in nodes if node.count_slots(device, config.threads)]
        if not able:
            has = "; ".join(node.describe() for node in nodes) or "no node"
            raise Blocker(f"no node can run a trial, which needs {_needs(device, config.threads)}; there is {has}")
        answers = cluster.inspect(able, NodeQuestion(device, config.threads))
        facts, left_out = choose_pool(answers, config.require_strong, config.nodes)
        if not facts:
            names = {node.id: node.host for node in able}
            raise Blocker("; ".join(f"{names[id]}: {why}" for id, why in left_out.items()))
        cluster.open_mailbox()
        by_id = {node.id: node for node in able}
        return cls(cluster, device, config.threads, config.require_strong, by_id, facts, left_out)

    @property
    def identity(self) -> JsonObject:
        return next(iter(self.facts.values())).identity

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Return a slot for each trial that may run at once; the cores here are free if no node is."""
        cores = None if any(self.nodes[id].host == socket.gethostname() for id in self.facts) else ()
        count = sum(self.nodes[id].count_slots(self.device, self.threads) for id in self.facts)
        return tuple(Slot(f"ray-{number}", self.device, cores=cores, remote=True) for number in range(count))

    @property
    def cell(self) -> Inspection:
        """Return the inspection of the pool's weakest node."""
        found = [facts.inspection for facts in self.facts.values()]
        return max(found, key=lambda each: len(each.weaknesses))

    def describe(self) -> str:
        """Return what runs the trials, on one line."""
        kind = next(iter(self.facts.values())).kind
        parts = [f"{len(self.facts)} nodes on Ray at {self.cluster.address}, {kind}, {len(self.slots)} slots"]
        whys = Counter(self.left_out.values())
        return "; ".join([*parts, *(f"{count} left out: {why}" for why, count in whys.items())])

    def submit(self, order: TrialOrder, avoid: Iterable[str]) -> Any:
        """Start a trial on a node of the pool, on none of those to avoid unless there is no other."""
        most = self.left_out.keys() | set(avoid)
        return self.cluster.submit(order, most if self._can_run(most) else self.left_out)

    def count_others(self, node: str) -> int:
        """Return how many nodes but this one could run a trial now."""
        return len(self._able(self.left_out.keys() | {node}))

    def learn(self, facts: NodeFacts, order: TrialOrder) -> str | None:
        """Take on a node that was inspected at its first trial; return why it is left out, if it is."""
        why = order.refuse(facts)
        with self._lock:
            if why is None:
                self.facts[facts.id] = facts
            else:
                self.left_out[facts.id] = why
        return why

    def leave_out(self, node: str, why: str) -> bool:
        """Run no more trials on a node; return whether another one is left."""
        with self._lock:
            self.left_out[node] = why
            self.facts.pop(node, None)
        return self._can_run(self.left_out.keys())

    def refs(self, names: Iterable[str], read: Callable[[str], bytes]) -> Mapping[str, Any]:
        """Return references to all files that nodes have asked for, each stored once."""
        with self._lock:
            for name in names:
                if name not in self._refs:
                    self._refs[name] = self.cluster.put(read(name))
            return dict(self._refs)

    def _can_run(self, excluded: Iterable[str]) -> bool:
        return bool(self._able(excluded))

    def _able(self, excluded: Iterable[str]) -> list[RayNode]:
        without = set(excluded)
        nodes = (node for node in self.cluster.nodes() if node.id not in without)
        return [node for node in nodes if node.count_slots(self.device, self.threads)]


def choose_pool(
    answers: Mapping[str, NodeFacts | str], require_strong: bool, kind: str | None = None
) -> tuple[dict[str, NodeFacts], dict[str, str]]:
    """Return the largest group of nodes whose scores may be compared, and why the others are left out.

    `kind` is part of the name of the card, or of the processor, that they should have.
    """
    facts = {id: answer for id, answer in answers.items() if isinstance(answer, NodeFacts)}
    left_out = {id: answer for id, answer in answers.items() if isinstance(answer, str)}
    left_out |= {id: _other_version(each) for id, each in facts.items() if each.version != __version__}
    facts = {id: each for id, each in facts.items() if id not in left_out}
    left_out |= {id: f"it is no {kind}" for id, each in facts.items() if kind and kind not in each.kind}
    facts = {id: each for id, each in facts.items() if id not in left_out}
    kinds = Counter(_key(each) for each in facts.values() if refuse_node(each, each.identity, require_strong) is None)
    chosen = json.loads(kinds.most_common(1)[0][0]) if kinds else {}
    whys = {id: refuse_node(each, chosen, require_strong) for id, each in facts.items()}
    left_out |= {id: why for id, why in whys.items() if why is not None}
    return {id: each for id, each in facts.items() if id not in left_out}, left_out


def _key(facts: NodeFacts) -> str:
    return json.dumps(facts.identity, sort_keys=True)


def _other_version(facts: NodeFacts) -> str:
    return f"it has autoresearch {facts.version}: install {__version__} there"


def _needs(device: str, threads: int) -> str:
    return "a GPU and a CPU" if device == "cuda" else f"{threads} CPU{'s' if threads > 1 else ''}"
