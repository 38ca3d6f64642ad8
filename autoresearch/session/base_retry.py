"""A base that an earlier run could not keep: what failed then may work now."""

from autoresearch.ledger import Experiment
from autoresearch.ledger.trials import judging
from autoresearch.session.context import SessionContext

MEND = "mend and commit it, then run again, with another tag if one is set"  # a tag continues its session


def retry_base(context: SessionContext, base: Experiment) -> None:
    """Measure a base without a verdict further; trials that failed count as lost, as those of a machine that failed.

    Another program may have had the card, or a limit may have been raised. What an audit has found stays.
    """
    if base.verdict is not None or base.state not in ("measuring", "measured"):
        return
    for trial in judging(context.ledger.trials(context.id, base.id)):
        if trial.outcome not in ("ok", "suspect"):
            context.ledger.void_trial(trial.id)
            context.emit("repeated", 0, f"{trial.outcome} in an earlier run: it is measured again")
    context.advance(base, "measuring")
