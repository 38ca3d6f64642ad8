"""What survives of a gain at a longer budget: arithmetic, bookkeeping, and a real measurement."""

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

import pytest
from rich.console import Console
from support.programs import autoresearch
from support.referees import FunctionReferee
from support.repositories import git
from support.shapes import as_documented

from autoresearch.agents.lookup import LedgerLibrary
from autoresearch.analysis import transfer
from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.analysis.session_noise import session_noise
from autoresearch.analysis.total import seconds_of_pair
from autoresearch.analysis.transfer import Transfer
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UsageError, UserError
from autoresearch.hardware import CardMemory
from autoresearch.ledger import Ledger, experiment_rows, results_tsv, status, trial_seconds
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.report import longer_budget
from autoresearch.setup import forecast
from autoresearch.terminal.console import print_blocks
from autoresearch.workspace.workspace import Workspace

BASE_AT = {"20steps": 2.0, "80steps": 1.8}
GAINS_AT = {"20steps": (0.1, 0.2), "80steps": (0.02, 0.2)}  # of keeps 1 and 2


@dataclass
class MadeScores:
    """Scores that follow from version and budget, with a little noise; the trials in order."""

    texts: dict[str, int]
    budget: str
    trials: list[tuple[str, int]] = field(default_factory=list)
    fails_after: int = 1000
    crashes: int | None = None  # number of a version

    def __call__(self, text: str, seed: int, plan: TrialPlan) -> Result:
        if len(self.trials) >= self.fails_after:
            raise KeyboardInterrupt
        n = self.texts[text]
        self.trials.append((self.budget, n))
        if n == self.crashes:
            return Result("crash", reason="MemoryError", seed=seed)
        score = BASE_AT[self.budget] - sum(GAINS_AT[self.budget][:n]) + random.Random(seed).gauss(0, 0.0005)
        return Result("ok", score, seed=seed, holdout_bpb=score + 0.1, peak_vram_mb=1e6, total_seconds=900.0)


@pytest.fixture
def store(session_repository: Path, tmp_path: Path) -> Iterator[Ledger]:
    """Copy a session, with its discard turned into a keep on the first one."""
    copy = shutil.copytree(session_repository, tmp_path / "copy")
    with Ledger.open(copy / "runs" / "ledger.db") as store:
        row = store.experiment(1, 2)
        assert row is not None
        store.update_experiment(row.id, verdict="keep", parent=1, reason="2 fresh re-runs confirm it")
        yield store


def remeasurers(store: Ledger, quick: Settings, data: Dataset) -> tuple[Remeasurer, Remeasurer]:
    root = store.path.parents[1]
    session, workspace = store.session(), Workspace(root)
    assert session is not None
    texts = {workspace.read(row.sha): row.n for row in store.experiments(1) if row.sha}
    settings = [replace(quick, budget=Budget.parse(budget)) for budget in BASE_AT]
    referees = [FunctionReferee(MadeScores(texts, str(each.budget)), each) for each in settings]
    card, around = CardMemory(None), (store, session, workspace)
    short, longer = (Remeasurer(*around, referee, data, card, lambda n, progress: None) for referee in referees)
    return short, longer


def measure(both: tuple[Remeasurer, Remeasurer], pairs: int = 3, keeps: bool = True) -> Transfer:
    versions = transfer.choose_versions(both[0].ledger, both[0].session, None, keeps)
    return transfer.measure_transfer(transfer.both_series(*both, pairs), versions)


def scores_of(remeasurer: Remeasurer) -> MadeScores:
    assert isinstance(remeasurer.referee, FunctionReferee) and isinstance(remeasurer.referee.function, MadeScores)
    return remeasurer.referee.function


@pytest.mark.parametrize(("truth", "pairs"), [(1.0, 3), (0.4, 3), (0.0, 6)])
def test_the_interval_of_the_share_covers_the_truth(truth: float, pairs: int) -> None:
    rng, scale, dof = random.Random(pairs), (2 / pairs) ** 0.5, 2 * pairs - 2
    inside = []
    for _ in range(2000):
        sigmas = [fmean(rng.gauss(0, 1) ** 2 for _ in range(dof)) ** 0.5 for _ in "ab"]  # as the draws estimate them
        short, longer = rng.gauss(-8, scale), rng.gauss(-8 * truth, scale)
        found = transfer.survival((short, sigmas[0] * scale), (longer, sigmas[1] * scale), dof)
        inside += [found.low <= truth <= found.high] if found is not None else []
    assert len(inside) > 1500 and fmean(inside) == pytest.approx(0.96, abs=0.02)


