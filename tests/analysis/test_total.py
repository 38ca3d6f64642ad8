"""The honest total: arithmetic, and real measurements."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from support.referees import FunctionReferee
from support.shapes import as_documented

from autoresearch.analysis.remeasure import FailedVersionError, Remeasurer
from autoresearch.analysis.total import Interval, Total, interval, pairs_at_end, quantile, recorded_totals, reserve
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError, require
from autoresearch.hardware import CardMemory
from autoresearch.ledger import Ledger
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.metric import VAL_BPB
from autoresearch.report import results
from autoresearch.session.stopping import Interrupted
from autoresearch.workspace.workspace import Workspace


def test_quantiles_are_students() -> None:
    for dof, t in ((2, 4.303), (4, 2.776), (9, 2.262), (60, 2.000)):
        assert quantile(dof) == pytest.approx(t, rel=0.05)  # Wallace, on the careful side


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(0)
    found = [interval([rng.gauss(-0.01, 0.02) for _ in range(4)]) for _ in range(2000)]
    assert fmean(each.low <= -0.01 <= each.high for each in found) == pytest.approx(0.95, abs=0.02)
    assert fmean(each.mean for each in found) == pytest.approx(-0.01, abs=0.001)


def test_two_pairs_are_enough_where_the_noise_is_known() -> None:
    differences = [-0.41, -0.48]
    alone, pooled = interval(differences), interval(differences, (0.03, 20.0))
    assert alone.low < 0 < alone.high, "Student's t with one degree of freedom shows nothing"
    assert pooled.mean == alone.mean and -0.6 < pooled.low < pooled.high < -0.3
    assert interval(differences, (0.03, 0.0)) == alone, "a noise that nobody measured counts for nothing"


@pytest.mark.parametrize("pairs", [2, 3, 6])
def test_the_pooled_interval_covers_the_truth_too(pairs: int) -> None:
    rng, scale = random.Random(pairs), 2**0.5
    found = []
    for _ in range(1500):
        sigma = 0.02 * fmean(rng.gauss(0, 1) ** 2 for _ in range(8)) ** 0.5  # as eight degrees of freedom estimate it
        found.append(interval([rng.gauss(-0.01, scale * 0.02) for _ in range(pairs)], (sigma, 8.0)))
    assert fmean(each.low <= -0.01 <= each.high for each in found) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("optimism", "words"),
    [(-0.02, "0.0200 of that was not confirmed by fresh seeds"), (0.02, "none: fresh seeds show 0.0200 more")],
)
def test_optimism_is_told_in_its_direction(optimism: float, words: str) -> None:
    found = Total(0, 1, 3, Interval(-0.1, -0.12, -0.08), Interval(-0.1, -0.12, -0.08), -0.1 + optimism, optimism)
    assert results.total(found, VAL_BPB).pairs["optimism"] == words


@pytest.fixture
def remeasurer(session_repository: Path, tmp_path: Path, quick: Settings, bytes_data: Dataset) -> Iterator[Remeasurer]:
    copy = shutil.copytree(session_repository, tmp_path / "copy")
    with Ledger.open(copy / "runs" / "ledger.db") as store:
        row = store.session()
        assert row is not None
        yield Remeasurer(
            store,
            row,
            Workspace(copy),
            CellReferee(quick, bytes_data),
            bytes_data,
            CardMemory(None),
            lambda n, progress: None,
        )


def fixed_result(text: str, seed: int, *_: Any, **__: Any) -> Result:
    return Result("ok", 2.0, seed=seed, holdout_bpb=2.1)


@pytest.mark.parametrize("times", [2, 3])
def test_a_trial_that_was_disturbed_is_repeated_but_not_for_ever(times: int, remeasurer: Remeasurer) -> None:
    left = [Result("infra", disturbed=True, reason="the program was stopped for 9 s")] * times
    referee = FunctionReferee(lambda *args: left.pop() if left else fixed_result(*args), remeasurer.referee.settings)
    remeasurer = replace(remeasurer, referee=referee)
    base = remeasurer.ledger.experiment(1, 0)
    assert base is not None
    if times == 3:
        with pytest.raises(UserError, match="could not be measured again: infra the program was stopped for 9 s"):
            remeasurer.run_trial(base, 7)
    else:
        assert remeasurer.run_trial(base, 7).val_bpb == 2.0
    trials = remeasurer.ledger.trials(1, base.id)[-3:]
    assert [trial.outcome for trial in trials] == ["infra"] * times + ["ok"] * (3 - times)
    assert {(trial.purpose, trial.seed) for trial in trials} == {("total", remeasurer.seed_of(7))}


@pytest.mark.parametrize("times", [1, 2])
def test_one_timeout_of_a_version_that_has_scored_is_repeated(times: int, remeasurer: Remeasurer) -> None:
    left = [Result("timeout", reason="answering: some batches took 0.4 more than usual")] * times
    referee = FunctionReferee(lambda *args: left.pop() if left else fixed_result(*args), remeasurer.referee.settings)
    base = require(remeasurer.ledger.experiment(1, 0))
    with pytest.raises(FailedVersionError, match="timeout answering") if times == 2 else nullcontext():
        assert replace(remeasurer, referee=referee).run_trial(base, 7).val_bpb == 2.0
    outcomes = [trial.outcome for trial in remeasurer.ledger.trials(1, base.id)[-2:]]
    assert outcomes == ["timeout", "ok" if times == 1 else "timeout"]


def test_a_total_that_waits_for_a_node_can_be_left_out(remeasurer: Remeasurer) -> None:
    asked = list[str]()

    def wait_for_node(text: str, seed: int, plan: TrialPlan) -> Result:
        asked.append("stop")
        assert plan.is_wait_over()
        result = Result(seed=seed)
        result.end_early("no node has begun with it")
        return result

    def check() -> None:
        if asked:
            raise Interrupted("left out")

    referee = FunctionReferee(wait_for_node, remeasurer.referee.settings)
    base = remeasurer.ledger.experiment(1, 0)
    assert base is not None
    with pytest.raises(Interrupted, match="left out"):
        replace(remeasurer, referee=referee, reserve=check, is_wait_over=lambda: bool(asked)).run_trial(base, 7)
    assert asked == ["stop"]


def test_later_versions_have_the_limits_of_the_session_when_they_are_measured_again(remeasurer: Remeasurer) -> None:
    plans: list[TrialPlan] = []
    referee = FunctionReferee(lambda *args: plans.append(args[2]) or fixed_result(*args), remeasurer.referee.settings)
    remeasurer = replace(remeasurer, referee=referee)
    for n in (0, 1):
        experiment = remeasurer.ledger.experiment(1, n)
        assert experiment is not None
        remeasurer.run_trial(experiment, 7, text="x = 1\n")
    assert plans[0].base is None
    assert plans[1].base is not None and plans[1].base.load > 0


def test_nothing_is_measured_again_on_a_card_that_is_not_free(remeasurer: Remeasurer) -> None:
    used = [1.0, 1.0, *[9e9] * 1000]
    card = CardMemory("GPU-1", lambda uuid: (int(16e9), int(used.pop(0))), lambda seconds: None)
    referee = FunctionReferee(fixed_result, remeasurer.referee.settings)
    remeasurer = replace(remeasurer, card=card, referee=referee)
    base = remeasurer.ledger.experiment(1, 0)
    assert base is not None and remeasurer.run_trial(base, 7).val_bpb == remeasurer.run_trial(base, 8).val_bpb == 2.0
    with pytest.raises(UserError, match="of the card's memory are in use without a trial"):
        remeasurer.run_trial(base, 9)
    assert [trial.seed for trial in remeasurer.ledger.trials(1, base.id)][-1] == remeasurer.seed_of(8)


@pytest.mark.slow
def test_base_against_final_on_fresh_seeds(finished: Path, settings_of: dict[str, str]) -> None:
    command = [sys.executable, "-m", "autoresearch", "total", "--pairs", "2", "--json"]
    done = subprocess.run(command, cwd=finished, env=settings_of, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert as_documented("total", found) and (found["base"], found["final"], found["pairs"]) == (0, 1, 2)
    assert found["val"]["mean"] < 0 and found["holdout"]["mean"] < 0
    assert found["optimism"] == pytest.approx(found["running_minimum"] - found["val"]["mean"], abs=1e-6)
    with Ledger.open(finished / "runs" / "ledger.db", readonly=True) as store:
        trials = store.trials(1)
        total = [trial for trial in trials if trial.purpose == "total"]
        assert len(total) == 4 and len({trial.seed for trial in total}) == 2
        assert not {trial.seed for trial in total} & {trial.seed for trial in trials if trial.purpose != "total"}
    assert subprocess.run([*command[:3], "doctor", "--ledger"], cwd=finished, env=settings_of).returncode == 0


@pytest.mark.slow
def test_what_ablate_and_reproduce_measured_is_no_part_of_the_total(
    session_repository: Path, settings_of: dict[str, str], tmp_path: Path
) -> None:
    """A total on seeds of `ablate` would be biased: pruning selects by them."""
    finished = shutil.copytree(session_repository, tmp_path / "repository")
    for words in (["ablate", "--draws", "2"], ["reproduce", "1", "--draws", "1"], ["total", "--pairs", "2", "--json"]):
        with Ledger.open(finished / "runs" / "ledger.db") as store:
            seen = {trial.seed for trial in store.trials(1)}
            if words[0] == "total":  # as low as no version of the session ever was
                odd = store.start_trial(1, store.trials(1)[0].experiment_id, "ablate", 1, "")
                store.end_trial(odd.id, "ok", 0.1, {})
        command = [sys.executable, "-m", "autoresearch", *words]
        done = subprocess.run(command, cwd=finished, env=settings_of, capture_output=True, text=True, timeout=280)
        with Ledger.open(finished / "runs" / "ledger.db", readonly=True) as store:
            fresh = {trial.seed for trial in store.trials(1)} - {1}
        assert done.stdout and len(fresh - seen) == {"ablate": 2, "reproduce": 1, "total": 2}[words[0]], done.stderr
    assert json.loads(done.stdout)["running_minimum"] > -1


@pytest.mark.slow
def test_a_version_is_reproduced(finished: Path, settings_of: dict[str, str]) -> None:
    command = [sys.executable, "-m", "autoresearch", "reproduce"]
    done = subprocess.run(
        [*command, "1", "--draws", "2", "--json"],
        cwd=finished,
        env=settings_of,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (
        as_documented("reproduce", found)
        and found["agrees"]
        and len(found["draws"]) == 2
        and found["measured"] == pytest.approx(found["recorded"], abs=2 * found["error"])
    )
    with Ledger.open(finished / "runs" / "ledger.db") as store:
        row = store.experiment(1, 1)
        assert row is not None and row.val_bpb is not None
        store.update_experiment(row.id, val_bpb=row.val_bpb - 1.0)  # a record that nobody measured
    done = subprocess.run(
        [*command, "1", "--draws", "1"], cwd=finished, env=settings_of, capture_output=True, text=True, timeout=280
    )
    with Ledger.open(finished / "runs" / "ledger.db") as store:
        store.update_experiment(row.id, val_bpb=row.val_bpb)
    assert done.returncode == 1 and "does NOT agree with the record" in done.stdout
    done = subprocess.run([*command, "9"], cwd=finished, env=settings_of, capture_output=True, text=True, timeout=280)
    assert done.returncode == 1 and "experiment 9 has no score that could be reproduced" in done.stderr


@pytest.mark.slow
def test_a_session_ends_with_the_total_of_what_it_kept(
    session_repository: Path, settings_of: dict[str, str], tmp_path: Path
) -> None:
    finished = shutil.copytree(session_repository, tmp_path / "repository")
    script = tmp_path / "script"
    script.mkdir()
    (script / "01-a-comment.py").write_text((finished / "train.py").read_text() + "\nEND = 1\n")
    command = [sys.executable, "-m", "autoresearch", "run", "--tag", "t", "--agent", f"scripted:{script}"]
    env = settings_of | {"AUTORESEARCH_TOTAL_PAIRS": "2"}
    done = subprocess.run(command, cwd=finished, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0 and "total" in done.stderr, done.stderr
    with Ledger.open(finished / "runs" / "ledger.db", readonly=True) as store:
        session = store.session("t")
        assert session is not None and recorded_totals(store.events(session.id))[-1].final == 1
        assert (
            store.events(session.id)[-1].kind == "ended"
        )  # by which status knows that the total was part of the session
        assert reserve(store, session, 2, None) == 0.0  # measured already
        assert reserve(store, session, 2, 60.0) == 0.0


def test_time_is_kept_free_only_where_a_small_part_of_the_night_is_enough(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session = store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
        for n in (0, 1):
            experiment = store.add_experiment(session.id, n, verdict="keep", state="settled")
            assert n or reserve(store, session, 3, None) == 0.0  # nothing was kept yet
            store.end_trial(store.start_trial(session.id, experiment.id, "rerun", 1, "").id, "ok", 2.0, {})
            store.query("UPDATE trials SET started = 100, ended = 110")
        assert reserve(store, session, 3, None) == 60.0
        assert reserve(store, session, 3, 600.0) == 60.0
        assert reserve(store, session, 3, 199.0) == 40.0, "two pairs are enough for an interval"
        assert reserve(store, session, 3, 132.0) == 0.0
        assert pairs_at_end(store, session, 3, 60.0, left_s=-1.0) == 3, "its time was kept free"
        assert pairs_at_end(store, session, 3, 40.0, left_s=-1.0) == 2
        assert pairs_at_end(store, session, 3, 0.0, left_s=39.0) == 0
        assert pairs_at_end(store, session, 3, 0.0, left_s=60.0) == 3, "the session has ended early"
        assert pairs_at_end(store, session, 3, 0.0, left_s=None) == 3
        assert pairs_at_end(store, session, 0, 0.0, left_s=None) == 0, "the user wants none"
