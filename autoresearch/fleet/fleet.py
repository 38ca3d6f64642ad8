"""The nodes that run the trials of a session: pools of nodes whose scores may be compared, one or two."""

import json
import shlex
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autoresearch.config import Config
from autoresearch.data.workers import say
from autoresearch.errors import Blocker, UsageError
from autoresearch.files import JsonObject
from autoresearch.fleet.cluster import Cluster, RayNode, choose_device
from autoresearch.fleet.orders import NodeFacts, NodeQuestion, TrialOrder, refuse_node
from autoresearch.measure.settings import CONFIRM, SCREEN
from autoresearch.sandbox.selftest import Inspection
from autoresearch.setup.slots import Slot

Pool = tuple[dict[str, NodeFacts], dict[str, str]]  # nodes, and those left out, with reasons


@dataclass
class Fleet:
    """The nodes of one pool. `left_out` are other nodes, by id, and why no trial of it may run there.

    `identity` and `kind` are those of the nodes that were inspected first, even if none of them is left. `screen` is
    the pool that screens candidates for this one, if there is one.
    """

    cluster: Cluster
    device: str
    threads: int
    require_strong: bool
    nodes: dict[str, RayNode]
    facts: dict[str, NodeFacts]
    left_out: dict[str, str]
    screen: "Fleet | None" = None
    identity: JsonObject = field(init=False)
    kind: str = field(init=False)
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
        by_id = {node.id: node for node in able}
        chosen = choose_pools(answers, config.require_strong, config.nodes, config.pools)
        check_pools(chosen, {id: node.host for id, node in by_id.items()}, config.pools)
        cluster.open_mailbox()
        common = cluster, device, config.threads, config.require_strong, by_id
        screen = cls(*common, *chosen[SCREEN]) if SCREEN in chosen else None
        return cls(*common, *chosen[CONFIRM], screen)

    def __post_init__(self) -> None:
        first = next(iter(self.facts.values()))
        self.identity, self.kind = first.identity, first.kind

    @property
    def pools(self) -> "dict[str, Fleet]":
        """Return the pools of a session that has two; this one confirms."""
        return {CONFIRM: self, SCREEN: self.screen} if self.screen else {}

    @property
    def recorded(self) -> JsonObject:
        """Return what a session that goes on needs: the address of the cluster, and the card of each pool."""
        return {"ray": self.cluster.address, "pools": {name: pool.kind for name, pool in self.pools.items()}}

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Return a slot for each trial that may run at once, those of the screening pool last.

        The cores here are free if no node is.
        """
        pools = [pool for pool in (self, self.screen) if pool is not None]
        is_here = any(self.nodes[id].host == socket.gethostname() for pool in pools for id in pool.facts)
        count, cores = sum(pool.count_slots() for pool in pools), None if is_here else ()
        return tuple(Slot(f"ray-{number}", self.device, cores=cores, remote=True) for number in range(count))

    def count_slots(self) -> int:
        """Return how many trials may run in this pool at once."""
        return sum(self.nodes[id].count_slots(self.device, self.threads) for id in self.facts)

    @property
    def cell(self) -> Inspection:
        """Return the inspection of the weakest node."""
        pools = [self, self.screen] if self.screen else [self]
        found = [facts.inspection for pool in pools for facts in pool.facts.values()]
        return max(found, key=lambda each: len(each.weaknesses))

    def describe(self) -> str:
        """Return what runs the trials, on one line."""
        parts = [f"{len(self.facts)} nodes on Ray at {self.cluster.address}, {self.kind}, {self.count_slots()} slots"]
        if (screen := self.screen) is not None:
            parts[0] += " to confirm"
            parts += [f"{len(screen.facts)} nodes, {screen.kind}, {screen.count_slots()} slots to screen"]
        used = screen.facts.keys() if screen else ()
        whys = Counter(why for id, why in self.left_out.items() if id not in used)
        return "; ".join([*parts, *(f"{count} left out: {why}" for why, count in whys.items())])

    def exclude(self, avoid: Iterable[str]) -> frozenset[str]:
        """Return the nodes on which a trial may not run now: those to avoid only while there is another one."""
        most = frozenset(self.left_out.keys() | set(avoid))
        return most if self._can_run(most) else frozenset(self.left_out)

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


def choose_pools(
    answers: Mapping[str, NodeFacts | str], require_strong: bool, kind: str | None, pools: Mapping[str, str]
) -> dict[str, Pool]:
    """Return nodes and those left out, with reasons, for the pool that confirms, and for the one that screens.

    `pools` has the name of the card of each. Raises UsageError if both are of one kind.
    """
    if not pools:
        return {CONFIRM: choose_pool(answers, require_strong, kind)}
    chosen = {name: choose_pool(answers, require_strong, pools[name]) for name in (CONFIRM, SCREEN)}
    if both := chosen[CONFIRM][0].keys() & chosen[SCREEN][0].keys():
        same = chosen[CONFIRM][0][next(iter(both))].kind
        raise UsageError(f"both pools would be {same}: name two kinds of cards, or leave out --pool")
    return chosen


def choose_pool(answers: Mapping[str, NodeFacts | str], require_strong: bool, kind: str | None = None) -> Pool:
    """Return the largest group of nodes whose scores may be compared, and why the others are left out.

    `kind` is part of the name of the card, or of the processor, that they should have.
    """
    facts = {id: answer for id, answer in answers.items() if isinstance(answer, NodeFacts)}
    left_out = {id: answer for id, answer in answers.items() if isinstance(answer, str)}
    left_out |= {id: f"it is no {kind}" for id, each in facts.items() if kind and kind not in each.kind}
    facts = {id: each for id, each in facts.items() if id not in left_out}
    kinds = Counter(_key(each) for each in facts.values() if refuse_node(each, each.identity, require_strong) is None)
    chosen = json.loads(kinds.most_common(1)[0][0]) if kinds else {}
    whys = {id: refuse_node(each, chosen, require_strong) for id, each in facts.items()}
    left_out |= {id: why for id, why in whys.items() if why is not None}
    return {id: each for id, each in facts.items() if id not in left_out}, left_out


def check_pools(chosen: Mapping[str, Pool], hosts: Mapping[str, str], pools: Mapping[str, str]) -> None:
    """Raise Blocker if a pool has no node; a session may go on without the one that screens."""
    for name, (facts, left_out) in chosen.items():
        if not facts:
            whys = "; ".join(f"{hosts[id]}: {why}" for id, why in left_out.items())
            whys += f": no node for the pool {name}" if pools else ""
            if name == SCREEN:
                whys += f"; `--nodes {shlex.quote(pools[CONFIRM])}`, without pools, goes on on the other one"
            raise Blocker(whys)


def _key(facts: NodeFacts) -> str:
    return json.dumps(facts.identity, sort_keys=True)


def _needs(device: str, threads: int) -> str:
    return "a GPU and a CPU" if device == "cuda" else f"{threads} CPU{'s' if threads > 1 else ''}"