def test_the_share_of_a_gain_that_may_be_none_is_not_told() -> None:
    assert transfer.survival((-0.01, 0.01), (-0.01, 0.001), 10) is None
    assert transfer.survival((0.05, 0.01), (-0.05, 0.01), 10) is None, "a loss has no share that survives"
    found = transfer.survival((-0.10, 0.001), (-0.05, 0.001), 10)
    assert found is not None and found.share == pytest.approx(0.5) and 0.4 < found.low < 0.5 < found.high < 0.6


def test_each_keep_and_the_whole_in_turns_on_the_same_seeds(
    store: Ledger, quick: Settings, bytes_data: Dataset
) -> None:
    short, longer = both = remeasurers(store, quick, bytes_data)
    found = measure(both)
    in_turns = (0, 1, 2, 2, 1, 0, 0, 1, 2)
    assert scores_of(short).trials == [("20steps", n) for n in in_turns]
    assert scores_of(longer).trials == [("80steps", n) for n in in_turns]
    trials = [trial for trial in store.trials(1) if trial.purpose == "transfer"]
    assert {trial.result["budget"] for trial in trials} == {"80steps"}
    assert len({trial.seed for trial in trials}) == 3 and len(trials) == 9
    assert (found.budget, found.longer, found.pairs) == ("20steps", "80steps", 3)
    assert [(step.before, step.n, step.finding) for step in found.keeps] == [(0, 1, "shrinks"), (1, 2, "survives")]
    assert found.shrinking == [1]
    whole = found.whole
    assert (whole.before, whole.n) == (0, 2) and whole.short == pytest.approx(-0.3, abs=0.002)
    assert whole.longer == pytest.approx(-0.22, abs=0.002)
    assert whole.survival is not None and whole.survival.share == pytest.approx(0.22 / 0.3, abs=0.02)


def test_a_call_that_was_interrupted_continues_and_more_seeds_are_added(
    store: Ledger, quick: Settings, bytes_data: Dataset
) -> None:
    short, longer = both = remeasurers(store, quick, bytes_data)
    scores_of(longer).fails_after = 2
    with pytest.raises(KeyboardInterrupt):
        measure(both, keeps=False)
    store.abandon_open_trials(1)
    scores_of(longer).fails_after = 1000
    first = measure(both, keeps=False)
    assert (len(scores_of(short).trials), len(scores_of(longer).trials)) == (6, 6) and first.keeps == []
    versions = transfer.choose_versions(store, short.session, None, False)
    words = transfer.describe_work(transfer.both_series(*both, 4), versions)
    assert words == "2 of 8 trials at 20steps, 2 of 8 trials at 80steps to measure"
    assert measure(both, 4, keeps=False).pairs == 4 and len(scores_of(longer).trials) == 8


