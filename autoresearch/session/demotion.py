"""Demote keeps whose later audit failed: in git, in the ledger, and in every file that says what was kept."""

from autoresearch.brief.history import PastExperiment
from autoresearch.brief.lessons import Lessons
from autoresearch.errors import UserError, require
from autoresearch.ledger.failed_audits import Demotions, find_demotions
from autoresearch.ledger.trials import judging
from autoresearch.session.context import SessionContext
from autoresearch.session.events import LedgerEvent
from autoresearch.session.recovery import recovery_record


def demote_suspects(context: SessionContext) -> list[int]:
    """Demote the keeps whose later audit failed, and those built on them; return their numbers.

    References move first, then the ledger changes in one transaction: a demotion that was cut off is found again.
    """
    with context.lock:
        if (found := find_demotions(context.ledger, context.id)) is None:
            return []
        context.workspace.fall_back(context.tag, require(context.experiment(found.fallback or 0).sha))
        events = context.ledger.demote(context.id, found.suspects, found.misses, _consequence(found))
        context.write_results()
        for n in found.suspects:
            rewrite(context, n)
        for event in events:
            context.notify(LedgerEvent(event.kind, event.n, event.text, event.data))
        return list(found.suspects)


def check_base(context: SessionContext) -> None:
    """Raise UserError if the base was found suspect: then no version of the session stands."""
    base = context.ledger.experiment(context.id, 0)
    if base is not None and base.found_later:
        words = f"the base of session {context.tag} is suspect ({base.reason}), and so is all that was built on it"
        raise UserError(f"{words}: commit another train.py and start a session with a new --tag")


def _consequence(found: Demotions) -> str:
    if found.fallback is None:
        return "no version of the session stands"
    return f"the incumbent is {f'experiment {found.fallback}' if found.fallback else 'the base'}"


def rewrite(context: SessionContext, n: int) -> None:
    """Write the record and the lesson of an experiment again, whose verdict was changed."""
    experiment = context.experiment(n)
    context.artefacts(n).write_record(recovery_record(context.ledger, experiment))
    trials = len(judging(context.ledger.trials(context.id, experiment.id)))
    lessons = Lessons.locate(context.runs, context.row.identity, context.row.settings)
    lessons.correct(context.tag, PastExperiment.from_row(experiment, metric=context.row.metric), trials)
