"""Proposals, and changes that outlive their incumbent, as experiments: numbered and recorded, to be measured."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoresearch import described, ledger, source
from autoresearch.agents import Proposal
from autoresearch.artefacts import Artefacts
from autoresearch.briefing import Briefing
from autoresearch.evidence import Evidence, known
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.merging import carried
from autoresearch.pipeline import Baton
from autoresearch.proposals import Desk, Refusal
from autoresearch.workspace import Workspace


@dataclass
class Candidates:
    """Makes the experiments of one session after the base; the baton is put down while an agent thinks.

    A number is given when there is something to record. The one that an agent was told may be another's by then.
    """

    row: Session
    ledger: Ledger
    workspace: Workspace
    runs: Path
    briefing: Briefing
    desk: Desk
    refused: Callable[[Proposal], Refusal | None]
    baton: Baton

    def propose(self, evidence: Evidence) -> Experiment:
        """What the agent proposes next. Raises Exhausted."""
        began = time.time()
        brief = self.briefing.write(evidence, self._number())
        with self.baton.laid_down():
            obtained = self.desk.obtain(brief)
        self.ledger.renumber(self.row.id, brief.n, self._number(), began)
        proposal, brief = obtained.proposal, obtained.brief
        about = described.by_agent(proposal, brief) | {
            "parent": brief.parent,
            "agent": obtained.agent.name,
            "model": obtained.agent.model,
            "program_hash": hashlib.sha256(brief.program.encode()).hexdigest()[:16],
        }
        trace = [{"kind": "brief", "text": brief.render()}, *obtained.trace]
        return self._record(proposal.text, brief.source, obtained.refusal, trace, about)

    def carry_over(self, old: Experiment, evidence: Evidence) -> Experiment | None:
        """The change of a candidate made to what is the incumbent now; None where the two conflict."""
        if (n := ledger.merged(self.ledger, self.row, old.n)) is not None:
            return self._whole(n)
        best, base = (known(self._whole(row.n).text) for row in (evidence.incumbent(), evidence.rival(old)))
        text = carried(self.workspace, base, known(old.text), best)
        if text is None:
            return None
        refusal = self.refused(Proposal(text, known(old.hypothesis)))
        trace = [{"kind": "merged", "text": f"experiment {old.n} onto {evidence.incumbent().n}"}]
        about = described.inherited(old) | {"origin": old.n, "parent": evidence.incumbent().n}
        return self._record(text, best, refusal, trace, about)

    def _record(
        self,
        text: str,
        parent: str,
        refusal: Refusal | None,
        trace: list[dict[str, Any]],
        about: dict[str, Any],
    ) -> Experiment:
        n, diff = self._number(), source.unified_diff(parent, text)
        Artefacts(self.runs / self.row.tag / str(n)).write_proposal(diff, trace)
        if refusal:
            about |= {"verdict": refusal.verdict, "reason": refusal.reason}
        return self.ledger.add_experiment(self.row.id, n, **described.by_text(text, parent), **about)

    def _number(self) -> int:
        return 1 + known(ledger.newest(self.ledger, self.row))

    def _whole(self, n: int) -> Experiment:
        return known(self.ledger.experiment(self.row.id, n))
