"""The nodes of a cluster by pool: what each is, whether it runs trials, and what it has run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from autoresearch.config import Config
from autoresearch.files import JsonObject
from autoresearch.fleet.cluster import Cluster, RayNode, choose_device
from autoresearch.fleet.fleet import choose_pools
from autoresearch.fleet.orders import NodeFacts, NodeQuestion
from autoresearch.ledger.node_trials import NodeTrials
from autoresearch.measure.settings import CONFIRM

PRICE = "usd_per_hour"  # label of a node, as in `ray start --labels usd_per_hour=2.10`


@dataclass(frozen=True)
class ListedNode:
    """A node of a cluster. The fields are the keys of `nodes --json` (docs/json.md)."""

    node: str
    host: str
    slots: int
    kind: str | None
    pool: str | None
    grade: str | None
    left_out: str | None
    trials: int
    lost: int
    sigma: float | None
    trials_per_hour: float | None
    usd_per_hour: float | None

    def as_json(self) -> JsonObject:
        return asdict(self)


def list_nodes(config: Config, earlier: Mapping[str, NodeTrials]) -> list[ListedNode]:
    """Inspect all nodes of a cluster; `earlier` are trials by name of a node. Raises Blocker, UsageError."""
    cluster = Cluster.connect(config.ray or "auto")
    nodes = cluster.nodes()
    device = choose_device(nodes, config.device)
    slots = {node.id: node.count_slots(device, config.threads) for node in nodes}
    able = [node for node in nodes if slots[node.id]]
    answers = cluster.inspect(able, NodeQuestion(device, config.threads)) if able else {}
    chosen = choose_pools(answers, config.require_strong, config.nodes, config.pools)
    pools = {id: name for name, (facts, _) in chosen.items() for id in facts} if config.pools else {}
    left_out = {id: why for id, why in chosen[CONFIRM][1].items() if id not in pools}
    left_out |= {node.id: "it has no CPU or card for a trial" for node in nodes if not slots[node.id]}
    cluster.close()
    rows = [
        replace(
            _list_node(node, slots[node.id], answers.get(node.id), left_out.get(node.id), earlier),
            pool=pools.get(node.id),
        )
        for node in nodes
    ]
    return sorted(rows, key=lambda row: (row.left_out or "", row.kind or "", row.node))


def _list_node(
    node: RayNode, slots: int, answer: NodeFacts | str | None, left_out: str | None, earlier: Mapping[str, NodeTrials]
) -> ListedNode:
    facts = answer if isinstance(answer, NodeFacts) else None
    name = facts.name if facts else f"{node.host}-{node.id[:4]}"
    past = earlier.get(name)
    return ListedNode(
        node=name,
        host=node.host,
        slots=slots,
        kind=facts.kind if facts else None,
        pool=None,
        grade=facts.inspection.grade if facts else None,
        left_out=left_out,
        trials=past.trials if past else 0,
        lost=past.lost if past else 0,
        sigma=past.sigma if past else None,
        trials_per_hour=slots * 3600 / past.seconds if past and past.seconds else None,
        usd_per_hour=read_price(node.labels.get(PRICE)),
    )


def read_price(label: str | None) -> float | None:
    """Return the dollars an hour of a label; None if it is no number."""
    try:
        return float(label) if label is not None else None
    except ValueError:
        return None
