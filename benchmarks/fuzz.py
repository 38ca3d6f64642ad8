"""Fuzz one parser of hostile bytes with mutations of its corpus; print the executions, keep what fails.

Run `nice -n 19 python benchmarks/fuzz.py PARSER --minutes 10`. Inputs are kept in memory while their outcome is new,
and in tests/fixtures/fuzz/PARSER if they are a fault.
"""

import argparse
import hashlib
import random
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.fuzz import CORPUS, PARSERS, TooSlow, corpus, run

MAX_BYTES = 60_000
MAX_SEED_BYTES = 4000  # larger ones take most of the time
MAX_KEPT = 500  # inputs in memory
TOKENS = [
    b"Infinity", b"NaN", b"1e400", b"9" * 4301, b"-1", b"1e308", b"null", b"true", b"[" * 200, b"{" * 99, b"]", b"}",
    b'"shape"', b'"dtype":"F32"', b'"data_offsets":[0,4]', b'"values"', b'"kind":"log"', b'"error"', b"10**64*",
    b"-" * 99, b".a" * 200, b"lambda:" * 40, b"not " * 99, b"\xed\xa0\x80", b"\x1e", b"\x00", b"\x0c", b"\r", b"\\\n",
    b"'''", b'"""', b"f'{", b"if 1:\n ", b"elif 1:pass\n", b"SEED = 1\n", b"X = 2**", b"1<<", b"x=1\n",
    b"<<<<<<< SEARCH\n", b"=======\n", b">>>>>>> REPLACE\n", b"```python\n", b"def train(trial):\n pass\n",
    b"<think>", b"</think>", b'{"hypothesis":',
]  # fmt: skip


def mutate(data: bytes, pool: Sequence[bytes], rng: random.Random) -> bytes:
    """Return a changed input: bytes and tokens replaced, inserted, repeated, removed, or spliced from another one."""
    for _ in range(1 << rng.randrange(4)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + 1 + int(rng.expovariate(1 / 8)))
        other = rng.choice(pool)
        piece = [
            bytes([rng.randrange(256)]),
            rng.choice(TOKENS),
            data[at:end] * rng.choice((2, 3, 50, 2000)),
            other[rng.randrange(len(other) + 1) :][: 1 + int(rng.expovariate(1 / 40))],
            b"",
            str(rng.choice((0, 1, 4, 255, 2**31, 2**63, 10**15, -1))).encode(),
        ][rng.randrange(6)]
        data = data[:at] + piece + data[end if rng.random() < 0.7 else at :]
    return data[:MAX_BYTES]


def framed(data: bytes) -> bytes:
    """Return a checkpoint whose length agrees with its header, which ends with the last brace."""
    length = data.rfind(b"}") - 7
    return max(length, 0).to_bytes(8, "little") + data[8:]


def fuzz(parser: str, minutes: float, seed: int) -> tuple[int, int]:
    """Return the numbers of executions and of faults in so many minutes of CPU."""
    rng, outcomes = random.Random(seed), set[str]()
    pool = [data for data in corpus(parser) if len(data) <= MAX_SEED_BYTES]
    executions = faults = 0
    while time.process_time() < 60 * minutes:
        data = mutate(rng.choice(pool), pool, rng)
        if parser == "header" and rng.random() < 0.8:
            data = framed(data)
        executions += 1
        try:
            outcome = run(parser, data)
        except (Exception, TooSlow):
            faults += 1
            outcome = traceback.format_exc(-1)
            if outcome not in outcomes:
                keep(parser, data, outcome)
        if outcome not in outcomes and len(pool) < MAX_KEPT:
            outcomes.add(outcome)
            pool.append(data)
    print(f"{parser}: {executions:,} executions, {len(outcomes)} outcomes, {faults} faults in {minutes:g} CPU minutes")
    return executions, faults


def keep(parser: str, data: bytes, outcome: str) -> None:
    path = CORPUS / parser / f"fault-{hashlib.sha256(data).hexdigest()[:8]}"
    path.write_bytes(data)
    print(f"{path.name}: {outcome}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parser", choices=PARSERS)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(1 if fuzz(arguments.parser, arguments.minutes, arguments.seed)[1] else 0)


if __name__ == "__main__":
    main()
