"""Measure the size of a brief, its cacheable share, and the time to write it, after 10 to 10,000 experiments.

    python benchmarks/brief.py

The experiments are invented, in a real ledger. `read` is the time to read one more experiment in a running session,
`render` the time for the whole text.
"""

import random
import tempfile
import time
from pathlib import Path

from autoresearch.brief.brief import Brief
from autoresearch.brief.history import PastExperiment
from autoresearch.brief.openings import find_openings
from autoresearch.brief.tokens import count_tokens
from autoresearch.files import JsonObject
from autoresearch.ledger import Ledger
from autoresearch.session import describe
from autoresearch.source.constants import constants, with_constants

CATEGORIES = ["architecture", "optimiser", "schedule", "numerics", "regularisation", "simplification"]
VERDICTS = ["discard"] * 15 + ["keep", "crash", "crash", "duplicate", "invalid"]


def fill(ledger: Ledger, session: int, versions: list[JsonObject], first: int, last: int, rng: random.Random) -> None:
    """Add experiments of all kinds."""
    for n in range(first, last):
        verdict = rng.choice(VERDICTS) if n else "keep"
        about = {
            "hypothesis": "It may suit the budget better. " * 4,
            "category": rng.choice(CATEGORIES),
            "agent": "claude",
        }
        score = {"delta": rng.gauss(0.002, 0.004), "sigma": 0.004, "predicted": -0.002, "near_miss": rng.random() < 0.1}
        known = {**rng.choice(versions), **about, **(score if verdict in ("keep", "discard") else {})}
        ledger.add_experiment(session, n, verdict=verdict, state="settled", mode="climb", **known)


def main() -> None:
    text, program, rng = Path("train.py").read_text(), Path("program.md").read_text(), random.Random(0)
    versions = [describe.text_columns(with_constants(text, {c.name: c.value * 2}), text) for c in constants(text)]
    print("| experiments | bytes | tokens, at most | stable part | read on | render |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.db") as ledger:
        ledger.connection.execute("PRAGMA synchronous = OFF")
        row = ledger.create_session("t", "b", "s", "claude", "default", {}, {}, 0)
        history: list[PastExperiment] = []
        for count in (10, 100, 119, 1019, 10_019):  # 19 past a multiple of 20, the changing part is at its longest
            fill(ledger, row.id, versions, len(history), count, rng)
            history += [PastExperiment.from_row(each) for each in ledger.experiments(row.id, after=len(history) - 1)]
            began = time.perf_counter()
            assert not ledger.experiments(row.id, after=count - 1)
            read = time.perf_counter() - began
            took = []
            for _ in range(5):
                began = time.perf_counter()
                incumbent = max(past.n for past in history if past.verdict == "keep")
                openings = find_openings(history, incumbent, [past.n for past in history if past.near_miss])
                brief = Brief(
                    count, 0, program, text, incumbent, 2.1, 0.004, history, openings=openings, agent="claude"
                )
                whole = brief.render()
                took.append(time.perf_counter() - began)
            render = min(took)
            stable = sum(map(count_tokens, brief.stable))
            share = stable / (stable + count_tokens(brief.changing()))
            print(
                f"| {count} | {len(whole.encode())} | {count_tokens(whole)} | {share:.0%}"
                f" | {1000 * read:.1f} ms | {1000 * render:.1f} ms |"
            )


if __name__ == "__main__":
    main()
