"""Measure which share of a brief a prompt cache can hold: the bytes that equal the brief before, from the start.

    PYTHONPATH=tests python benchmarks/brief_prefix.py RUNS.tar.gz [--each]

The briefs are those of the recorded session: as its traces have them, and as this program writes them from its ledger
(tests/fixtures/recorded-night). `--each` prints one line for each brief, too.
"""

import argparse
import json
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path

from support.recorded_night import brief_before

from autoresearch.brief.brief import MAX_BRIEF_TOKENS
from autoresearch.brief.tokens import count_tokens
from autoresearch.files import JsonObject


def recorded(archive: Path) -> tuple[dict[int, str], dict[int, list[JsonObject]]]:
    """Return the first brief and the calls of each proposal by its number; a merge has none."""
    briefs: dict[int, str] = {}
    calls: dict[int, list[JsonObject]] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if Path(member.name).name == "trace.jsonl" else None
            entries = [json.loads(line) for line in file] if file else []
            texts = [entry["text"] for entry in entries if entry["kind"] == "brief"]
            if texts:
                n = int(Path(member.name).parent.name)
                briefs[n], calls[n] = texts[0], [entry for entry in entries if entry["kind"] == "call"]
    return dict(sorted(briefs.items())), dict(sorted(calls.items()))


def rewritten(numbers: Sequence[int]) -> dict[int, str]:
    """Return the brief of each proposal as this program writes it, from the ledger as it was at that moment."""
    briefs = {}
    for n in numbers:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy("program.md", folder)
            briefs[n] = brief_before(Path(folder), n).render()
    return briefs


def shares(briefs: Sequence[str]) -> list[float]:
    """Return the share of each brief, the first one aside, that equals the brief before from the start."""
    texts = [brief.encode() for brief in briefs]
    return [count_equal(before, text) / len(text) for before, text in pairwise(texts)]


def count_equal(before: bytes, text: bytes) -> int:
    """Return how many bytes are equal from the start."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, text, strict=False)))


def summary(name: str, briefs: Sequence[str]) -> str:
    """Return a line of the table: the share over all bytes, and the largest brief."""
    sizes, found = [len(brief.encode()) for brief in briefs], shares(briefs)
    mean = sum(share * size for share, size in zip(found, sizes[1:], strict=True)) / sum(sizes[1:])
    median = sorted(found)[len(found) // 2]
    most = max(map(count_tokens, briefs))
    return f"| {name} | {len(briefs)} | {mean:.1%} | {median:.1%} | {max(sizes)} | {most} of {MAX_BRIEF_TOKENS} |"


def of_all_tokens(briefs: dict[int, str], calls: dict[int, list[JsonObject]]) -> float:
    """Return the share of all input tokens: what later calls of a conversation repeat is cached, too."""
    cached = total = 0.0
    for n, share in zip(list(briefs)[1:], shares(list(briefs.values())), strict=True):
        tokens = [call.get("input_tokens", 0) for call in calls[n]]
        total += sum(tokens)
        cached += share * tokens[0] + sum(tokens[:-1])
    return cached / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--each", action="store_true")
    options = parser.parse_args()
    before, calls = recorded(options.archive)
    now = rewritten(list(before))
    print("| brief | briefs | equal to the one before | median | largest, bytes | tokens, at most |")
    print("|---|---|---|---|---|---|")
    print(summary("as recorded", list(before.values())))
    print(summary("as written today", list(now.values())))
    for name, briefs in (("as recorded", before), ("as written today", now)):
        print(f"share of all input tokens, later calls of a conversation included, {name}: ", end="")
        print(f"{of_all_tokens(briefs, calls):.1%}")
    if options.each:
        old, new = (shares(list(briefs.values())) for briefs in (before, now))
        for n, *pair in zip(list(before)[1:], old, new, strict=True):
            print(f"{n:4} {pair[0]:6.1%} {pair[1]:6.1%}")


if __name__ == "__main__":
    main()
