"""The loop of a session with two pools: some slots screen candidates, the others confirm what those promote."""

from collections.abc import Callable
from dataclasses import dataclass, field

from autoresearch.agents.base import Exhausted
from autoresearch.ledger import Experiment
from autoresearch.measure.referee import Referee
from autoresearch.measure.settings import SCREEN
from autoresearch.session.handover import Handover
from autoresearch.session.loop import SessionLoop
from autoresearch.session.pipeline import Fill
from autoresearch.session.stopping import Interrupted
from autoresearch.session.two_pools import TwoPoolEvidence, pool_of


@dataclass
class TwoPoolLoop(SessionLoop):
    """Search with two kinds of slots; the base is measured on the first slot, which confirms."""

    evidence: TwoPoolEvidence
    handover: Handover = field(init=False)

    def __post_init__(self) -> None:
        self.handover = Handover(self.control)

    def _search(self) -> str:
        screening = sum(_screens(referee) for referee in self.referees)
        self.handover.begin(screening, len(self.referees) - screening)
        self.evidence.screening.has_slots = self.handover.has_screening_slots()
        return super()._search()

    def _serve(self, referee: Referee) -> str:
        if not _screens(referee):
            return super()._serve(referee)
        reason = "error"
        try:
            reason = self._screen(referee)
        finally:
            self.handover.end_of_slot(reason)
            self.evidence.screening.has_slots = self.handover.has_screening_slots()
        return reason

    def _screen(self, referee: Referee) -> str:
        """Screen candidates until there is a reason to stop, or until screening ends."""
        try:
            while self.evidence.screening.is_on():
                if (reason := self.control.wait_while_paused()) is not None:
                    return reason
                self.handover.wait_for_room()
                self._experiment(referee)
        except Exhausted as exhausted:
            return str(exhausted)
        except Interrupted:
            return self.control.interruption
        return "screening ends"

    def _end_reason(self) -> str | None:
        reason = super()._end_reason()
        return reason if self._takes_all() else self.handover.end_reason(reason)

    def _next(self, referee: Referee, fill: Fill) -> Experiment | None:
        try:
            if _screens(referee) or self._takes_all():
                return self.pipeline.next(fill)
        except Exhausted:
            if _screens(referee) or not (self.handover.has_screening_slots() or self.handover.has_waiting()):
                raise
        return self.handover.next(lambda: self.control.wants_candidate(0) and fill(self._is_filler_unwanted))

    def _takes_all(self) -> bool:
        """Return whether the slots that confirm take candidates that were not screened."""
        return not (self.evidence.screening.is_on() or self.handover.has_waiting())

    def _is_filler_unwanted(self) -> bool:
        return self.handover.has_waiting() or self.control.is_leisure_over()

    def _fill(self, referee: Referee, is_unwanted: Callable[[], bool]) -> list[Experiment] | None:
        return None if _screens(referee) else super()._fill(referee, is_unwanted)

    def _runs_here(self, experiment: Experiment, purpose: str, referee: Referee) -> bool:
        """Return whether a trial belongs on a slot; if not, the candidate goes to one of the other kind."""
        self.evidence.record_screening(experiment)
        if pool_of(purpose) == referee.settings.pool:
            return True
        if _screens(referee):
            self.handover.add(experiment)
        else:
            self.pipeline.put_first([experiment])
        return False

    def _decide(self, experiment: Experiment) -> Experiment:
        self.evidence.record_screening(experiment)
        return super()._decide(experiment)

    def _settle(self, experiment: Experiment) -> Experiment:
        settled = super()._settle(experiment)
        self.crashes.guard(settled.n, self.evidence.screening.review)
        return settled


def _screens(referee: Referee) -> bool:
    return referee.settings.pool == SCREEN
