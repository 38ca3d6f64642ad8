"""The loop. Each experiment goes through

    proposed -> committed -> measuring -> measured -> decided -> settled

and the ledger knows the state before the step is taken. Every step can be taken again, so a session that was killed
anywhere goes on by finishing what it finds unfinished.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autoresearch import costs, described, ledger, source
from autoresearch.agents import Agent, Exhausted
from autoresearch.artefacts import Artefacts
from autoresearch.briefing import Briefing
from autoresearch.constraints import Constraints
from autoresearch.evidence import NEXT, Evidence, earlier, known
from autoresearch.files import written
from autoresearch.history import Past
from autoresearch.ledger import Experiment, Ledger
from autoresearch.lessons import Lessons
from autoresearch.limits import RECENT, Limits
from autoresearch.measure.attack import Inspection
from autoresearch.measure.data import Dataset
from autoresearch.measure.result import Progress, Result
from autoresearch.measure.settings import Settings
from autoresearch.measure.trial import measure
from autoresearch.proposals import Desk, refused
from autoresearch.start import Place
from autoresearch.upkeep import Upkeep
from autoresearch.workspace import Workspace

POLL = 1.0  # s between two looks for messages while paused
KEEP_AUDIT = 4  # times as many audited positions before a keep


class Reporter:
    """Hears what happens; views override what they show."""

    def opened(self, row: ledger.Session, place: Place, found: Inspection, dirty: bool) -> None:
        """A session begins or goes on."""

    def closed(self, row: ledger.Session, reason: str, branch_follows: bool) -> None:
        """It ended."""

    def event(self, kind: str, n: int | None, text: str, data: dict[str, Any]) -> None:
        """Something happened that the ledger remembers too."""

    def progress(self, n: int, purpose: str, progress: Progress) -> None:
        """A trial moved on."""


class Interrupted(Exception):
    """The user wants to stop after the running trial; the experiment goes on with the next `run`."""


@dataclass
class Session:
    """One search: everything the loop needs, given to it."""

    row: ledger.Session
    ledger: Ledger
    workspace: Workspace
    agent: Agent
    settings: Settings
    data: Dataset
    runs: Path
    program: Path
    base: str  # text of experiment 0
    identity: dict[str, Any]  # what trials are measured on, now
    replicates: int = 3
    reserve: Callable[[], float] = lambda: 0.0  # seconds of the session's time that are kept for what comes after the loop
    constraints: Constraints = field(default_factory=Constraints)
    limits: Limits = field(default_factory=Limits)
    reporter: Reporter = field(default_factory=Reporter)
    measure: Callable[..., Result] = measure
    disk: float = math.inf  # bytes that `runs` may take
    stand_in: Agent | None = None  # proposes while the agent is broken or away

    def __post_init__(self) -> None:
        self.earlier = earlier(self.ledger, self.row)
        self.lessons = Lessons.of(self.runs, self.identity, self.row.settings)
        self.desk = Desk(
            self.agent,
            self.stand_in,
            self._tell,
            lambda proposal: refused(proposal, self.ledger, self.row.id, self.constraints),
        )
        self.upkeep = Upkeep(
            self.row, self.ledger, self.workspace, self.runs, self.settings.gpu, self.disk, self._tell
        )
        self.briefing = Briefing(
            self.ledger,
            self.row,
            self.program,
            self.lessons,
            steered=self.agent.model is not None,
            gpu=self.settings.gpu,
        )

    @property
    def evidence(self) -> Evidence:
        """What the trials so far say."""
        return Evidence(self.ledger, self.row, self.replicates, self.earlier, self.constraints)

    def run(self) -> str:
        """Go on until a limit is reached; returns the reason. Raises UserError when the base itself fails."""
        self.ledger.abandon_open_trials(self.row.id)
        self.upkeep.begin()
        self._start_base()
        self._export()  # a kill may have come between a verdict and its line
        try:
            for unfinished in self.ledger.unfinished(self.row.id):
                self._finish(unfinished)
            while (reason := self._over()) is None:
                self._experiment()
        except Exhausted as exhausted:
            return str(exhausted)
        except Interrupted:
            return "interrupted"
        return reason

    def _experiment(self) -> None:
        experiment = self._propose()
        self._finish(experiment)

    def _finish(self, experiment: Experiment) -> None:
        steps = {
            "proposed": self._commit,
            "committed": self._measure,
            "measuring": self._measure,
            "measured": self._decide,
            "decided": self._settle,
        }
        while experiment.state != "settled":
            experiment = self.upkeep.step(steps[experiment.state], experiment)

    def _propose(self) -> Experiment:
        obtained = self.desk.obtain(self.briefing.write(self.evidence))
        proposal, brief, refusal = obtained.proposal, obtained.brief, obtained.refusal
        trace = [{"kind": "brief", "text": brief.render()}, *obtained.trace]
        self._artefacts(brief.n).write_proposal(source.unified_diff(brief.source, proposal.text), trace)
        return self.ledger.add_experiment(
            self.row.id,
            brief.n,
            parent=brief.parent,
            agent=obtained.agent.name,
            model=obtained.agent.model,
            program_hash=_digest(brief.program),
            verdict=refusal.verdict if refusal else None,
            reason=refusal.reason if refusal else None,
            **described.by_text(proposal.text, brief.source),
            **described.by_agent(proposal, brief),
        )

    def _start_base(self) -> None:
        """Experiment 0: the version that the search starts from."""
        if self.ledger.experiment(self.row.id, 0) is None:
            about = described.by_text(self.base, self.base) | {"hypothesis": "the base", "change": None}
            self.ledger.add_experiment(self.row.id, 0, **about)

    # --- the steps

    def _commit(self, experiment: Experiment) -> Experiment:
        if experiment.n == 0:
            sha = self.workspace.start(self.row.tag, self.row.base_sha, known(experiment.text))
        else:
            parent = known(self.ledger.experiment(self.row.id, known(experiment.parent)))
            message = described.proposed(experiment)
            sha = self.workspace.commit(
                self.row.tag, experiment.n, known(experiment.text), known(parent.sha), message
            )
        state = "measured" if experiment.verdict else "committed"
        return self._advance(experiment, state, sha=sha, blob=self.workspace.blob(sha))

    def _measure(self, experiment: Experiment) -> Experiment:
        experiment = self._advance(experiment, "measuring")
        while (purpose := self.evidence.next_purpose(experiment)) is not None:
            if self.limits.interrupted:
                raise Interrupted
            if purpose in NEXT.values() and self.limits.too_late(self._lasted(), self.reserve()):
                break
            self._trial(experiment, purpose)
        return self._advance(experiment, "measured")

    def _decide(self, experiment: Experiment) -> Experiment:
        if experiment.verdict is None:
            experiment = self._advance(experiment, "measured", **self.evidence.verdict(experiment))
        return self._advance(experiment, "decided")

    def _settle(self, experiment: Experiment) -> Experiment:
        if experiment.verdict == "keep" and experiment.n > 0:
            message = described.keep(experiment, len(self.evidence.trials(experiment)), self.row.grade)
            sha = self.workspace.keep(self.row.tag, experiment.n, known(experiment.sha), message)
            experiment = self._advance(experiment, "decided", sha=sha)
        if experiment.n > 0:
            self.lessons.add(self.row.tag, Past.of(experiment), len(self.evidence.trials(experiment)))
        settled = time.time()
        self.upkeep.settled(replace(experiment, state="settled", settled=settled))
        experiment = self._advance(experiment, "settled", settled=settled)
        self._export()
        self._tell("verdict", experiment.n, f"{experiment.verdict}: {experiment.reason}", **_facts(experiment))
        if experiment.n == costs.AFTER:
            self._estimate(experiment)
        return experiment

    def _estimate(self, experiment: Experiment) -> None:
        base = known(self.ledger.experiment(self.row.id, 0))
        seconds, left = time.time() - known(base.settled), self.limits.left()
        if words := costs.estimate(self.ledger.calls(self.row.id), experiment.n, seconds, left):
            self._tell("cost", experiment.n, words)

    def _trial(self, candidate: Experiment, purpose: str) -> None:
        self.upkeep.before_trial()
        evidence = self.evidence
        seed = evidence.seed(candidate, purpose)
        experiment = evidence.subject(candidate, purpose)
        k = len(evidence.trials(experiment))
        trial = self.ledger.start_trial(self.row.id, experiment.id, purpose, seed, known(experiment.blob))
        self._tell("trial", experiment.n, purpose, seed=seed)
        result = self.measure(
            known(experiment.text),
            seed,
            self._settings(purpose),
            self.data,
            watch=lambda progress: self.reporter.progress(experiment.n, purpose, progress),
            loses_above=evidence.hopeless_above() if purpose == "screen" else None,
            wants_holdout=lambda bpb: purpose == "rerun" and evidence.may_keep(experiment, bpb),
            keep_caches=purpose == "base" and k == 0,
        )
        about = {"purpose": purpose, "blob": trial.blob, "started": trial.started, "ended": time.time()}
        self._artefacts(experiment.n).write_trial(k, result, about | {"identity": self.identity})
        stored = result.as_json() | {"identity": self.identity}
        self.ledger.end_trial(trial.id, result.outcome, result.val_bpb, stored)
        beside = " (the incumbent, for comparison)" if purpose == "sentinel" else ""
        self._tell("measured", experiment.n, described.measured(result) + beside, seconds=round(result.total_seconds, 1))
        if purpose == "sentinel" and (drifted := evidence.drifted(experiment)):
            self._tell("drift", experiment.n, drifted)
        self.upkeep.after_trial(result)

    def _settings(self, purpose: str) -> Settings:
        """The session's settings, with caps that follow from the base and a deeper audit before a keep."""
        audit = self.settings.audit * (KEEP_AUDIT if purpose == "rerun" else 1)
        setup, score = self.evidence.base_seconds() or (None, None)
        caches = self.runs / self.row.tag / "caches"
        return replace(self.settings, audit=audit, base_setup=setup, base_score=score, caches=caches)

    # --- the rest

    def _over(self) -> str | None:
        """Why to stop now; None to go on. Waits here while the session is paused."""
        while True:
            newest = known(ledger.newest(self.ledger, self.row))
            if (reason := self.limits.reached(newest, self._lasted(), self.reserve())) is not None:
                return reason
            if self.ledger.take(self.row.id, "stop"):
                return "stopped"
            if not self._paused():
                return None
            time.sleep(POLL)

    def _lasted(self) -> list[float]:
        """Seconds of the last trials."""
        return ledger.lasted(self.ledger, self.row, RECENT)

    def _paused(self) -> bool:
        wishes = [*self.ledger.take(self.row.id, "pause"), *self.ledger.take(self.row.id, "unpause")]
        if wishes:
            latest = max(wishes, key=lambda event: event.id)
            self.row = self.ledger.update_session(self.row.id, state="paused" if latest.kind == "pause" else "running")
            self._tell("state", None, self.row.state)
        return self.row.state == "paused"

    def _advance(self, experiment: Experiment, state: str, **columns: Any) -> Experiment:
        return self.ledger.update_experiment(experiment.id, state=state, **columns)

    def _artefacts(self, n: int) -> Artefacts:
        return Artefacts(self.runs / self.row.tag / str(n))

    def _export(self) -> None:
        written(self.runs / self.row.tag / "results.tsv", [ledger.results_tsv(self.ledger, self.row)])

    def _tell(self, kind: str, n: int | None, text: str, **data: Any) -> None:
        self.ledger.event(self.row.id, kind, text, n=n, data=data)
        self.reporter.event(kind, n, text, data)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _facts(experiment: Experiment) -> dict[str, Any]:
    names = ("verdict", "val_bpb", "delta", "sigma", "hypothesis")
    return {name: getattr(experiment, name) for name in names}
