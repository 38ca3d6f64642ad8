"""Messages between the driver of a session and the nodes that run its trials."""

from dataclasses import dataclass

from autoresearch import __version__, hardware
from autoresearch.files import JsonObject
from autoresearch.fleet.node_command import CommandFiles
from autoresearch.fleet.node_data import DataFiles
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.sandbox.selftest import Inspection


@dataclass(frozen=True)
class NodeFacts:
    """A node, as a process on it found it; `identity` is that of its trials, without the data."""

    id: str
    name: str
    version: str
    identity: JsonObject
    inspection: Inspection

    @property
    def kind(self) -> str:
        """Return the name of the card, or of the processor."""
        return str(self.identity.get("gpu") or self.identity.get("cpu"))


@dataclass(frozen=True)
class TrialOrder:
    """One trial for any node: bytes and plain data.

    `identity` is that of the pool. A node whose id is not in `known` attacks its cell first. `caches` names the folder
    of the session's compile cache.
    """

    key: str
    source: str
    seed: int
    settings: Settings
    plan: TrialPlan
    files: DataFiles | CommandFiles
    identity: JsonObject
    known: frozenset[str]
    require_strong: bool
    caches: str

    def refuse(self, facts: NodeFacts) -> str | None:
        """Return why no trial of this order may run on a node; None if it may."""
        return refuse_node(facts, self.identity, self.require_strong)


@dataclass(frozen=True)
class TrialAnswer:
    """What came of an order on a node: a result, files that it lacks, or facts for which it was refused."""

    node: str
    facts: NodeFacts | None = None
    result: Result | None = None
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeQuestion:
    """What a node is asked before its first trial."""

    device: str
    threads: int


def refuse_node(facts: NodeFacts, identity: JsonObject, require_strong: bool) -> str | None:
    """Return why a node may not run trials of a pool; None if it may."""
    if facts.version != __version__:
        return f"it has autoresearch {facts.version}: install {__version__} there"
    changed = [name for name, value in identity.items() if facts.identity.get(name) != value]
    if changed:
        return f"it has another {', '.join(changed)}"
    if require_strong and facts.inspection.grade != "STRONG":
        return f"its cell is WEAK, and --require-strong is set: {'; '.join(facts.inspection.weaknesses)}"
    return None


def pool_identity(device: str, gpu: str | None) -> JsonObject:
    """Return what two nodes must have in common before their scores are compared, beside data and budget.

    Cards are compared by model, memory and the major version of their driver.
    """
    found = hardware.identity(device, gpu, "")
    del found["data"]
    if device == "cpu":
        return found
    memory = hardware.gpu_memory(gpu)
    gigabytes = round(memory[0] / 2**30) if memory else None
    return found | {"cpu": None, "driver": (found["driver"] or "").partition(".")[0], "gpu_gb": gigabytes}