def test_a_keep_that_fails_at_the_longer_budget_is_left_out(
    store: Ledger, quick: Settings, bytes_data: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    both = remeasurers(store, quick, bytes_data)
    longer = both[1]
    scores_of(longer).crashes = 1
    found = measure(both)
    assert scores_of(longer).trials.count(("80steps", 1)) == 1, "it is not drawn again"
    assert found.failed == [1] and found.keeps == [] and (found.whole.before, found.whole.n) == (0, 2)
    print_blocks(longer_budget.layout(found), Console(width=200))
    assert "no score, and left out: 1 (`autoresearch show N` says why)." in capsys.readouterr().out
    scores_of(longer).crashes = 2
    with pytest.raises(UserError, match="experiment 2 could not be measured again: crash MemoryError"):
        measure(both, 4)


def test_trials_of_another_longer_budget_do_not_count(store: Ledger, quick: Settings, bytes_data: Dataset) -> None:
    short, longer = both = remeasurers(store, quick, bytes_data)
    measure(both, 2, keeps=False)
    store.query("UPDATE trials SET result = json_set(result, '$.budget', '9steps') WHERE purpose = 'transfer'")
    measure(both, 2, keeps=False)
    assert (len(scores_of(short).trials), len(scores_of(longer).trials)) == (4, 8)


def test_nothing_of_a_longer_budget_enters_the_session(store: Ledger, quick: Settings, bytes_data: Dataset) -> None:
    def numbers() -> list[object]:
        session, library = store.session(), LedgerLibrary(store.path, 1)
        assert session is not None
        state = status(store, session, 2e9)
        rows = [vars(row) for row in experiment_rows(store, session)]
        scores = [state.base_bpb, state.sigma, state.best_bpb, session_noise(store, session), library.show(1)]
        times = [seconds_of_pair(store, session), trial_seconds(store, session), state.time_split["train"]]
        expected = forecast.expect(store.path, Budget(5.0, "cpu"), "cpu", 3, 8.0), rows, results_tsv(store, session)
        return [scores, times, expected]

    before = numbers()
    short, longer = remeasurers(store, quick, bytes_data)
    for row in transfer.choose_versions(store, short.session, None, True):
        transfer.Series(longer, "transfer", 3).draw(row, 0)
    store.query("UPDATE trials SET ended = started + 900, train_seconds = 800 WHERE purpose = 'transfer'")
    assert len(scores_of(longer).trials) == 3 and numbers() == before


def test_what_cannot_be_measured_is_one_line(store: Ledger) -> None:
    session = store.session()
    assert session is not None
    for n in (0, 7):
        with pytest.raises(UserError, match=f"experiment {n} is not kept in the final version"):
            transfer.choose_versions(store, session, n, False)
    assert [row.n for row in transfer.choose_versions(store, session, 1, True)] == [0, 1]
    budget = Budget.parse("5cpu")
    for text, words in (("5m", "the session's budget is 5cpu"), ("5cpu", "choose a longer budget"), ("x", "cannot")):
        with pytest.raises(UsageError, match=words):
            transfer.require_longer(budget, text)
    assert transfer.require_longer(budget, "20cpu") == Budget(20.0, "cpu")


def test_a_reader_is_told_the_share_and_what_shrinks(
    store: Ledger, quick: Settings, bytes_data: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    found = measure(remeasurers(store, quick, bytes_data))
    print_blocks(longer_budget.layout(found), Console(width=200))
    text = capsys.readouterr().out
    assert "of the gain at 20steps survives at 80steps (experiment 2 against 0, 3 seeds)." in text
    assert "over half of the gain of 1 is lost at 80steps." in text and "all of it" in text
    unclear = replace(found, whole=replace(found.whole, survival=None))
    assert "what survives at 80steps is not clear" in longer_budget.describe(unclear)


@pytest.mark.slow
def test_a_longer_budget_through_the_program(finished: Path, settings_of: dict[str, str]) -> None:
    done = autoresearch(finished, "transfer", "--budget", "60steps", "--pairs", "2", "--json", env=settings_of)
    assert done.returncode == 0 and "4 of 4 trials at 60steps to measure" in done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert as_documented("transfer", found) and (found["whole"]["before"], found["whole"]["n"]) == (0, 1)
    assert found["whole"]["short"] < 0 and found["whole"]["longer"] < 0
    again = autoresearch(finished, "transfer", "--budget", "60steps", "--pairs", "2", env=settings_of)
    assert "0 of 4 trials at 20steps, 0 of 4 trials at 60steps to measure" in again.stderr and again.returncode == 0
    assert autoresearch(finished, "export", "--branch", "home", env=settings_of).returncode == 0
    assert "Transfer-Total: -0." in git(finished, "log", "-1", "--format=%(trailers:only,unfold)", "home")
    assert autoresearch(finished, "report", env=settings_of).returncode == 0
    assert "## At a longer budget, 60steps" in (finished / "runs" / "t" / "report.md").read_text()
    assert "transfer at 60steps" in autoresearch(finished, "show", "1", env=settings_of).stdout
    assert autoresearch(finished, "doctor", "--ledger", env=settings_of).returncode == 0
    wrong = autoresearch(finished, "transfer", "--budget", "10steps", env=settings_of)
    assert wrong.returncode == 2 and "choose a longer budget than that of the session, 20steps" in wrong.stderr
