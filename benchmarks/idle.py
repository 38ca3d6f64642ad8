"""Measure where a session's time goes while a language model proposes: trials, agent wait, fillers, idle.

    python benchmarks/idle.py [--latency 60] [--trial 18s] [--minutes 20] [--proposals 3] [--at-once]

The model is simulated behind a Messages API server on loopback and reached by the real agent: each conversation takes
`--latency` seconds and gives as many proposals as the brief wants, one after the other, or all in its last reply with
`--at-once`. One proposal in eight is a small gain, the others
have no effect. A trial is numpy and waits for its budget to pass, which leaves the cores to others. The honest total
is left out.

    --latency 6 --trial 1.4s --minutes 4 is about the same at a tenth of the time: a trial has some 0.5 s of overhead.
"""

import argparse
import itertools
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

from autoresearch import ledger
from autoresearch.agents import registry
from autoresearch.agents.lookup import LedgerLibrary
from autoresearch.agents.services import Services
from autoresearch.config import Config
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger, Session, experiment_rows, pace_of_work
from autoresearch.measure.clock import Budget, since_boot
from autoresearch.measure.settings import Settings
from autoresearch.session.context import SessionContext
from autoresearch.session.referees import make_referees
from autoresearch.session.run import LoopInputs, assemble
from autoresearch.session.stopping import Limits
from autoresearch.setup import prepare
from autoresearch.workspace.workspace import Workspace

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.messages_server import Block, MessagesServer, Reply, Request, text, tool
from support.repositories import make_repository, write_corpus

WAITING = '''"""Count bytes of some rows, and wait for the budget to pass."""

import time

import numpy as np

ROWS = 24


def train(trial):
    trial.start()
    while trial.progress < 0.97:
        time.sleep(0.02)
    rows = trial.rows[np.random.default_rng(trial.seed).permutation(len(trial.rows))[:ROWS]]
    counts = np.bincount(rows.ravel(), minlength=trial.vocab_size) + 0.1
    trial.save({"logits": np.log(counts).astype(np.float32)}, {})


def load(state, config, device):
    return lambda tokens: np.broadcast_to(state["logits"], (*tokens.shape, len(state["logits"])))
'''
PADS = 200  # constants without an effect
WAITING += "\n\n" + "".join(f"PAD_{k} = 1.0\n" for k in range(PADS))
GAIN_EVERY = 8  # proposals
EDITOR = "str_replace_based_edit_tool"


