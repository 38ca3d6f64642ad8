"""What an ablation may say of a kept change, and how it takes a kept pool apart."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.pools import PROGRAM, Setter, changed_names, doubled, good, measure
from support.referees import FunctionReferee
from support.sessions import session_of

from autoresearch.analysis.ablate import (
    MAX_MORE_PAIRS,
    Ablation,
    Part,
    ablate,
    count_more_pairs,
    newest_ablation,
    smallest_gain,
)
from autoresearch.analysis.kept_changes import KeptChanges
from autoresearch.analysis.lineage import stack
from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.hardware import CardMemory
from autoresearch.judge import Noise
from autoresearch.judge.noise import STEADY, WeightedModel
from autoresearch.ledger import Event, Ledger
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.metric import VAL_BPB, Metric
from autoresearch.report import results
from autoresearch.session.events import LedgerEvent, SessionEvent

LOSSES = {"ALPHA": 0.02, "BETA": 0.0, "GAMMA": 0.009}  # without a change; the smallest kept gain is 0.06
Score = Callable[[str, int, TrialPlan], Result]
Measured = Callable[..., Ablation]


def score(text: str, seed: int, plan: TrialPlan) -> Result:
    return good(2.0 - sum(LOSSES[name] for name in changed_names(text)) + 0.002 * (seed % 3 - 1))


@pytest.fixture
def store(repository: Path) -> Iterator[Ledger]:
    with Ledger.open(repository / "runs" / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def remeasurer(store: Ledger, repository: Path, quick: Settings, bytes_data: Dataset) -> Remeasurer:
    """Return what measures again in a session whose only keep is a pool of three changes of constants."""

    def mark(event: SessionEvent) -> None:
        if isinstance(event, LedgerEvent) and event.kind == "verdict" and event.n and event.n < 4:
            row = store.experiment(1, event.n)
            assert row is not None
            store.update_experiment(row.id, near_miss=True, p_gain=0.3)

    agent, referee = Setter(doubled("ALPHA", "BETA", "GAMMA")), FunctionReferee(measure, quick)
    options = {"base": PROGRAM, "referees": [referee], "pool": True, "listeners": [mark]}
    session = session_of(repository, store, agent, quick, bytes_data, **options)
    session.run()
    context, again = session.context, FunctionReferee(score, quick)
    return Remeasurer(store, context.row, context.workspace, again, bytes_data, CardMemory(None), lambda n, at: None)


def changes_of(remeasurer: Remeasurer) -> KeptChanges:
    keeps = stack(remeasurer.ledger, remeasurer.session)
    return KeptChanges(remeasurer.ledger, remeasurer.session, remeasurer.workspace, keeps)


def test_a_kept_pool_is_taken_apart(remeasurer: Remeasurer) -> None:
    changes = changes_of(remeasurer)
    assert [(change.experiment.n, change.pool) for change in changes.list()] == [(1, 4), (2, 4), (3, 4)]
    assert changed_names(changes.without([1])) == {"BETA", "GAMMA"}
    assert changed_names(changes.without([1, 3])) == {"BETA"}
    assert changed_names(changes.without([4])) == set() == changed_names(changes.without([1, 4]))
    with pytest.raises(UserError, match="experiment 7 is not kept"):
        changes.without([2, 7])


@pytest.mark.slow
def test_each_part_of_a_pool_is_measured_and_judged(remeasurer: Remeasurer) -> None:
    result = ablate(remeasurer, 4)
    assert [(part.n, part.pool, part.finding) for part in result.parts] == [
        (1, 4, "carries"),
        (2, 4, "idle"),
        (3, 4, "carries"),
    ]
    assert result.bound == pytest.approx(0.2 * 0.06, abs=0.001) and result.idle == [2]
    assert result.parts[1].describe(VAL_BPB).endswith("it carries nothing")


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (Metric("accuracy", goal="max", kind="rate"), "-0.0500 ± 0.0100 without it"),
        (Metric("seconds", kind="time"), "+5.13 % ± 1 % without it"),
        (VAL_BPB, "+0.0500 ± 0.0100 without it"),
    ],
)
def test_a_loss_is_a_change_of_the_number(metric: Metric, words: str) -> None:
    part = Part(4, "an idea", 0.05, 0.01, p_carries=1.0, p_idle=0.0, more_pairs=0)
    assert part.describe(metric) == words
    table, _ = results.ablation(Ablation(9, 3, [part], 0.002), metric)
    assert words.startswith(table.rows[0][1])


def test_a_change_that_the_final_version_needs_is_said_and_the_others_are_measured(
    remeasurer: Remeasurer, quick: Settings
) -> None:
    tried = list[bool]()

    def needs_alpha(text: str, seed: int, plan: TrialPlan) -> Result:
        tried.append("ALPHA" in changed_names(text))
        return score(text, seed, plan) if tried[-1] else Result("crash", reason="NameError: ALPHA", seed=seed)

    needed, *others = ablate(replace(remeasurer, referee=FunctionReferee(needs_alpha, quick)), 3).parts
    assert tried.count(False) == 1 and len(tried) == 1 + 3 * 3
    assert "without it the version fails: " in needed.describe(VAL_BPB) and "NameError: ALPHA" in needed.describe(
        VAL_BPB
    )
    assert needed.carries and all(part.p_carries is not None for part in others)


def test_no_change_is_to_blame_where_no_trial_can_be_run(remeasurer: Remeasurer, quick: Settings) -> None:
    def fail(text: str, seed: int, plan: TrialPlan) -> Result:
        whole = changed_names(text) == {"ALPHA", "BETA", "GAMMA"}
        return score(text, seed, plan) if whole else Result("infra", reason="no cell", seed=seed)

    with pytest.raises(UserError, match="infra no cell"):
        ablate(replace(remeasurer, referee=FunctionReferee(fail, quick)), 2)


@pytest.mark.slow
def test_earlier_pairs_of_the_same_versions_count(remeasurer: Remeasurer) -> None:
    first, second = ablate(remeasurer, 2), ablate(remeasurer, 3)
    assert (first.draws, second.draws) == (2, 5)
    assert second.parts[0].error is not None and first.parts[0].error is not None
    assert second.parts[0].error < first.parts[0].error
    seeds = [trial.seed for trial in remeasurer.ledger.trials(1) if trial.purpose == "ablate"]
    assert len(set(seeds)) == 5


def known(sigma: float, dof: float = 12.0) -> Noise:
    return Noise(sigma, dof, (WeightedModel(STEADY, 1.0, sigma),))


@pytest.mark.parametrize(("loss", "bound"), [(0.0, 0.01), (0.004, 0.01), (0.012, 0.01), (-0.003, 0.005)])
def test_so_many_more_pairs_decide_and_one_less_does_not(loss: float, bound: float) -> None:
    more = count_more_pairs(loss, (3, 3), known(0.01), bound)
    assert 0 < more <= MAX_MORE_PAIRS
    assert count_more_pairs(loss, (3 + more, 3 + more), known(0.01), bound) == 0
    assert count_more_pairs(loss, (2 + more, 2 + more), known(0.01), bound) == 1


def test_a_decision_that_is_far_away_is_not_counted() -> None:
    assert count_more_pairs(0.0, (3, 3), known(0.01), 0.001) == MAX_MORE_PAIRS + 1
    assert count_more_pairs(0.1, (3, 3), known(0.01), 0.001) == 0


@pytest.mark.parametrize(
    ("more", "words"), [(12, "not decided; 12 more pairs would"), (51, "not decided; over 50 more pairs would")]
)
def test_what_is_not_decided_says_what_would(more: int, words: str) -> None:
    part = Part(4, "an idea", 0.003, 0.008, p_carries=0.64, p_idle=0.9, more_pairs=more)
    assert (
        part.finding == "unclear" and part.carries and part.describe(VAL_BPB) == f"+0.0030 ± 0.0080 without it: {words}"
    )
    *_, paragraph = results.ablation(Ablation(9, 3, [part], 0.002), VAL_BPB)
    assert words in str(paragraph) and "--prune" not in str(paragraph)


def test_an_ablation_under_the_older_rule_says_of_nothing_that_it_is_idle() -> None:
    parts = [{"n": 4, "change": "an idea", "loss": 0.0, "error": 0.001, "p_carries": 0.5, "p_idle": 0.99}]
    event = Event(1, 1, 0.0, "ablation", None, "", {"final": 4, "draws": 3, "parts": parts}, None)
    old = newest_ablation([event])
    assert old is not None and old.idle == [] and old.parts[0].describe(VAL_BPB).endswith("not decided")


@pytest.mark.slow
def test_changes_kept_at_the_same_score_do_not_set_the_bound(remeasurer: Remeasurer) -> None:
    base, pool = stack(remeasurer.ledger, remeasurer.session)
    assert smallest_gain([base, pool], 0.001) == pytest.approx(0.06, abs=0.005)
    assert smallest_gain([base], 0.001) == 0.001
