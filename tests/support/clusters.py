"""Ray clusters on this machine, for tests: a head and a spot node, with one CPU each."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
WORKER = "ray::run_trial"  # title of a process that runs a trial
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_raylet_start_wait_time_s"] = "300"  # noqa: SIM112 - a busy machine is no fault


@contextmanager
def cluster_of(*caches: Path) -> Iterator[Any]:
    """Start a cluster with a node for each cache folder, of which the first is the head."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for number, cache in enumerate(caches):
            add_node(cluster, cache, "spot" if number else "head")
        yield cluster
    finally:
        cluster.shutdown()


def add_node(cluster: Any, cache: Path, kind: str, **variables: str) -> Any:
    """Add a node with one CPU, a cache folder, a label and further environment variables."""
    id, ports = uuid.uuid4().hex * 2, dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    id = id[:56]
    environment = {"AUTORESEARCH_CACHE": str(cache), "RAY_OVERRIDE_NODE_ID_FOR_TESTING": id, **variables}
    with port_files(id, ports):
        return cluster.add_node(
            num_cpus=1,
            object_store_memory=80_000_000,
            labels={"kind": kind},
            include_log_monitor=False,
            env_vars=environment,
            **({"include_dashboard": False} if kind == "head" else {}),
            **ports,
        )


@contextmanager
def port_files(id: str, ports: dict[str, int]) -> Iterator[None]:
    """Write the files for which a raylet waits: it gives its agent 15 s to start, which a busy machine may not do."""
    started, is_over = time.time(), threading.Event()

    def write() -> None:
        while not is_over.wait(0.1):
            for folder in Path("/tmp/ray").glob("session_2*"):
                if folder.stat().st_mtime > started - 3600:
                    for name, port in ports.items():
                        (folder / f"{name}_{id}").write_text(str(port))

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        for path in Path("/tmp/ray").glob(f"session_2*/*_{id}"):
            path.unlink()


def trials_in(cluster: Any) -> list[psutil.Process]:
    """Return the processes of Ray that run trials now, with the cells below them."""
    raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
    found = list[psutil.Process]()
    for raylet in raylets:
        with suppress(psutil.NoSuchProcess):
            for worker in psutil.Process(raylet).children():
                if WORKER in " ".join(worker.cmdline()):
                    found += [worker, *worker.children(recursive=True)]
    return found


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
