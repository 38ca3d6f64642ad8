"""Briefs: what the ledger, `program.md` and the files beside it say, for the next proposal."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from autoresearch import hardware
from autoresearch.analysis import near_misses
from autoresearch.brief import ideas, newest_trials
from autoresearch.brief.brief import MAX_BRIEF_TOKENS, MAX_LESSON_TOKENS, Brief, Parent
from autoresearch.brief.history import PastExperiment
from autoresearch.brief.human_text import HumanText
from autoresearch.brief.lesson_choice import LessonChooser
from autoresearch.brief.newest_trials import MeasuredVersion
from autoresearch.brief.openings import Opening, find_openings
from autoresearch.brief.reliability import describe_reliability
from autoresearch.errors import describe_failure, is_unexpected, require
from autoresearch.files import JsonObject
from autoresearch.ledger import Experiment, trained_steps
from autoresearch.ledger.early_stops import forecasts
from autoresearch.ledger.guard_values import guard_means
from autoresearch.ledger.prescreens import dropped_gains
from autoresearch.measure.facts import describe_training
from autoresearch.measure.referee import Conditions
from autoresearch.session.arms import Arm
from autoresearch.session.context import SessionContext
from autoresearch.session.evidence import Evidence
from autoresearch.source.rebase import find_conflicts
from autoresearch.workspace.git import GitError
from autoresearch.workspace.texts import merge_texts

SHOWN_VERSIONS = 4  # measured last, beside the incumbent
MAX_TRIALS = 10  # of one version, the newest
MAX_SEARCHED = 20  # experiments among which they are searched


@dataclass
class Briefing:
    """Write the briefs of one session; settled experiments are read once."""

    context: SessionContext
    evidence: Evidence
    program: Path
    lessons: LessonChooser
    offers: bool  # the agent takes openings (brief/openings.py); one without a model does not
    conditions: Conditions
    task: str | None = None  # where a command measures
    history: list[PastExperiment] = field(default_factory=list)
    program_text: HumanText = field(init=False)
    ideas_text: HumanText = field(init=False)
    _texts: dict[Path, HumanText] = field(default_factory=dict)  # of the arms

    def __post_init__(self) -> None:
        self.program_text, self.ideas_text = map(self._text, (self.program, self.program.with_name("ideas.md")))

    def _text(self, path: Path) -> HumanText:
        return HumanText(path, lambda line: self.context.emit("warning", None, line))

    def _read_program(self, arm: Arm) -> str:
        """Return the instructions of an arm; a control arm has none."""
        return self._texts.setdefault(arm.program, self._text(arm.program)).read() if arm.program else ""

    def write(self, n: int, arm: Arm | None = None, parent: int | None = None) -> Brief:
        """Write the brief of experiment `n`, which is to change `parent`, for the arm that is asked.

        None: the incumbent, and the only researcher.
        """
        own = arm if arm is not None and arm.name is not None else None
        offers = (self.offers if own is None else own.agent.model is not None) and parent is None
        row, ledger, evidence = self.context.row, self.context.ledger, self.evidence
        history, pending = self._read_history()
        incumbent = evidence.incumbent()
        everything = sorted([*history, *pending], key=lambda past: past.n)
        openings = self._find_openings(everything, incumbent.n) if offers else []
        best = require(self.context.experiment(incumbent.n).text)
        return Brief(
            n=n,
            seed=row.seed,
            program=self.program_text.read() if own is None else self._read_program(own),
            source=best if parent is None else require(self.context.experiment(parent).text),
            incumbent=incumbent.n,
            incumbent_score=evidence.raw_score(incumbent),
            sigma=evidence.sigma() if incumbent.verdict else 0.0,
            metric=evidence.metric,
            history=history,
            pending=pending,
            notes=ledger.notes(row.id),
            openings=openings,
            conflicts=self._find_conflicts(everything, openings),
            versions={each.n: self.context.experiment(each.n).text or "" for each in openings if each.n is not None},
            base_source=self.context.experiment(0).text,
            trial=[*self.conditions.describe(evidence.base_overhead(n)), *evidence.constraints.describe()],
            facts=self._facts(incumbent),
            reliability=describe_reliability(evidence.trials(incumbent), f"experiment {incumbent.n}"),
            measured=self._measured(incumbent, history) if offers and self.task is None else [],
            ideas=ideas.read_ideas(self.ideas_text.read(), everything),
            papers=ideas.read_papers(self.program.with_name("papers"), MAX_BRIEF_TOKENS),
            lessons=self.lessons.choose(n, MAX_LESSON_TOKENS),
            agent=row.agent.partition(":")[0] if own is None else own.agent.name,
            arm=None if own is None else own.name,
            task=self.task,
            rules=evidence.constraints.files.rules if evidence.constraints.files else None,
            parent=None if parent is None else Parent(parent, best),
        )

    def _find_openings(self, history: list[PastExperiment], incumbent: int) -> list[Opening]:
        near = list[int]()
        if any(past.near_miss for past in history):
            rows = self.context.ledger.experiments(self.context.id)
            near = [row.n for row in near_misses.worth_a_look(self.context.ledger, self.context.row, rows)]
        return find_openings(history, incumbent, near)

    def _find_conflicts(self, history: list[PastExperiment], openings: Sequence[Opening]) -> dict[int, str]:
        """Return where the changes of offered experiments that were dropped in a conflict meet the incumbent."""
        offered = {each.n for each in openings}
        found = {past.n: self._conflict(past.n) for past in history if past.conflicts and past.n in offered}
        return {n: lines for n, lines in found.items() if lines}

    def _conflict(self, n: int) -> str:
        """Return the lines in which the change of an experiment meets the incumbent; "" if git cannot say."""
        row, incumbent = self.context.experiment(n), self.evidence.incumbent().n
        before, now = (require(self.context.experiment(k).text) for k in (self.evidence.rival(row).n, incumbent))
        names = f"experiment {incumbent}, the incumbent", f"experiment {n}"
        with suppress(GitError):
            return find_conflicts(merge_texts, before, require(row.text), now, names)
        return ""

    def _read_history(self) -> tuple[list[PastExperiment], list[PastExperiment]]:
        """Return the settled experiments, and those that wait or run."""
        suspects = {row.n for row in self.context.ledger.experiments(self.context.id, verdict="suspect")}
        if any(past.verdict == "keep" and past.n in suspects for past in self.history):  # found later
            self.history.clear()
        newest = self.history[-1].n if self.history else -1
        rows = self.context.ledger.experiments(self.context.id, after=newest)
        prefix = list(takewhile(lambda row: row.state == "settled", rows))
        steps = trained_steps(self.context.ledger, self.context.row, newest)
        stopped = dropped_gains(self.context.ledger, self.context.row) | forecasts(self.context.ledger, self.context.id)
        metric = self.context.row.metric
        past = [PastExperiment.from_row(row, steps.get(row.n), stopped.get(row.n), metric) for row in rows]
        self.history += past[: len(prefix)]
        later = [(row.state, each) for row, each in zip(rows, past, strict=True)][len(prefix) :]
        settled, unsettled = ([past for state, past in later if (state == "settled") is done] for done in (True, False))
        return [*self.history, *settled], unsettled

    def _measured(self, incumbent: Experiment, history: Sequence[PastExperiment]) -> list[str]:
        """Return tables of the incumbent and of the experiments that were measured last."""
        versions = [MeasuredVersion(incumbent.n, "incumbent", self._results(incumbent))]
        for past in reversed(history[-MAX_SEARCHED:]):
            if past.n not in (0, incumbent.n) and len(versions) <= SHOWN_VERSIONS:
                results = self._results(self.context.experiment(past.n))
                versions += [MeasuredVersion(past.n, past.verdict, results)] if results else []
        settings = self.conditions.settings
        return newest_trials.tables(versions, settings.budget, settings.device)

    def _results(self, experiment: Experiment) -> list[JsonObject]:
        """Return the results of the trials in which an experiment trained."""
        return [trial.result for trial in self.evidence.trials(experiment) if trial.result.get("train_seconds")][
            -MAX_TRIALS:
        ]

    def _facts(self, incumbent: Experiment) -> list[str]:
        good = [trial for trial in self.evidence.trials(incumbent) if trial.outcome == "ok"]
        guards = [f"{name}: {mean:.4g}" for name, mean in guard_means(good).items()]
        try:
            return [*self._describe(good[-1].result), *guards] if good else []
        except Exception as error:
            if not is_unexpected(error):
                raise
            self.context.emit("failed", incumbent.n, describe_failure(error))
            return []

    def _describe(self, result: JsonObject) -> list[str]:
        gpu = self.conditions.settings.gpu
        memory = hardware.gpu_memory(gpu) if gpu else None
        peak = hardware.peak_tflops(hardware.gpu_name(gpu)) if gpu else None
        return describe_training(result, peak, memory[0] / 2**20 if memory else None)
