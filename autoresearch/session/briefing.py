"""From the ledger, and from what the human leaves lying about, to the brief of the next proposal."""

from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from statistics import fmean

from autoresearch import hardware
from autoresearch.brief import ideas, policy
from autoresearch.brief.brief import MAX_BRIEF_TOKENS, Brief
from autoresearch.brief.history import PastExperiment
from autoresearch.brief.lessons import Lessons
from autoresearch.brief.policy import Direction
from autoresearch.errors import require
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.measure.facts import describe_training
from autoresearch.session.evidence import Evidence

IDEAS = "ideas.md"
PAPERS = "papers"


@dataclass
class Briefing:
    """Writes briefs for one session; what is settled is read once.

    `steered` says whether the agent takes directions (search.py): one without a model does not.
    """

    ledger: Ledger
    row: Session
    program: Path
    lessons: Lessons
    steered: bool
    gpu: str | None = None
    history: list[PastExperiment] = field(default_factory=list)

    def write(self, evidence: Evidence, n: int) -> Brief:
        """The brief of experiment `n`."""
        history, pending = self._read()
        incumbent = evidence.incumbent()
        best = require(require(self.ledger.experiment(self.row.id, incumbent.n)).text)
        everything = sorted([*history, *pending], key=lambda past: past.n)
        direction = policy.direction(everything, incumbent.n) if self.steered else None
        return Brief(
            n=n,
            seed=self.row.seed,
            program=self.program.read_text(errors="replace") if self.program.exists() else "",
            source=self._text(direction, incumbent, best),
            incumbent=incumbent.n,
            incumbent_bpb=fmean(evidence.scores(incumbent)),
            sigma=evidence.noise().sigma,
            history=history,
            pending=pending,
            notes=self.ledger.notes(self.row.id),
            direction=direction,
            incumbent_source=best,
            facts=self._facts(evidence, incumbent),
            ideas=ideas.read_ideas(self.program.with_name(IDEAS), everything),
            papers=ideas.read_papers(self.program.with_name(PAPERS), MAX_BRIEF_TOKENS),
            lessons=self.lessons.read(without=self.row.tag),
            agent=self.row.agent.partition(":")[0],
        )

    def _read(self) -> tuple[list[PastExperiment], list[PastExperiment]]:
        """The settled experiments, and those that wait or run."""
        rows = self.ledger.experiments(self.row.id, after=self.history[-1].n if self.history else -1)
        known = list(takewhile(lambda row: row.state == "settled", rows))
        self.history += map(PastExperiment.from_row, known)
        later = rows[len(known) :]
        settled = [PastExperiment.from_row(row) for row in later if row.state == "settled"]
        return [*self.history, *settled], [PastExperiment.from_row(row) for row in later if row.state != "settled"]

    def _text(self, direction: Direction | None, incumbent: Experiment, best: str) -> str:
        if direction is None or direction.parent == incumbent.n:
            return best
        return require(require(self.ledger.experiment(self.row.id, direction.parent)).text)

    def _facts(self, evidence: Evidence, incumbent: Experiment) -> list[str]:
        """How the incumbent's last good trial went."""
        good = [trial for trial in evidence.trials(incumbent) if trial.outcome == "ok"]
        if not good:
            return []
        memory = hardware.gpu_memory(self.gpu) if self.gpu else None
        peak = hardware.peak_tflops(hardware.gpu_name(self.gpu)) if self.gpu else None
        return describe_training(good[-1].result, peak, memory[0] / 2**20 if memory else None)
