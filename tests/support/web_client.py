"""Sessions that were never run, and a server of their pages."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx

from autoresearch.hardware import EVALUATOR
from autoresearch.ledger import Ledger, Session
from autoresearch.web import server

TOKEN = "t" * 43
AUTHORIZATION = {"authorization": f"Bearer {TOKEN}"}
HOSTILE = (
    '<script>alert(1)</script><img src=x onerror=alert(1)> </main></style> javascript:alert(1) " onload="alert(1)'
    " \x1b[31mred \u202eback https://evil.example/ & ' {{7*7}} ${7*7}"
)


def session(store: Ledger, tag: str, runs: bool = False, **settings: object) -> Session:
    """Add a session with a base; if it `runs`, this process works on it."""
    identity = {"gpu": "X", "evaluator": EVALUATOR}
    found = store.create_session(
        tag, f"autoresearch/{tag}", "b" * 40, "sweep", "default", {"budget": "5m", **settings}, identity, 7
    )
    add(store, found, 0, "keep", 2.0, hypothesis="the base")
    if runs:
        return store.update_session(found.id, state="running", pid=os.getpid())
    return store.update_session(found.id, state="ended", stop_reason="deadline")


def add(store: Ledger, found: Session, n: int, verdict: str, score: float | None = None, **columns: object) -> None:
    """Add an experiment with one trial, its curve included."""
    values = {
        "state": "settled",
        "settled": float(n),
        "sha": f"{n:040x}",
        "sigma": 0.01,
        "agent": "sweep",
        "parent": 0 if n else None,
    }
    if n and score is not None:
        values["delta"] = score - 2.0
    experiment = store.add_experiment(found.id, n, verdict=verdict, val_bpb=score, **values | columns)
    purpose = "base" if n == 0 else "rerun" if verdict == "keep" else "screen"
    trial = store.start_trial(found.id, experiment.id, purpose, 1000 + n, "blob")
    curve = [{"step": float(k), "loss": 3.0 + 3.0 / (k + 1), "seconds": k / 2} for k in range(20)]
    store.end_trial(
        trial.id, "ok" if score else "crash", score, {"grade": "STRONG", "train_seconds": 60.0, "curve": curve}
    )


def beside(store: Ledger, found: Session, n: int) -> None:
    """Add a trial of the base, run beside an experiment for comparison."""
    base = store.experiment(found.id, 0)
    assert base is not None
    trial = store.start_trial(found.id, base.id, "sentinel", found.seed_of(n, 1), "blob")
    store.end_trial(trial.id, "ok", 2.03, {"grade": "STRONG"})


def total(store: Ledger, found: Session, final: int, mean: float) -> None:
    interval = {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}
    data = {
        "base": 0,
        "final": final,
        "pairs": 3,
        "val": interval,
        "holdout": interval,
        "running_minimum": mean,
        "optimism": 0.0,
    }
    store.event(found.id, "total", "x", data=data)


@contextmanager
def served(root: Path) -> Iterator[httpx.Client]:
    """Run the real server on a free port of loopback."""
    with server.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        running = server.server(root, port, TOKEN)
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False, headers=AUTHORIZATION
            ) as client:
                yield client
        finally:
            running.should_exit = True
            thread.join()


def raw(port: int, request: bytes) -> bytes:
    """Return the answer of a server to bytes that no library would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


class Tags(HTMLParser):
    """Collect the tags of a page with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def links(self) -> list[str]:
        return [str(attributes["href"]) for tag, attributes in self.found if tag == "a"]
