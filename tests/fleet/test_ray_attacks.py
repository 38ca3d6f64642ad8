"""Programs in a cell of a node that try to reach Ray: its control store, its sockets, its files and its token."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.cells import run

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
        "tcp": [(host, int(port)), ("127.0.0.1", int(port)), (host, agent)],
        "sockets": [head.plasma_store_socket_name, head.raylet_socket_name],
        "files": [str(token), f"{head.get_logs_dir_path()}/gcs_server.out"],
    }


def test_a_cell_reaches_nothing_of_ray(targets: dict[str, Any]) -> None:
    status, log = run(ATTACK, json.dumps(targets), seconds=60)
    assert (status, log.strip()) == (0, "reached 0 []")


def test_the_attack_reaches_ray_where_no_layer_holds(targets: dict[str, Any]) -> None:
    status, log = run(ATTACK, json.dumps(targets), seconds=60, off=NO_LAYERS)
    assert status == 0 and "reached 0" not in log
    assert targets["sockets"][0] in log and cluster_port(targets) in log


def cluster_port(targets: dict[str, Any]) -> str:
    return str(targets["tcp"][0][1])
