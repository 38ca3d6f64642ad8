"""Whole sessions with numpy trials: verdicts, refs, resume."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.referees import FunctionReferee
from support.repositories import git
from support.sessions import session_of

from autoresearch.agents import registry
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger, experiment_rows
from autoresearch.measure.clock import since_boot
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.measure.warm_cells import WarmCells
from autoresearch.session.loop import SessionLoop
from autoresearch.session.stopping import Limits
from autoresearch.workspace.workspace import Workspace

EDITS = {
    "01-good": ("SMOOTHING = 0.5 ", "SMOOTHING = 0.02 ", "keep"),
    "02-bad": ("SHARPNESS = 1.0", "SHARPNESS = 0.3", "discard"),
    "03-crash": ("step += 1", "raise ValueError('no')", "crash"),
    "04-memory": ("step += 1", "np.ones(1 << 45)", "crash"),
    "05-never-saves": ("trial.save(", "print(", "crash"),
    "06-syntax": ("step += 1", "step +=", "invalid"),
    "07-comment-only": ("# rows", "# rows of text", "duplicate"),
    "08-seed": ("    trial.start()", "    np.random.seed(7)\n    trial.start()", "duplicate"),
    "09-children": (
        "    trial.start()",
        "    import os, signal, time\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    if os.fork() == 0:\n        os.setsid()\n        time.sleep(600)\n    trial.start()",
        "discard",
    ),
}


@pytest.fixture
def script(tmp_path: Path, bigram: str) -> Path:
    folder = tmp_path / "script"
    folder.mkdir()
    for name, (before, after, _) in EDITS.items():
        assert before in bigram
        (folder / f"{name}.py").write_text(bigram.replace(before, after, 1))
    return folder


def session(root: Path, script: Path, store: Ledger, settings: Settings, data: Dataset, **limits: Any) -> SessionLoop:
    agent = registry.create(f"scripted:{script}")
    return session_of(root, store, agent, settings, data, limits=Limits(**limits))


def test_each_edit_gets_its_verdict_and_the_loop_goes_on(
    repository: Path, script: Path, quick: Settings, bytes_data: Dataset
) -> None:
    before = git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        running = session(repository, script, store, quick, bytes_data)
        assert running.run() == "agent exhausted"
        rows = experiment_rows(store, running.context.row)
    verdicts = {row.n: row.verdict for row in rows}
    expected = {n: verdict for n, (_, _, verdict) in enumerate(EDITS.values(), 1)}
    assert {n: verdicts[n] for n in expected} == expected, json.dumps([row.as_json() for row in rows], indent=1)
    refs = Workspace(repository).refs("t")
    assert {row.n: row.sha for row in rows} == refs
    assert git(repository, "rev-parse", "autoresearch/t").strip() == refs[1]
    assert "Val-Bpb: " in git(repository, "log", "-1", "--format=%B", "autoresearch/t")
    assert (git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")) == before
    with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
        trials = {(trial.experiment_id - 1, trial.purpose): trial for trial in store.trials(running.context.id)}
        held = {n for (n, _), trial in trials.items() if trial.result.get("holdout_bpb") is not None}
    assert held == {1}  # kept, and nothing else
    assert trials[1, "rerun"].result["audit"]["n"] >= trials[1, "screen"].result["audit"]["n"]
    assert len((repository / "runs/t/results.tsv").read_text().splitlines()) == len(rows) + 1


@pytest.mark.slow
def test_a_stopped_session_goes_on_where_it_was(
    repository: Path, script: Path, quick: Settings, bytes_data: Dataset, tmp_path: Path
) -> None:
    def steps(store: Ledger, running: SessionLoop) -> list[tuple[Any, ...]]:
        return [(row.n, row.verdict, row.val_bpb, row.trials) for row in experiment_rows(store, running.context.row)]

    with Ledger.open(tmp_path / "one" / "ledger.db") as store:
        running = session(repository, script, store, quick, bytes_data, max_experiments=1)
        assert running.run() == "max experiments"
        running = session(repository, script, store, quick, bytes_data, max_experiments=2)
        running.run()
        in_two = steps(store, running)
    git(repository, "branch", "-D", "autoresearch/t")
    for ref in git(repository, "for-each-ref", "--format=%(refname)", "refs/autoresearch").split():
        git(repository, "update-ref", "-d", ref)
    with Ledger.open(tmp_path / "two" / "ledger.db") as store:
        running = session(repository, script, store, quick, bytes_data, max_experiments=2)
        running.run()
        assert steps(store, running) == in_two


@pytest.mark.slow
def test_kill_9_loses_at_most_the_trial_in_flight(repository: Path, script: Path, settings_of: dict[str, str]) -> None:
    for proposal in sorted(script.iterdir())[3:]:
        proposal.unlink()
    command = [sys.executable, "-m", "autoresearch", "run", "--agent", f"scripted:{script}"]
    first = subprocess.Popen(command, cwd=repository, env=settings_of, stderr=subprocess.PIPE, text=True)
    assert first.stderr is not None
    for line in first.stderr:
        if "verdict" in line and line.split()[0] == "1":
            break
    time.sleep(0.3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stderr.close()
    again = subprocess.run(command, cwd=repository, env=settings_of, capture_output=True, text=True, timeout=280)
    assert again.returncode == 0, again.stderr
    with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
        row = store.session("t")
        assert row is not None
        numbers = [experiment.n for experiment in store.experiments(row.id)]
        verdicts = [experiment.verdict for experiment in store.experiments(row.id)][1:]
    assert numbers == [0, 1, 2, 3]
    assert verdicts == ["keep", "discard", "crash"]
    assert Workspace(repository).refs("t").keys() == set(numbers)


@pytest.mark.slow
def test_a_promising_version_at_the_deadline_ends_as_a_near_miss(
    repository: Path, script: Path, quick: Settings, bytes_data: Dataset
) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        running = session(repository, script, store, quick, bytes_data)
        real, replicates = running.referees[0], running.evidence.replicates

        def measured(*args: Any) -> Any:
            result = real.measure(*args)
            if len(store.trials(1)) > replicates:  # the screening of the good edit was the last that fits
                running.control.limits.until = since_boot()
            return result

        running.referees = [FunctionReferee(measured, real.settings)]
        assert running.run() == "deadline"
        good = store.experiment(1, 1)
    assert good is not None and (good.state, good.verdict, good.near_miss) == ("settled", "discard", True)
    assert good.reason is not None and good.reason.startswith("the session ended before it was confirmed: looks better")
    assert good.delta is not None and good.delta < 0


@pytest.mark.slow
def test_a_candidate_is_audited_by_the_stored_claim_of_the_version_it_has_to_beat(
    repository: Path, script: Path, bigram: str, quick: Settings, bytes_data: Dataset
) -> None:
    seen: list[tuple[str, Any, Any]] = []
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        running = session(repository, script, store, quick, bytes_data, max_experiments=2)
        real = running.referees[0]

        def measured(text: str, seed: int, plan: TrialPlan) -> Any:
            result = real.measure(text, seed, plan)
            seen.append((text, plan.incumbent_losses, result.losses))
            return result

        running.referees = [FunctionReferee(measured, real.settings)]
        running.run()
        assert [row.verdict for row in store.experiments(1)] == ["keep", "keep", "discard"]
    good, bad = ((script / f"{name}.py").read_text() for name in ("01-good", "02-bad"))
    rivals = {bigram: None, good: bigram, bad: good}
    newest: dict[str | None, Any] = {None: None}
    for text, incumbent, losses in seen:
        expected = newest[rivals[text]]
        assert (incumbent is None) if expected is None else np.array_equal(incumbent, expected)
        newest[text] = newest.get(text) if losses is None else losses
    assert {text for text, *_ in seen} == set(rivals)


def test_cells_wait_where_torch_is_used_and_cores_are_spare(
    repository: Path, script: Path, quick: Settings, bytes_data: Dataset
) -> None:
    agent, uses = registry.create(f"scripted:{script}"), "import torch\n"
    with Ledger.open(repository / "runs" / "ledger.db") as store:

        def warm(base: str, **options: Any) -> list[bool]:
            made = session_of(repository, store, agent, quick, bytes_data, base=base, **options)
            return [isinstance(referee.cells, WarmCells) for referee in made.referees]

        card = replace(quick, gpu="GPU-1")
        assert warm(uses, spare=(0,)) == [True] and warm(uses) == [False]
        assert warm("", spare=(0,)) == warm("import torch (", spare=(0,)) == [False]
        assert warm(uses, spare=(0,), slots=(quick, quick)) == [False, False]
        assert warm(uses, slots=(card, card)) == [True, True]
