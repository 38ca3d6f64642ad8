"""A plugin: a repository with two sessions that were never run, and a server of its pages."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.web_client import HOSTILE, add, beside, served, session, total

from autoresearch.ledger import Ledger


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Session `calm` is over; `wild` runs, and all its texts are hostile."""
    root = tmp_path_factory.mktemp("served")
    (root / "program.md").write_text(f"Lower it. {HOSTILE}\n")
    with Ledger.open(root / "runs" / "ledger.db") as store:
        calm = session(store, "calm")
        add(store, calm, 1, "keep", 1.9, hypothesis="deeper", category="architecture", reason="confirmed", cost_usd=0.5)
        add(store, calm, 2, "discard", 2.1, hypothesis="wider", category="architecture", near_miss=True, p_gain=0.4)
        add(store, calm, 3, "crash", hypothesis="a\nbroken one", category="numerics", reason="oom", cost_usd=0.1)
        total(store, calm, 1, -0.05)
        wild = session(store, "wild", runs=True, budget="15cpu")
        text = {
            "hypothesis": HOSTILE,
            "reason": HOSTILE,
            "category": HOSTILE,
            "agent": HOSTILE,
            "model": HOSTILE,
            "mode": HOSTILE,
        }
        for n, verdict in enumerate(("keep", "suspect", "discard", "crash"), 1):
            score = 1.9 - n / 100 if verdict in ("keep", "discard") else None
            near = {"near_miss": verdict == "discard", "p_gain": 0.4}
            add(store, wild, n, verdict, score, program_hash=HOSTILE, **near, **text)
        store.post(wild.id, "note", HOSTILE)
        part = {"n": 1, "change": HOSTILE, "loss": None, "error": None, "p_carries": None, "conflict": HOSTILE}
        store.event(wild.id, "ablation", "x", data={"final": 1, "draws": 3, "parts": [part]})
        store.event(wild.id, "review", HOSTILE, n=1, data={"accepted": False, "note": HOSTILE, "by": HOSTILE})
        store.event(calm.id, "review", "x", n=1, data={"accepted": True, "note": "reads well", "by": "Ann"})
        beside(store, calm, 1)
        session(store, HOSTILE.replace("\x1b", ""))
    for n in (1, 2):
        folder = root / "runs" / "wild" / f"{n}"
        folder.mkdir(parents=True)
        (folder / "patch.diff").write_text(f"+{HOSTILE}\n" * 50)
        (folder / "trial-0.log").write_text(f"{HOSTILE}\n" * 5000)
    return root


@pytest.fixture(scope="module")
def pages(root: Path) -> Iterator[httpx.Client]:
    """Serve the pages to all tests, which only read them."""
    with served(root) as client:
        yield client


@pytest.fixture
def alone(root: Path, tmp_path: Path) -> Path:
    """Copy the repository for a test that changes it."""
    return Path(shutil.copytree(root, tmp_path / "served"))
