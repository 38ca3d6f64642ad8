"""Programs in a cell of a node that try to reach Ray: its control store, its sockets, its files and its token."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cells import run
from support.clusters import free_ports

from autoresearch.fleet.cluster import Cluster
from autoresearch.fleet.node import ray_files

pytestmark = pytest.mark.slow

ATTACK = """
import json, socket, sys
targets, reached = json.loads(sys.argv[1]), []
for address in targets["tcp"]:
    try:
        socket.create_connection(tuple(address), 3).close()
        reached.append(address)
    except OSError:
        pass
for path in targets["sockets"]:
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
        reached.append(path)
    except OSError:
        pass
for path in targets["files"]:
    try:
        open(path).close()
        reached.append(path)
    except OSError:
        pass
print("reached", len(reached), reached)
"""
NO_LAYERS = frozenset({"ns", "seccomp", "landlock", "uid"})


@pytest.fixture
def targets(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    head = next(node for node in cluster.list_all_nodes() if node.head)
    host, port = cluster.address.split(":")
    token = tmp_path / "auth_token"
    token.write_text("secret")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    assert token in ray_files()
    agent = head.dashboard_agent_listen_port
    return {
        "tcp": [(host, int(port)), ("127.0.0.1", int(port)), (host, agent), *object_stores(cluster)],
        "sockets": [head.plasma_store_socket_name, head.raylet_socket_name],
        "files": [str(token), f"{head.get_logs_dir_path()}/gcs_server.out"],
    }


def object_stores(cluster: Any) -> list[tuple[str, int]]:
    """Return where nodes serve their objects, and take tasks; Ray remembers those that other tests ended."""
    connection = Cluster.connect(cluster.address)
    ports, alive = ("ObjectManagerPort", "NodeManagerPort"), (node for node in connection._ray.nodes() if node["Alive"])
    found = [(node["NodeManagerAddress"], node[port]) for node in alive for port in ports]
    connection.close()
    return found


@pytest.fixture
def dashboard() -> Iterator[tuple[str, int]]:
    """Start a head with a dashboard; return where that listens."""
    for module in ("aiohttp", "aiohttp_cors", "opencensus"):
        pytest.importorskip(module, reason="this ray has no dashboard: ray[default] has one")
    from ray.cluster_utils import Cluster as LocalCluster

    (port,) = free_ports(1)
    options = {"include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": port}
    cluster = LocalCluster(True, head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000, **options})
    try:
        host, _, found = cluster.head_node.webui_url.rpartition(":")
        yield host, int(found)
    finally:
        cluster.shutdown()


def test_a_cell_reaches_no_dashboard(dashboard: tuple[str, int]) -> None:
    targets = {"tcp": [dashboard], "sockets": [], "files": []}
    assert run(ATTACK, json.dumps(targets), seconds=60) == (0, "reached 0 []\n")
    status, log = run(ATTACK, json.dumps(targets), seconds=60, off=NO_LAYERS)
    assert status == 0 and "reached 1" in log


def test_a_cell_reaches_nothing_of_ray(targets: dict[str, Any]) -> None:
    status, log = run(ATTACK, json.dumps(targets), seconds=60)
    assert (status, log.strip()) == (0, "reached 0 []")


def test_the_attack_reaches_ray_where_no_layer_holds(targets: dict[str, Any]) -> None:
    status, log = run(ATTACK, json.dumps(targets), seconds=60, off=NO_LAYERS)
    assert status == 0 and "reached 0" not in log
    assert targets["sockets"][0] in log and cluster_port(targets) in log
    assert all(str(port) in log for _, port in targets["tcp"][3:])


def cluster_port(targets: dict[str, Any]) -> str:
    return str(targets["tcp"][0][1])
