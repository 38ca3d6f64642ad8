"""The proposals of one conversation, each recorded when it is made: its trials can begin while the agent works on."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from autoresearch.agents.base import Conversed, Exhausted
from autoresearch.errors import require
from autoresearch.files import JsonObject
from autoresearch.ledger import Experiment
from autoresearch.ledger.rows import CONVERSATION
from autoresearch.session import describe
from autoresearch.session.checked_proposal import CheckedProposal
from autoresearch.session.context import SessionContext

Add = Callable[[CheckedProposal, list[JsonObject], JsonObject], Experiment]  # proposal, its trace, further params


class NotTaken(Exhausted):
    """The session could not record a proposal, or is over: a conversation ends."""


@dataclass
class Delivery:
    """Record one conversation, which was begun with a brief for experiment `expected`."""

    context: SessionContext
    expected: int
    add: Add
    take: Callable[[Experiment], None]  # what is done with a new experiment
    rows: list[Experiment] = field(default_factory=list)
    failure: Exception | None = None
    _started: float = field(default_factory=time.time)
    _first: CheckedProposal | None = None

    def record(self, checked: CheckedProposal) -> None:
        """Record a proposal. Any thread may call; an error of ours ends the conversation, and is kept as `failure`."""
        try:
            with self.context.lock:
                self._record(checked)
        except Exception as error:
            self.failure = error
            raise NotTaken("the session could not take a proposal") from error

    def _record(self, checked: CheckedProposal) -> None:
        n = self.context.next_number()
        if self._first is None:
            first, self._first, trace = n, checked, checked.whole_trace(checked.trace)
        else:
            first = self.rows[0].n
            words = f"made in the conversation of experiment {first}"
            trace = [{"kind": CONVERSATION, "text": words}, *checked.proposal.trace]
        words, arm = describe.with_arm(checked.proposal.hypothesis, checked.brief.arm), checked.brief.arm
        self.context.emit("proposed", n, words, **{CONVERSATION: first}, **describe.arm_data(arm))
        self.rows.append(self.add(checked, trace, {CONVERSATION: first}))
        self._renumber()
        self.take(self.rows[-1])

    def end(self, conversed: Conversed) -> None:
        """Record the whole conversation with its first proposal, and share its cost."""
        context, first, cost = self.context, self.rows[0].n, conversed.cost_usd
        checked = require(self._first)
        self._renumber()
        context.artefacts(first).write_trace(checked.whole_trace([*conversed.trace, *checked.proposal.trace]))
        for row in self.rows:
            context.ledger.update_experiment(row.id, cost_usd=None if cost is None else cost / len(self.rows))
        seconds, count = round(time.time() - self._started, 3), len(self.rows)
        words = f"{count} proposal{'s'[: count > 1]} in {seconds:.0f} s"
        context.emit("conversed", first, words, seconds=seconds)

    def _renumber(self) -> None:
        """Give the calls until now the number of the first proposal."""
        self.context.ledger.renumber(self.context.id, self.expected, self.rows[0].n, self._started)
