"""`autoresearch nodes` says of each node what it is, in the shape of docs/json.md."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.programs import autoresearch
from support.shapes import as_documented

from autoresearch.fleet.cluster import RayNode, choose_device
from autoresearch.fleet.node_list import read_price


@pytest.mark.slow
def test_nodes_are_listed_with_grade_and_reason(cluster: Any, repository: Path, settings_of: dict[str, str]) -> None:
    done = autoresearch(repository, "nodes", "--ray", cluster.address, "--json", env=settings_of)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert as_documented("nodes", rows)
    assert rows and all(row["grade"] in ("STRONG", "WEAK") and row["slots"] == 1 for row in rows)
    assert all(row["left_out"] is None for row in rows)


def test_a_price_is_a_label_of_a_node() -> None:
    assert read_price("2.10") == 2.1
    assert read_price(None) is read_price("cheap") is None


def test_cards_are_used_where_there_are_some() -> None:
    cpu = RayNode("a", "host", {"CPU": 7.0}, {})
    card = RayNode("b", "host", {"CPU": 8.0, "GPU": 4.0}, {})
    assert choose_device([cpu], "auto") == "cpu" and choose_device([cpu, card], "auto") == "cuda"
    assert choose_device([cpu, card], "cpu") == "cpu"
    assert cpu.count_slots("cpu", threads=2) == 3 and card.count_slots("cuda", threads=1) == 4
    assert cpu.count_slots("cuda", threads=1) == 0
