"""The loop. Each experiment goes through

    proposed -> committed -> measuring -> measured -> decided -> settled

and the ledger knows the state before the step is taken. Every step can be taken again, so a session that was killed
anywhere goes on by finishing what it finds unfinished.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from autoresearch import judge, ledger, source
from autoresearch.agents import Agent, BadProposal, Exhausted, Proposal
from autoresearch.artefacts import Artefacts
from autoresearch.brief import Brief, Past
from autoresearch.errors import UserError
from autoresearch.ledger import Experiment, Ledger, Trial
from autoresearch.measure.data import Dataset
from autoresearch.measure.settings import Settings
from autoresearch.measure.trial import Progress, Result, measure
from autoresearch.workspace import Workspace

T = TypeVar("T")

POLL = 1.0  # s between two looks for messages while paused
BROKEN_LIMIT = 10  # proposals in a row that cannot even be recorded end the session


class Reporter:
    """Hears what happens; views override what they show."""

    def event(self, kind: str, n: int | None, text: str, data: dict[str, Any]) -> None:
        """Something happened that the ledger remembers too."""

    def progress(self, n: int, purpose: str, progress: Progress) -> None:
        """A trial moved on."""


@dataclass
class Limits:
    """When to stop. `deadline` is in unix seconds; `interrupted` is set by the first Ctrl-C."""

    deadline: float | None = None
    max_experiments: int | None = None
    interrupted: bool = False


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
    replicates: int = 3
    limits: Limits = field(default_factory=Limits)
    reporter: Reporter = field(default_factory=Reporter)
    measure: Callable[..., Result] = measure

    def run(self) -> str:
        """Go on until a limit is reached; returns the reason. Raises UserError when the base itself fails."""
        self.ledger.abandon_open_trials(self.row.id)
        self._start_base()
        for unfinished in self.ledger.unfinished(self.row.id):
            self._finish(unfinished)
        while (reason := self._over()) is None:
            try:
                self._experiment()
            except Exhausted as exhausted:
                return str(exhausted)
        return reason

    def _experiment(self) -> None:
        brief = self._brief()
        proposal, refusal = self._propose(brief)
        experiment = self._record(brief, proposal, refusal)
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
            experiment = steps[experiment.state](experiment)

    # --- brief and proposal

    def _brief(self) -> Brief:
        history = self.ledger.experiments(self.row.id)
        incumbent = self._incumbent()
        notes = [event.text for event in self.ledger.events(self.row.id) if event.kind == "note"]
        return Brief(
            n=history[-1].n + 1,
            seed=self.row.seed,
            program=self.program.read_text() if self.program.exists() else "",
            source=self.workspace.read(_known(incumbent.sha)),
            incumbent=incumbent.n,
            incumbent_bpb=fmean(self._scores(incumbent)),
            sigma=self._noise().sigma,
            history=[Past.of(row) for row in history if row.state == "settled"],
            notes=notes,
        )

    def _propose(self, brief: Brief) -> tuple[Proposal, tuple[str, str] | None]:
        """A proposal that passed the checks, or the last refused one with (verdict, reason)."""
        for _ in range(self.agent.repairs + 1):
            proposal, broken = self._ask(brief)
            refusal = ("invalid", broken) if broken else self._refusal(proposal)
            if refusal is None or broken:
                break
            brief.feedback.append(f"{refusal[0]}: {refusal[1]}")
        return proposal, refusal

    def _ask(self, brief: Brief) -> tuple[Proposal, str | None]:
        """A proposal; with the reason where it is a broken one that the agent wants remembered."""
        for _ in range(BROKEN_LIMIT):
            started = time.time()
            try:
                proposal = self.agent.propose(brief)
            except BadProposal as bad:
                self._tell("broken", brief.n, str(bad), seconds=round(time.time() - started, 3))
                if bad.params:
                    return Proposal(brief.source, f"broken proposal: {bad}", params=bad.params), str(bad)
                brief.feedback.append(str(bad))
                continue
            self._tell("proposed", brief.n, proposal.hypothesis, seconds=round(time.time() - started, 3))
            return proposal, None
        raise Exhausted(f"{self.agent.name} gave {BROKEN_LIMIT} broken proposals in a row")

    def _refusal(self, proposal: Proposal) -> tuple[str, str] | None:
        """Verdict and reason of a proposal that must not cost GPU time; None if it may be measured."""
        try:
            fingerprint = source.fingerprint_without_seed(proposal.text)
        except SyntaxError as error:
            return "invalid", f"train.py does not parse: line {error.lineno}: {error.msg}"
        for earlier in self.ledger.experiments(self.row.id):
            if earlier.fingerprint == fingerprint and earlier.verdict != "duplicate":
                return "duplicate", f"the same program as experiment {earlier.n}, seeds aside: they are the referee's"
        return None

    def _record(self, brief: Brief, proposal: Proposal, refusal: tuple[str, str] | None) -> Experiment:
        diff = source.unified_diff(brief.source, proposal.text)
        trace = [{"kind": "brief", "text": brief.render()}, *proposal.trace]
        self._artefacts(brief.n).write_proposal(diff, trace)
        added, removed = source.lines_changed(brief.source, proposal.text)
        return self.ledger.add_experiment(
            self.row.id,
            brief.n,
            parent=brief.incumbent,
            text=proposal.text,
            fingerprint=_fingerprint(proposal.text),
            agent=self.agent.name,
            model=self.agent.model,
            category=proposal.category,
            hypothesis=proposal.hypothesis,
            predicted=proposal.predicted,
            params=proposal.params,
            program_hash=_digest(brief.program),
            lines_added=added,
            lines_removed=removed,
            cost_usd=proposal.cost_usd,
            verdict=refusal[0] if refusal else None,
            reason=refusal[1] if refusal else None,
        )

    def _start_base(self) -> None:
        """Experiment 0: the version that the search starts from."""
        if self.ledger.experiment(self.row.id, 0) is None:
            self.ledger.add_experiment(
                self.row.id, 0, text=self.base, fingerprint=_fingerprint(self.base), hypothesis="the base"
            )

    # --- the steps

    def _commit(self, experiment: Experiment) -> Experiment:
        if experiment.n == 0:
            sha = self.workspace.start(self.row.tag, self.row.base_sha, _known(experiment.text))
        else:
            parent = self.ledger.experiment(self.row.id, _known(experiment.parent))
            sha = self.workspace.commit(
                self.row.tag,
                experiment.n,
                _known(experiment.text),
                _known(_known(parent).sha),
                experiment.hypothesis or f"experiment {experiment.n}",
            )
        state = "measured" if experiment.verdict else "committed"
        return self._advance(experiment, state, sha=sha, blob=self.workspace.blob(sha))

    def _measure(self, experiment: Experiment) -> Experiment:
        experiment = self._advance(experiment, "measuring")
        while (purpose := self._next_trial(experiment)) is not None:
            self._trial(experiment, purpose)
        return self._advance(experiment, "measured")

    def _decide(self, experiment: Experiment) -> Experiment:
        if experiment.verdict is None:
            experiment = self._advance(experiment, "measured", **self._verdict(experiment))
        return self._advance(experiment, "decided")

    def _settle(self, experiment: Experiment) -> Experiment:
        if experiment.verdict == "keep" and experiment.n > 0:
            sha = self.workspace.keep(
                self.row.tag, experiment.n, _known(experiment.sha), self._keep_message(experiment)
            )
            experiment = self._advance(experiment, "decided", sha=sha)
        experiment = self._advance(experiment, "settled", settled=time.time())
        self._export()
        self._tell("verdict", experiment.n, f"{experiment.verdict}: {experiment.reason}", **_facts(experiment))
        return experiment

    # --- trials and verdicts

    def _next_trial(self, experiment: Experiment) -> str | None:
        """The purpose of the trial that the judge wants next, if any."""
        trials = self._done(experiment)
        if trials and trials[-1].outcome != "ok":
            return None
        if experiment.n == 0:
            return "base" if len(trials) < self.replicates else None
        if not trials:
            return "screen"
        return "rerun" if self._judge(trials).action == "run_again" else None

    def _trial(self, experiment: Experiment, purpose: str) -> None:
        k = len(self._done(experiment))
        seed = _seed(self.row.seed, experiment.n, k)
        trial = self.ledger.start_trial(self.row.id, experiment.id, purpose, seed, _known(experiment.blob))
        self._tell("trial", experiment.n, purpose, seed=seed)
        result = self.measure(
            _known(experiment.text),
            seed,
            self.settings,
            self.data,
            lambda progress: self.reporter.progress(experiment.n, purpose, progress),
            self._hopeless() if purpose == "screen" else None,
        )
        self._artefacts(experiment.n).write_trial(k, result)
        self.ledger.end_trial(trial.id, result.outcome, result.val_bpb, result.as_json())
        score = f"{result.val_bpb:.4f}" if result.val_bpb is not None else result.reason
        self._tell("measured", experiment.n, f"{result.outcome} {score}", seconds=round(result.total_seconds, 1))
        if result.outcome == "infra":
            raise UserError(f"a trial could not be started: {result.reason}; see `autoresearch doctor`")

    def _verdict(self, experiment: Experiment) -> dict[str, Any]:
        """The columns that a measured experiment gets."""
        trials = self._done(experiment)
        failed = next((trial for trial in trials if trial.outcome != "ok"), None)
        if experiment.n == 0:
            return self._base_verdict(trials, failed)
        if failed is not None:
            verdict = "suspect" if failed.outcome == "suspect" else "crash"
            return {"verdict": verdict, "reason": f"{failed.outcome}: {failed.result.get('reason', '')}"}
        decision = self._judge(trials)
        return {
            "verdict": decision.action,
            "reason": decision.reason,
            "near_miss": decision.near_miss,
            "val_bpb": fmean(self._judged(trials)),
            "delta": decision.delta,
            "p_gain": decision.p_gain,
            "sigma": self._noise().sigma,
        }

    def _base_verdict(self, trials: Sequence[Trial], failed: Trial | None) -> dict[str, Any]:
        if failed is not None:
            reason = failed.result.get("reason", "")
            why = f"{failed.outcome}: {reason}"
            raise UserError(f"the base train.py fails ({why}): mend and commit it, then run again")
        scores = [_known(trial.val_bpb) for trial in trials]
        sigma = judge.noise([scores]).sigma
        return {"verdict": "keep", "reason": "the base", "val_bpb": fmean(scores), "sigma": sigma}

    def _judge(self, trials: Sequence[Trial]) -> judge.Decision:
        scores = [_known(trial.val_bpb) for trial in trials]
        return judge.decide(self.row.judge, scores, self._scores(self._incumbent()), self._noise().sigma)

    def _hopeless(self) -> float:
        return judge.hopeless_above(self._scores(self._incumbent()), self._noise().sigma)

    def _incumbent(self) -> Experiment:
        kept = self.ledger.experiments(self.row.id, verdict="keep")
        return [row for row in kept if row.state == "settled" or row.n == 0][-1]

    def _scores(self, experiment: Experiment) -> list[float]:
        """The scores that a version is known by."""
        return [_known(trial.val_bpb) for trial in self._judged_trials(self._done(experiment))]

    def _judged(self, trials: Sequence[Trial]) -> list[float]:
        return [_known(trial.val_bpb) for trial in self._judged_trials(trials)]

    def _judged_trials(self, trials: Sequence[Trial]) -> list[Trial]:
        """Without the draw that selected the version, where there is a fresh one."""
        good = [trial for trial in trials if trial.outcome == "ok"]
        return [trial for trial in good if trial.purpose != "screen"] or good

    def _noise(self) -> judge.Noise:
        groups: dict[int, list[float]] = {}
        for trial in self.ledger.trials(self.row.id):
            if trial.outcome == "ok" and trial.val_bpb is not None:
                groups.setdefault(trial.experiment_id, []).append(trial.val_bpb)
        return judge.noise(list(groups.values()))

    def _done(self, experiment: Experiment) -> list[Trial]:
        """The trials of an experiment that ended by themselves, in order."""
        trials = self.ledger.trials(self.row.id, experiment.id)
        return [trial for trial in trials if trial.outcome not in (None, "infra")]

    # --- the rest

    def _over(self) -> str | None:
        """Why to stop now; None to go on. Waits here while the session is paused."""
        while True:
            if self.limits.interrupted:
                return "interrupted"
            if self.ledger.take(self.row.id, "stop"):
                return "stopped"
            if self._time_is_up():
                return "deadline"
            decided = len(self.ledger.experiments(self.row.id)) - 1
            if self.limits.max_experiments is not None and decided >= self.limits.max_experiments:
                return "max experiments"
            if not self._paused():
                return None
            time.sleep(POLL)

    def _time_is_up(self) -> bool:
        """Whether one more trial would end after the deadline."""
        if self.limits.deadline is None:
            return False
        trials = self.ledger.trials(self.row.id)
        lasted = [trial.ended - trial.started for trial in trials if trial.ended is not None]
        return time.time() + (fmean(lasted[-20:]) if lasted else 0.0) > self.limits.deadline

    def _paused(self) -> bool:
        state = self.row.state
        for event in self.ledger.take(self.row.id, "pause") + self.ledger.take(self.row.id, "unpause"):
            state = "paused" if event.kind == "pause" else "running"
        if state != self.row.state:
            self.row = self.ledger.update_session(self.row.id, state=state)
            self._tell("state", None, state)
        return state == "paused"

    def _keep_message(self, experiment: Experiment) -> str:
        trailers = {
            "Experiment": experiment.n,
            "Val-Bpb": f"{_known(experiment.val_bpb):.6f}",
            "Delta": f"{_known(experiment.delta):+.6f}",
            "Sigma": f"{_known(experiment.sigma):.6f}",
            "Trials": len(self._done(experiment)),
            "Agent": experiment.agent,
            "Grade": self.row.grade,
        }
        lines = "".join(f"{name}: {value}\n" for name, value in trailers.items())
        return f"{experiment.hypothesis}\n\n{experiment.reason}\n\n{lines}"

    def _advance(self, experiment: Experiment, state: str, **columns: Any) -> Experiment:
        return self.ledger.update_experiment(experiment.id, state=state, **columns)

    def _artefacts(self, n: int) -> Artefacts:
        return Artefacts(self.runs / self.row.tag / str(n))

    def _export(self) -> None:
        path = self.runs / self.row.tag / "results.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ledger.results_tsv(self.ledger, self.row))

    def _tell(self, kind: str, n: int | None, text: str, **data: Any) -> None:
        self.ledger.event(self.row.id, kind, text, n=n, data=data)
        self.reporter.event(kind, n, text, data)


def _known(value: T | None) -> T:
    assert value is not None
    return value


def _fingerprint(text: str) -> str | None:
    try:
        return source.fingerprint_without_seed(text)
    except SyntaxError:
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _seed(session_seed: int, n: int, k: int) -> int:
    """The seed of trial k of experiment n: the same when a lost trial is run again."""
    return int(hashlib.sha256(f"{session_seed} {n} {k}".encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


def _facts(experiment: Experiment) -> dict[str, Any]:
    names = ("verdict", "val_bpb", "delta", "sigma", "hypothesis")
    return {name: getattr(experiment, name) for name in names}