class SlowModel:
    """A server's plan: it proposes as many changes as are wanted within `seconds`, each in a reply or all in one."""

    def __init__(self, seconds: float, at_once: bool) -> None:
        self.seconds, self.at_once, self.proposed = seconds, at_once, itertools.count(1)
        self.closing = threading.Event()

    def __call__(self, request: Request) -> Reply:
        words = "".join(block.get("text", "") for block in request.body["messages"][0]["content"])
        found = re.search(r"Up to (\d) proposals are wanted", words)
        wanted = int(found[1]) if found else 1
        replies = 1 if self.at_once else wanted
        if request.turn == replies or not request.body.get("tools"):
            return Reply([text("That is all.")])
        self.closing.wait(self.seconds / replies)
        rows = int(re.findall(r"^ROWS = (\d+)", words, re.M)[-1])
        return Reply([block for _ in range(wanted // replies) for block in self._change(rows)])

    def _change(self, rows: int) -> list[Block]:
        n = next(self.proposed)
        old, new = f"PAD_{n % PADS} = 1.0\n", f"PAD_{n % PADS} = {n + 1}.0\n"
        if n % GAIN_EVERY == 0:
            old, new = f"ROWS = {rows}\n", f"ROWS = {round(1.5 * rows)}\n"
        said = {"category": "other", "predicted_delta": -0.001, "confidence": 0.3, "source": "own knowledge"}
        edit = tool(EDITOR, command="str_replace", path="train.py", old_str=old, new_str=new)
        return [edit, tool("propose", hypothesis=f"change {n}", **said)]


def corpus(folder: Path) -> Dataset:
    """Prepare a data set of made-up sentences."""
    folder.mkdir()
    write_corpus(folder)
    return Dataset.open(prepare.prepare(f"files:{folder}/*.txt", 256, 32, "cpu", cache=folder, progress=False))


def search(root: Path, data: Dataset, url: str, options: argparse.Namespace) -> None:
    """Run a session and print where its time went."""
    with Ledger.open(root / "runs" / "ledger.db") as store:
        workspace = Workspace(root)
        settings = Settings(Budget.parse(options.trial), eval_rows=128, eval_batch=64)
        row = store.create_session("t", "autoresearch/t", workspace.head(), "claude", "default", {}, {}, options.seed)
        store.update_session(row.id, state="running", pid=os.getpid(), slots=1)
        context = SessionContext(row.id, row.tag, store, workspace, root / "runs")
        services = Services(LedgerLibrary(store.path, row.id))
        inputs = LoopInputs(
            agent=registry.create("claude", Config(base_url=url, model="simulated"), services),
            base=WAITING,
            program=root / "program.md",
            referees=make_referees(context, [settings], data, WAITING, ()),
            identity={},
            limits=Limits(until=since_boot() + 60 * options.minutes),
            prepares_ahead=True,
            proposals=options.proposals,
        )
        reason = assemble(context, inputs).run()
        report(store, store.update_session(row.id, state="ended", stop_reason=reason))


def report(store: Ledger, session: Session) -> None:
    shown = ledger.status(store, session, time.time())
    pace = pace_of_work(store, session, 10_000, 10_000)
    trials, rows = store.trials(session.id), experiment_rows(store, session)
    screens = sum(trial.purpose == "screen" for trial in trials)
    own = sum(trial.purpose in ("screen", "rerun", "sentinel") for trial in trials)
    print(f"{session.stop_reason}; {shown.experiments} experiments, {shown.kept} kept, {len(trials)} trials")
    print(f"mean seconds: {pace}; trials for each candidate: {own / max(1, screens):.2f}")
    fillers = [trial for trial in trials if trial.purpose == "filler"]
    print(f"fillers: {len(fillers)}, to their end: {sum(trial.outcome == 'ok' for trial in fillers)}")
    conversations = {row.conversation or row.n for row in rows if row.n and row.origin is None}
    proposed = sum(1 for row in rows if row.n and row.origin is None)
    print(f"proposals: {proposed} in {len(conversations)} conversations; merged: {len(rows) - 1 - proposed}")
    print("| part | seconds | share |\n|---|---|---|")
    for name, seconds in sorted(shown.time_split.items(), key=lambda item: -item[1]):
        print(f"| {name} | {seconds:.1f} | {seconds / shown.seconds:.1%} |")
    print("wait and fillers after the first answer: {:.1%} of {:.0f} s".format(*after_first_answer(store, session)))


def after_first_answer(store: Ledger, session: Session) -> tuple[float, float]:
    """Return the share of waiting and fillers since the first candidate was ready, and the seconds since then."""
    first, *later = store.events(session.id, kind="waited")
    fillers = [trial for trial in store.trials(session.id) if trial.purpose == "filler" and trial.started > first.at]
    lost = sum(event.data["seconds"] for event in later) + sum((t.ended or t.started) - t.started for t in fillers)
    seconds = (session.ended or time.time()) - first.at
    return lost / seconds, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=60.0)
    parser.add_argument("--trial", default="18s")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--proposals", type=int, default=3)
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    print(vars(options), flush=True)
    model = SlowModel(options.latency, options.at_once)
    with tempfile.TemporaryDirectory() as folder, MessagesServer(model) as server:
        root = make_repository(Path(folder) / "repository", WAITING)
        try:
            search(root, corpus(Path(folder) / "corpus"), server.url, options)
        finally:
            model.closing.set()


if __name__ == "__main__":
    main()
