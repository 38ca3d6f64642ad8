"""The brief that a session would give next, read without a lock and without writing anything.

It works before the first session, within a session, and while another process runs it.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoresearch import config as configuration
from autoresearch import hardware
from autoresearch.agents import auto
from autoresearch.agents.told import full_text, is_told
from autoresearch.brief import ideas
from autoresearch.brief.brief import MAX_BRIEF_TOKENS, MAX_LESSON_TOKENS, Brief
from autoresearch.brief.human_text import HumanText, describe_blank
from autoresearch.brief.lesson_choice import LessonChoice, LessonChooser
from autoresearch.brief.lessons import Lessons
from autoresearch.brief.tokens import count_tokens
from autoresearch.config import NO_PROGRAM, Config, cache_folder, config_of_arm
from autoresearch.data.builder import find_dataset
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError, require
from autoresearch.files import JsonObject
from autoresearch.ledger import Experiment, Ledger, Session, current, newest, status
from autoresearch.ledger.database import NO_SESSION
from autoresearch.measure.command_spec import CommandSpec
from autoresearch.measure.result import Overhead
from autoresearch.measure.settings import Settings
from autoresearch.measure.trial_facts import describe_trial
from autoresearch.metric import VAL_BPB
from autoresearch.session.arms import is_mix, recorded_arms
from autoresearch.session.briefing import Briefing
from autoresearch.session.constraints import Constraints
from autoresearch.session.context import SessionContext
from autoresearch.session.evidence import Evidence, prior_noise
from autoresearch.session.parents import ParentChooser
from autoresearch.setup import plan, slots
from autoresearch.setup.command import read_command
from autoresearch.setup.project import require_source, settings
from autoresearch.source_tree import EditRules
from autoresearch.workspace.workspace import Workspace

PINNED = ("budget", "device", "eval_rows")  # settings of a session


@dataclass(frozen=True)
class Preview:
    """The next brief; `tag` is that of its session, None before the first one. `missing` are lines for the user."""

    brief: Brief
    agent: str
    tag: str | None
    text: str
    missing: list[str]

    def as_json(self) -> JsonObject:
        brief = self.brief
        return {
            "session": self.tag,
            "agent": self.agent,
            "n": brief.n,
            "incumbent": brief.incumbent,
            "openings": [opening.label for opening in brief.openings],
            "tokens": count_tokens(self.text),
            "stable_tokens": count_tokens(self.text) - count_tokens(brief.changing()),
            "missing": self.missing,
            "text": self.text,
        }


@dataclass(frozen=True)
class _Conditions:
    """The trials of a slot, as far as they are known: the data set may be missing."""

    settings: Settings
    data: Dataset | None
    command: CommandSpec | None = None

    def describe(self, base: Overhead | None) -> list[str]:
        if self.command is not None:
            return self.command.describe()
        return describe_trial(self.settings, self.data, base)


@dataclass(frozen=True)
class _ReadOnlyContext(SessionContext):
    """A session that is only read: its events become lines for the user."""

    missing: list[str] = field(default_factory=list)

    def emit(self, kind: str, n: int | None, text: str, **data: object) -> None:
        self.missing.append(text)


def preview(root: Path, flags: Mapping[str, object], tag: str | None = None) -> Preview:
    """Return the next brief of a session, by default the current one. Raises UserError."""
    config, arm = _choose_arm(configuration.load(root, flags))
    workspace, path = Workspace.of(root, config), root / "runs" / "ledger.db"
    if tag is None and not path.exists():
        return _Previewer(root, config, workspace, None, config.agent, arm).before_the_base()
    with Ledger.open(path, readonly=True) as ledger:
        session = current(ledger) if tag is None else ledger.find_session(tag)
        if session is None:
            raise UserError(NO_SESSION)
        if config.agent == auto.AUTO and is_mix(session):
            config, arm = _choose_arm(config.model_copy(update={"arms": tuple(recorded_arms(ledger, session))}))
        agent = config.agent if config.agent != auto.AUTO else session.agent
        names = [name for name in PINNED if name in session.settings and not (name == "budget" and config.run)]
        pinned = {name: session.settings[name] for name in names}
        made = _Previewer(root, config.model_copy(update=pinned), workspace, session, agent, arm)
        base = ledger.experiment(session.id, 0)
        if base is None or base.verdict != "keep":
            return made.before_the_base(ledger, base)
        return made.within(ledger, session)


def _choose_arm(config: Config) -> tuple[Config, str | None]:
    """Return the settings and the name of the first arm that reads a brief; without arms, the settings as they are."""
    if not config.arms:
        return config, None
    arm = next((arm for arm in config.arms if is_told(arm.agent)), config.arms[0])
    return config_of_arm(config, arm), arm.name


class _Previewer:
    """Write the next brief from a configuration and what can be read."""

    def __init__(
        self,
        root: Path,
        config: Config,
        workspace: Workspace,
        session: Session | None,
        agent: str,
        arm: str | None = None,
    ) -> None:
        self.root, self.config, self.workspace, self.session = root, config, workspace, session
        self.arm = arm
        self.missing = [f"each arm has a brief of its own: this is the one of {arm}"] if arm else []
        self.agent = self._choose_agent() if agent == auto.AUTO else agent
        if not is_told(self.agent):
            self.missing.append(f"{self.agent} reads no brief: this is what a language model would be told")
        slot = slots.choose(config.device, config.threads, config.slots)[0]
        command = read_command(root, config) if config.run else None
        self.conditions = _Conditions(settings(config, slot), self._find_data(slot.device, command), command)
        self.rules = EditRules(tuple(config.edit), config.create) if command else None
        self.places = command.places if command else frozenset()
        self.task = command.describe_task(config.create) if command else None

    def within(self, ledger: Ledger, session: Session) -> Preview:
        """Return the next brief of a session whose base is measured."""
        config = self.config
        context = _ReadOnlyContext(session.id, session.tag, ledger, self.workspace, self.root / "runs")
        files = self.workspace.limits(session.base_sha, self.rules, self.places) if self.rules else None
        limits = Constraints(config.max_gpu_gb, config.max_parameters, config.max_lines, files=files)
        evidence = Evidence(context, config.replicates, prior_noise(ledger, session), limits)
        lessons = Lessons.locate(context.runs, session.identity, session.settings)
        conditions = replace(self.conditions, settings=self._settings_of(ledger, session))
        chooser = LessonChooser(lessons, ledger, session.tag, session.id, session.seed)
        briefing = Briefing(context, evidence, self.root / config.program, chooser, True, conditions, self.task)
        parents = ParentChooser.of(context, evidence, config.archive)
        parent = None if parents is None else parents.choose()
        brief = briefing.write(1 + (newest(ledger, session) or 0), parent=parent)
        if self.arm is not None:
            brief = replace(brief, arm=self.arm, agent=self.agent.partition(":")[0])
        self.missing += context.missing
        if session.state == "ended":
            self.missing.append(f"session {session.tag} has ended: this is what its next brief would be")
        return self._preview(brief)

    def _settings_of(self, ledger: Ledger, session: Session) -> Settings:
        """Return the settings of a session's trials: flags of `run` may have chosen other slots than the settings."""
        count = status(ledger, session, time.time()).slots
        found = replace(self.conditions.settings, memory=hardware.memory_bytes() // (1 + count))
        base = require(ledger.experiment(session.id, 0))
        trials = [trial for trial in ledger.trials(session.id, base.id) if trial.purpose == "base"]
        slot = trials[-1].result.get("slot") if trials else None
        if isinstance(slot, str):
            return replace(found, gpu=slot)
        return replace(found, cores=tuple(slot), threads=len(slot)) if slot else found

    def before_the_base(self, ledger: Ledger | None = None, base: Experiment | None = None) -> Preview:
        """Return the first brief, without what is known when the base is measured."""
        settings, program = self.conditions.settings, self.root / self.config.program
        text = base.text if base else None
        if text is None:
            text = self.workspace.read(self.workspace.head())
            text = text if self.rules else plan.fit_device(text, settings.device)
        told = "its score, the noise and its trials"
        self.missing.append(f"the base is not measured yet: {told} will be told; `autoresearch run` measures it")
        if settings.gpu is not None and base is None:
            self.missing.append("the constants of train.py are planned for the card when the session begins")
        warn = self.missing.append
        written, thought = (HumanText(path, warn).read() for path in (program, program.with_name("ideas.md")))
        limits = Constraints(self.config.max_gpu_gb, self.config.max_parameters, self.config.max_lines)
        return self._preview(
            Brief(
                n=1,
                seed=0,
                program=written,
                source=text,
                incumbent=0,
                incumbent_score=None,
                sigma=0.0,
                history=[],
                trial=[*self.conditions.describe(None), *limits.describe()],
                ideas=ideas.read_ideas(thought, []),
                papers=ideas.read_papers(program.with_name("papers"), MAX_BRIEF_TOKENS),
                lessons=self._lessons(ledger),
                task=self.task,
                rules=self.rules,
                metric=self.conditions.command.metric if self.conditions.command else VAL_BPB,
            )
        )

    def _preview(self, brief: Brief) -> Preview:
        if not brief.program.strip() and self.config.program != NO_PROGRAM:
            self.missing.append(describe_blank(self.config.program))
        tag = self.session.tag if self.session else None
        return Preview(brief, self.agent, tag, full_text(self.agent, self.config, brief), self.missing)

    def _choose_agent(self) -> str:
        found = auto.find_researchers(self.config, os.environ, auto.home_folder())
        return found[0].agent if found else auto.SWEEP

    def _lessons(self, ledger: Ledger | None) -> LessonChoice:
        """Return lessons of earlier sessions on the same data, if it is there; a new session draws its own."""
        settings, basis = self.conditions.settings, self.conditions.command or self.conditions.data
        if basis is None:
            return LessonChoice()
        identity = hardware.identity(settings.device, settings.gpu, basis.hash)
        lessons = Lessons.locate(self.root / "runs", identity, {"budget": str(settings.budget)})
        session = self.session
        if session is not None:
            return LessonChooser(lessons, ledger, session.tag, session.id, session.seed).choose(1, MAX_LESSON_TOKENS)
        choice = LessonChooser(lessons, ledger).choose(1, MAX_LESSON_TOKENS)
        if choice.pool:
            self.missing.append("which lessons it has is drawn when the session begins")
        return choice

    def _find_data(self, device: str, command: CommandSpec | None) -> Dataset | None:
        """Return the data set of the session or of the settings; None, and a line for the user, if it is not there."""
        if command is not None:
            return None
        pinned = self.session.settings.get("data") if self.session else None
        try:
            found = find_dataset(cache_folder(), pinned) if pinned else self._find_prepared(device)
            missing = f"the data set {pinned} is not in the cache: set AUTORESEARCH_CACHE to the one of the session"
            if not pinned:
                missing = "the data set is not prepared: `autoresearch prepare` makes it"
        except (UserError, OSError) as error:
            found, missing = None, str(error)
        if found is None:
            self.missing.append(f"{missing}; text, vocabulary and rows are left out")
        return found

    def _find_prepared(self, device: str) -> Dataset | None:
        from autoresearch.setup import prepare

        config = self.config
        require_source(config, device)
        shape = (config.vocab_size, config.seq_len, device)
        folder = prepare.dataset_path(config.source, *shape, shards=config.shards)
        return Dataset.open(folder) if folder.exists() else None
