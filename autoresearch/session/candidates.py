"""Candidates: experiments made of proposals, of pools, and of changes that are carried over to a new incumbent."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import fmean

from autoresearch.agents.base import Conversed, Proposal
from autoresearch.brief.brief import Brief
from autoresearch.brief.openings import BRANCH
from autoresearch.errors import describe_failure, format_traceback, is_unexpected, require
from autoresearch.files import JsonObject
from autoresearch.ledger import Experiment, find_merge
from autoresearch.ledger.lesson_uses import LESSONS
from autoresearch.ledger.rows import BRANCHES
from autoresearch.measure.clock import since_boot
from autoresearch.session import describe
from autoresearch.session.arms import ArmAway, NobodyAble
from autoresearch.session.briefing import Briefing
from autoresearch.session.checked_proposal import CheckedProposal, Refusal
from autoresearch.session.context import SessionContext
from autoresearch.session.delivery import Delivery
from autoresearch.session.describe import Columns
from autoresearch.session.evidence import Evidence
from autoresearch.session.optional_part import OptionalPart
from autoresearch.session.parents import ParentChooser
from autoresearch.session.pooling import PoolFinder
from autoresearch.session.proposer import Proposer
from autoresearch.source.diff import unified_diff
from autoresearch.source.rebase import rebase_change
from autoresearch.workspace.texts import merge_texts

REST_S = 1.0  # between two looks at the clock while nobody can propose


@dataclass
class CandidateMaker:
    """Make the experiments after the base; the lock is released while an agent works.

    A number is assigned when there is something to record: the one in the brief may be taken by then.
    """

    context: SessionContext
    evidence: Evidence
    briefing: Briefing
    proposer: Proposer
    pools: PoolFinder | None = None  # None: no pools
    parents: ParentChooser | None = None  # None: every proposal is to change the incumbent
    rests_until: float = 0.0  # nobody can propose before (on the clock of `since_boot`)
    _pooling: OptionalPart = field(init=False)

    def __post_init__(self) -> None:
        self._pooling = OptionalPart(self.context, "pools")

    def propose(self, take: Callable[[Experiment], None], wanted: int = 1) -> None:
        """Record what comes next: a pool, or what the agent proposes, up to `wanted` changes; `take` gets each.

        Nothing is recorded while nobody can propose. Raises Exhausted.
        """
        if pooled := self.pool():
            take(*pooled)
            return
        if since_boot() < self.rests_until:
            with self.context.lock.released():
                time.sleep(REST_S)
            return
        n, started = self.context.next_number(), time.time()
        while not self._ask_arm(n, take, wanted, started):
            continue

    def _ask_arm(self, n: int, take: Callable[[Experiment], None], wanted: int, started: float) -> bool:
        """Record what the next arm proposes; return False if it turned out to be away, and another one can be asked."""
        context, arm = self.context, self.proposer.arms.next(n)
        parent = None if self.parents is None else self.parents.choose()
        brief = replace(self.briefing.write(n, arm, parent), proposals=min(wanted, arm.proposals))
        delivery = Delivery(context, brief.n, self._add, take)
        try:
            with context.lock.released():
                made = self.proposer.obtain(brief, delivery.record if brief.proposals > 1 else None)
        except ArmAway:
            return False
        except NobodyAble as nobody:
            self._rest(n, nobody.until)
            return True
        finally:
            if delivery.failure is not None:
                raise delivery.failure
        if isinstance(made, Conversed):
            delivery.end(made)
            return True
        context.ledger.renumber(context.id, brief.n, context.next_number(), started)
        take(self._add(made, made.whole_trace(made.trace), {}))
        return True

    def _rest(self, n: int, until: float) -> None:
        """Propose nothing before `until`, and say so."""
        self.rests_until = until
        clock = time.strftime("%H:%M", time.localtime(time.time() + until - since_boot()))
        self.context.emit("absent", n, f"nobody else has anything to propose: the session waits until {clock}")

    def pool(self) -> list[Experiment]:
        """Record a pool of near misses, if enough have gathered; no agent is asked."""
        if (pools := self.pools) is None:
            return []
        found = self._pooling.run(lambda: pools.find(self.proposer.is_agent_away), None)
        if found is None:
            return []
        refusal = self.proposer.refusal(Proposal(found.text, found.hypothesis))
        experiment = self._record(found.text, require(found.parent.text), refusal, found.trace, found.columns)
        self.context.emit("pooled", experiment.n, found.hypothesis)
        return [experiment]

    def _add(self, checked: CheckedProposal, trace: list[JsonObject], shared: JsonObject) -> Experiment:
        """Record a proposal with a trace; `shared` is added to its params, and the lessons of a model's brief."""
        if checked.agent.model is not None and (use := checked.brief.lesson_use):
            shared = {**shared, LESSONS: use}
        proposal, brief = checked.proposal, self._brief_of(checked.proposal, checked.brief)
        columns = describe.proposal_columns(replace(proposal, params=proposal.params | shared), brief) | {
            "arm": brief.arm,
            "agent": checked.agent.name,
            "model": checked.agent.model,
            "program_hash": hashlib.sha256(brief.program.encode()).hexdigest()[:16],
        }
        return self._record(proposal.text, brief.incumbent_source, checked.refusal, trace, columns)

    def _brief_of(self, proposal: Proposal, brief: Brief) -> Brief:
        """Return the brief that a proposal answers; the one of now if it changes a version that is newer than it."""
        n = proposal.start_from
        if n is None or n <= max((past.n for past in brief.history), default=0):
            return brief
        newer = self.briefing.write(brief.n, self.proposer.arms.find(brief.arm) if brief.arm else None)
        return replace(newer, openings=brief.openings) if n in {past.n for past in newer.history} else brief

    def rebase(self, old: Experiment) -> Experiment | None:
        """Record a superseded change, made to the incumbent; None if they conflict.

        A branch is recorded as it is, and so is a change in conflict that is expected to beat the incumbent alone.
        """
        context, evidence = self.context, self.evidence
        if (n := find_merge(context.ledger, context.row, old.n)) is not None:
            return context.experiment(n)
        incumbent, rival = context.experiment(evidence.incumbent().n), evidence.rival(old)
        best, columns = require(incumbent.text), describe.inherited_columns(old) | {"origin": old.n}
        is_branch = old.mode in BRANCHES
        branch = columns | {"parent": old.parent, "mode": old.mode if is_branch else BRANCH}
        if is_branch and not rival.found_later:  # it was admitted before
            return self._record(require(old.text), best, None, [], branch)
        text = rebase_change(merge_texts, require(context.experiment(rival.n).text), require(old.text), best)
        if text is None:
            may_win = not rival.found_later and self._expected(old, rival) < fmean(evidence.scores(incumbent))
            return self._record(require(old.text), best, None, [], branch) if may_win else None
        refusal = self.proposer.refusal(Proposal(text, require(old.hypothesis)))
        trace = [{"kind": "merged", "text": f"experiment {old.n} onto {incumbent.n}"}]
        own = {"parent": incumbent.n, "mode": None if is_branch else old.mode}
        return self._record(text, best, refusal, trace, columns | own)

    def _expected(self, old: Experiment, rival: Experiment) -> float:
        """Return the score of a superseded candidate, or what its agent predicted, on the scale; else infinity."""
        if (scores := self.evidence.scores(old)) or old.predicted is None:
            return fmean(scores) if scores else math.inf
        return fmean(self.evidence.scores(rival)) + old.predicted

    def _record(
        self, text: str, parent: str, refusal: Refusal | None, trace: list[JsonObject], columns: Columns
    ) -> Experiment:
        n = self.context.next_number()
        if refusal:
            columns |= {"verdict": refusal.verdict, "reason": refusal.reason}
        try:
            diff = unified_diff(parent, text)
            columns |= describe.text_columns(text, parent)
        except Exception as error:
            if not is_unexpected(error):
                raise
            diff, trace = "", [*trace, {"kind": "failed", "text": format_traceback(error)}]
            columns |= {"text": text, "verdict": "invalid", "reason": describe_failure(error)}
        self.context.artefacts(n).write_proposal(diff, trace)
        return self.context.ledger.add_experiment(self.context.id, n, **columns)
