"""The boundary around the work on one version: an unexpected error is that version's crash, never the session's end."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from autoresearch.errors import UserError, describe_failure, format_traceback, is_unexpected
from autoresearch.ledger import Experiment
from autoresearch.session.base_retry import MEND
from autoresearch.session.context import SessionContext
from autoresearch.session.stopping import Interrupted

NO_SCORE = {"val_bpb": None, "delta": None, "sigma": None, "p_gain": None, "near_miss": False}


@dataclass(frozen=True)
class Crashes:
    """Record unexpected errors of one session: a traceback in the artefacts, an event, and a verdict."""

    context: SessionContext

    def settle(self, n: int, error: Exception) -> Experiment:
        """Give experiment `n` the verdict `crash`, in a state from which it settles. Raises UserError for the base.

        An error after the version has become the incumbent in git changes no verdict any more.
        """
        if isinstance(error, Interrupted) or not is_unexpected(error):
            raise error
        experiment, reason = self.context.experiment(n), describe_failure(error)
        self.report(n, error)
        if n == 0:
            words = f"the base train.py cannot be measured ({reason}; {self.context.artefacts(n).failure} has more)"
            raise UserError(f"{words}: {MEND}") from error
        if experiment.state == "decided" and experiment.verdict == "keep" and self._is_incumbent(n):
            sha = self.context.workspace.best(self.context.tag)
            return self.context.advance(experiment, "settled", settled=time.time(), sha=sha)
        if experiment.state == "decided" and experiment.verdict == "crash":  # it failed here before
            return self.context.advance(experiment, "settled", settled=time.time())
        state = "decided" if experiment.state in ("measured", "decided") else "measured"
        return self.context.advance(experiment, state, verdict="crash", reason=reason, **NO_SCORE)

    def guard(self, n: int, describe: Callable[[], None]) -> None:
        """Write what only describes experiment `n`; report an unexpected error, and go on."""
        try:
            describe()
        except Exception as error:
            if not is_unexpected(error):
                raise
            self.report(n, error)

    def report(self, n: int, error: Exception) -> None:
        """Write the traceback of an error beside the experiment, and emit an event."""
        self.context.artefacts(n).write_failure(format_traceback(error))
        self.context.emit("failed", n, describe_failure(error))

    def _is_incumbent(self, n: int) -> bool:
        workspace, tag = self.context.workspace, self.context.tag
        return workspace.best(tag) == workspace.ref(tag, n)
