"""Time and memory of the looking commands and of the served pages after 10,000 experiments.

    python benchmarks/morning.py [EXPERIMENTS]

The experiments are made up, in the shape of real ones: a text of train.py each, one to nine trials with a curve of a
hundred points, briefs and patches in files. Each command is the real program, started five times in a process of its
own; each page is fetched five times from one `autoresearch serve`.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.measure.result import Result
from autoresearch.session import describe
from autoresearch.source import constants, diff

COMMANDS = ["log", "log --all", "log --json --all", "log --by category", "show 7", "status", "report", "--help"]
PAGES = [
    "/", "/s/t", "/s/t/progress.json", "/s/t/experiments", "/s/t/experiments?verdict=near+miss&sort=val_bpb",
    "/s/t/7", "/s/t/7/curves.json", "/s/t/state.json", "/compare/t/t",
]  # fmt: skip
CATEGORIES = ["architecture", "optimiser", "schedule", "numerics", "regularisation", "simplification"]
VERDICTS = ["discard"] * 76 + ["keep"] * 4 + ["crash"] * 12 + ["duplicate"] * 5 + ["invalid"] * 3
SIGMA, POINTS, TIMES = 0.004, 100, 5


def curve(rng: random.Random) -> list[dict[str, float]]:
    """Return the losses of five minutes of training."""
    steps = range(10, 10 * POINTS + 1, 10)
    return [{"step": k, "loss": 3.2 + 4 / k**0.5 + rng.gauss(0, 0.02), "seconds": 0.3 * k} for k in steps]


def add_trials(
    ledger: Ledger, session: Session, id: int, purposes: list[str], score: float, rng: random.Random
) -> None:
    """Add good trials whose scores scatter a little."""
    for purpose in purposes:
        trial = ledger.start_trial(session.id, id, purpose, rng.getrandbits(31), "b" * 40)
        result = Result(
            "ok", rng.gauss(score, SIGMA), setup_seconds=20.0, train_seconds=300.0, score_seconds=9.0, grade="STRONG"
        )
        result.peak_vram_mb, result.curve = rng.gauss(45_000, 500), curve(rng)
        result.layers = {"ns": ["pid", "mnt", "net", "ipc"], "landlock": 7, "seccomp": True, "caps": 0, "uid": None}
        result.reported = {"num_params": 5e7, "tokens_per_step": 2.0**19, "step": 1000.0, "loss": 3.3}
        ledger.end_trial(trial.id, "ok", result.val_bpb, result.as_json() | {"identity": session.identity})


def fill(ledger: Ledger, session: Session, runs: Path, count: int) -> None:
    """Add the experiments of many sessions, one after the other."""
    rng, base = random.Random(0), Path("train.py").read_text()
    texts = [constants.with_constants(base, {each.name: each.value * 2}) for each in constants.constants(base)]
    versions = [(text, describe.text_columns(text, base), diff.unified_diff(base, text)) for text in texts]
    incumbent = None
    for n in range(count + 1):
        _, about, patch = rng.choice(versions)
        verdict = rng.choice(VERDICTS) if n else "keep"
        scored = verdict in ("keep", "discard")
        delta = rng.gauss(-2 * SIGMA if verdict == "keep" else SIGMA, SIGMA)
        known = {"val_bpb": 1.0 + delta, "delta": delta, "sigma": SIGMA, "p_gain": rng.random(), "predicted": -SIGMA}
        row = ledger.add_experiment(
            session.id,
            n,
            parent=max(0, n - 1),
            agent="claude",
            model="claude-opus-5-5",
            category=rng.choice(CATEGORIES),
            hypothesis="A shorter warmdown leaves more steps at the full rate. " * 3,
            verdict=verdict,
            reason="as measured",
            state="settled",
            settled=time.time(),
            sha=f"{n:040x}",
            cost_usd=0.11,
            program_hash="p",
            **(about | (known if scored else {})),
        )
        reruns = rng.choice([0, 0, 0, 2, 4]) if verdict == "discard" else 4
        add_trials(ledger, session, row.id, ["screen", *["rerun"] * reruns] if scored else [], 1.0 + delta, rng)
        add_trials(ledger, session, row.id, ["base"] * 3 if n == 0 else [], 1.0, rng)
        if incumbent is not None and reruns:
            add_trials(ledger, session, incumbent, ["sentinel"], 1.0, rng)
        if verdict == "keep":
            incumbent = row.id
            ledger.event(
                session.id, "review", "accepted", n=n, data={"accepted": True, "note": "reads well", "by": "me"}
            )
        trace = [{"kind": "brief", "text": base}, {"kind": "rationale", "text": "because"}]
        Artefacts(runs / session.tag / str(n)).write_proposal(patch, trace)
        ledger.add_call(session.id, n=n, model="claude-opus-5-5", cost_usd=0.11, seconds=40.0)
        for kind in ("proposed", "trial", "measured", "verdict"):
            ledger.event(session.id, kind, "a line of the log", n=n, data={"seconds": 40.0})


def run_command(folder: Path, command: str) -> tuple[float, float, float]:
    """Run the program once; return seconds, CPU seconds and peak memory (MB)."""
    program = [sys.executable, "-P", "-m", "autoresearch", *command.split()]
    began = time.perf_counter()
    process = subprocess.Popen(program, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def fetch_pages(folder: Path) -> None:
    """Fetch each page several times from one server, and print the times."""
    program = [sys.executable, "-P", "-m", "autoresearch", "serve", "--port", "0"]
    with subprocess.Popen(program, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address, _, token = server.stderr.readline().split()[0].partition("/?token=")
        headers, process = {"Authorization": f"Bearer {token}"}, psutil.Process(server.pid)
        print("\n| page | seconds | of them CPU | slowest | kB | MB |\n|---|---|---|---|---|---|")
        for page in PAGES:
            seconds, cpu, size = [], [], 0
            for _ in range(TIMES):
                began, used = time.perf_counter(), sum(process.cpu_times()[:2])
                with urllib.request.urlopen(urllib.request.Request(f"{address}{page}", headers=headers)) as answer:
                    size = len(answer.read())
                seconds.append(time.perf_counter() - began)
                cpu.append(sum(process.cpu_times()[:2]) - used)
            middle, most = statistics.median, process.memory_info().rss / 2**20
            times = f"{middle(seconds):.2f} | {middle(cpu):.2f} | {max(seconds):.2f}"
            print(f"| `{page}` | {times} | {size / 1000:.0f} | {most:.0f} |", flush=True)
        server.terminate()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for command in (
            ["init", "-q"],
            ["-c", "user.name=b", "-c", "user.email=b@b", "commit", "-q", "--allow-empty", "-m", "base"],
        ):
            subprocess.run(["git", *command], cwd=folder, check=True)
        path = folder / "runs" / "ledger.db"
        with Ledger.open(path) as ledger:
            ledger.connection.execute("PRAGMA synchronous = OFF")
            row = ledger.create_session(
                "t", "autoresearch/t", "b" * 40, "claude", "default", {"budget": "300s"}, {"gpu": "H100"}, 0
            )
            ledger.update_session(row.id, pid=os.getpid(), grade="STRONG")
            fill(ledger, row, folder / "runs", count)
            ledger.update_session(row.id, state="ended", stop_reason="deadline")
        print(f"{count} experiments, a ledger of {path.stat().st_size / 2**20:.0f} MB\n")
        print("| command | seconds | of them CPU | slowest | MB |\n|---|---|---|---|---|")
        for command in COMMANDS:
            seconds, cpu, memory = zip(*(run_command(folder, command) for _ in range(TIMES)), strict=True)
            middle = statistics.median
            print(
                f"| `{command}` | {middle(seconds):.2f} | {middle(cpu):.2f} | {max(seconds):.2f} | {max(memory):.0f} |",
                flush=True,
            )
        fetch_pages(folder)


if __name__ == "__main__":
    main()
