"""When lost trials are the fault of the version: three, on two nodes where there are two."""

from pathlib import Path

import pytest
from support.sessions import context_of

from autoresearch.ledger import Experiment, Ledger
from autoresearch.ledger.node_trials import LOST, trials_by_node
from autoresearch.measure.result import NodeLoss, Result
from autoresearch.session.context import SessionContext
from autoresearch.session.lost_trials import blame, lost_nodes


@pytest.fixture
def context(tmp_path: Path) -> SessionContext:
    store = Ledger.open(tmp_path / "ledger.db")
    session = store.create_session("t", "autoresearch/t", "sha", "sweep", "default", {}, {}, seed=5)
    store.add_experiment(session.id, 0)
    return context_of(store, session)


def lose(context: SessionContext, *nodes: str, others: int) -> tuple[Experiment, list[str]]:
    """Lose a trial on each of the nodes; return the experiment, and the outcomes."""
    experiment, outcomes = context.experiment(0), []
    for node in nodes:
        trial = context.ledger.start_trial(context.id, experiment.id, "base", 1, "blob")
        result = Result(outcome="infra", reason="its node has ended", loss=NodeLoss(node, others))
        blame(context, experiment, result)
        context.ledger.end_trial(trial.id, result.outcome, None, {"node": node, LOST: node})
        outcomes.append(result.outcome)
    return experiment, outcomes


def test_the_third_lost_trial_on_a_second_node_is_a_crash(context: SessionContext) -> None:
    experiment, outcomes = lose(context, "a", "b", "a", others=1)
    assert outcomes == ["infra", "infra", "crash"]
    assert lost_nodes(context, experiment) == ["a", "b", "a"]  # these are avoided


def test_one_bad_node_among_several_is_no_fault_of_the_version(context: SessionContext) -> None:
    assert lose(context, "a", "a", "a", "a", others=1)[1] == ["infra"] * 4
    assert lose(context, "b", others=1)[1] == ["crash"]


def test_trials_that_were_lost_before_a_good_one_do_not_count(context: SessionContext) -> None:
    lose(context, "a", "b", others=1)
    trial = context.ledger.start_trial(context.id, context.experiment(0).id, "base", 1, "blob")
    context.ledger.end_trial(trial.id, "ok", 1.0, {"node": "c"})
    experiment, outcomes = lose(context, "a", "c", "d", others=1)
    assert outcomes == ["infra", "infra", "crash"]
    assert lost_nodes(context, experiment) == ["a", "b", "a", "c", "d"]


def test_three_on_the_only_node_are_a_crash(context: SessionContext) -> None:
    assert lose(context, "a", "a", "a", others=0)[1] == ["infra", "infra", "crash"]


def test_trials_that_no_node_has_begun_are_never_the_fault_of_a_version(context: SessionContext) -> None:
    """The third is not repeated: a session would go on for ever where no process of Ray can start."""
    experiment, outcomes = lose(context, "a", "", "a", "", "", others=1)
    assert outcomes == ["infra"] * 5
    result = Result(outcome="infra", loss=NodeLoss("", 1))
    blame(context, experiment, result)
    assert result.outcome == "infra" and result.loss is None


def test_trials_are_summed_up_by_node(context: SessionContext) -> None:
    lose(context, "a", "b", others=1)
    for score in (1.0, 1.2):
        trial = context.ledger.start_trial(context.id, context.experiment(0).id, "base", 1, "blob")
        context.ledger.end_trial(trial.id, "ok", score, {"node": "a"})
    first, second = trials_by_node(context.ledger.trials(context.id))
    assert (first.node, first.trials, first.ok, first.lost) == ("a", 3, 2, 1)
    assert first.sigma == pytest.approx(0.2 / 2**0.5) and second.sigma is None
    assert second.describe() == "b: 1 trials, 1 lost"
