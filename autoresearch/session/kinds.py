"""Evidence by the kind of the metric: exact numbers, rates over tasks, times (docs/judging.md)."""

from collections.abc import Callable, Sequence

from autoresearch import judge
from autoresearch.analysis.draws import Draws
from autoresearch.errors import UserError
from autoresearch.judge import Draw
from autoresearch.ledger import Trial
from autoresearch.ledger.metrics import scores_by_task
from autoresearch.ledger.trials import FRESH, JUDGING
from autoresearch.metric import EXACT, RATE, TIME, Metric
from autoresearch.session.context import SessionContext

EXACT_REPLICATES = 2  # trials of the base: one, and one that confirms it


def base_trials(metric: Metric, replicates: int) -> int:
    """Return how often the base is measured at the start."""
    return min(replicates, EXACT_REPLICATES) if metric.kind == EXACT else replicates


def find_noise(context: SessionContext, metric: Metric, draws: Draws, prior: tuple[float, float] | None) -> judge.Noise:
    """Return the noise of one trial by the fresh draws of each version; of a rate also by its tasks."""
    if metric.kind != RATE:
        return judge.noise(list(draws.values()), prior)
    tasks = list(scores_by_task(context.ledger, context.row, FRESH).values())
    count = len(tasks[0][0]) if tasks else 1
    return judge.rate_noise(judge.noise(list(draws.values()), judge.seed_noise(tasks) or prior), count)


def find_task_error(context: SessionContext, metric: Metric, candidate: int, rival: int) -> float:
    """Return the standard error of a difference over the choice of tasks; 0 where the number is no rate."""
    if metric.kind != RATE:
        return 0.0
    tasks, fresh = (scores_by_task(context.ledger, context.row, kinds) for kinds in (JUDGING, FRESH))
    by_seed = judge.seed_noise(list(fresh.values()))
    return judge.task_error(tasks.get(candidate, []), tasks.get(rival, []), by_seed[0] if by_seed else 0.0)


def known_tasks(base: Sequence[Trial]) -> frozenset[str]:
    """Return the tasks that every trial has to have: those of the first good one of the base."""
    return next((frozenset(trial.tasks) for trial in base if trial.outcome == "ok"), frozenset[str]())


def exact_rule(
    metric: Metric, trials: Sequence[Trial], rival: Sequence[Draw], simpler: str | None
) -> Callable[[Sequence[Draw]], judge.Decision]:
    """Return what decides on draws of a number without noise; `trials` say how finely it was printed."""
    steps = [trial.resolution for trial in trials if trial.resolution]
    return lambda draws: judge.decide_exact(draws, rival, metric, min(steps, default=0.0), simpler)


def check_exact(metric: Metric, scores: Sequence[float]) -> None:
    """Raise UserError if trials of the base differ although the number is said to be exact."""
    if metric.kind == EXACT and len(set(scores)) > 1:
        found = " and ".join(metric.exact_score(score) for score in sorted(set(scores)))
        raise UserError(
            f"metric.kind is exact, but trials of the base gave {found}: set `kind: noisy`, or use {{seed}} less"
        )


def in_turns(metric: Metric, purpose: str | None, reruns: int, beside: int, decides: bool) -> str | None:
    """Return the purpose of the next trial; of a time, a trial of the incumbent follows each re-run.

    `beside` are those since the screening. A verdict that `decides` on re-runs waits for it, too.
    """
    if metric.kind != TIME or (purpose is None and not decides):
        return purpose
    if beside < reruns:
        return "sentinel"
    return "rerun" if purpose else None
