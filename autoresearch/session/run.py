"""One run of a session: opened, assembled, run until a limit is reached, and closed."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoresearch.agents import registry
from autoresearch.agents.base import Agent, Proposal
from autoresearch.agents.scripted import FixedAgent, Scripted
from autoresearch.analysis import total
from autoresearch.brief.lesson_choice import LessonChooser
from autoresearch.brief.lessons import Lessons
from autoresearch.errors import UserError, describe_error, require
from autoresearch.files import JsonObject
from autoresearch.fleet.fleet_project import FleetProject
from autoresearch.ledger import Experiment, Ledger, Session, count_settled, newest
from autoresearch.ledger.node_trials import NODES
from autoresearch.measure.referee import Referee
from autoresearch.sandbox.selftest import Inspection
from autoresearch.session.arms import Arm, Arms, agent_of_session
from autoresearch.session.briefing import Briefing
from autoresearch.session.candidates import CandidateMaker
from autoresearch.session.constraints import Constraints
from autoresearch.session.context import SessionContext
from autoresearch.session.crashes import Crashes
from autoresearch.session.demotion import demote_suspects
from autoresearch.session.early_stop import EarlyStop
from autoresearch.session.events import Listener, SessionClosed, SessionOpened
from autoresearch.session.fillers import Fillers
from autoresearch.session.lesson_expiry import expire_lessons
from autoresearch.session.lookahead import Lookahead
from autoresearch.session.loop import SessionLoop
from autoresearch.session.maintenance import Maintenance
from autoresearch.session.opening import check_comparable, open_session
from autoresearch.session.parents import ParentChooser
from autoresearch.session.pipeline import Pipeline, spare_cores
from autoresearch.session.pooling import PoolFinder
from autoresearch.session.power_report import PowerReport, choose_forecast
from autoresearch.session.proposer import Proposer
from autoresearch.session.referees import find_screen_pool, referees_of
from autoresearch.session.remembered import record_researcher
from autoresearch.session.researchers import Researchers
from autoresearch.session.screening import ScreenPool
from autoresearch.session.stopping import Limits, SessionControl, report_repetition
from autoresearch.session.target import Target
from autoresearch.session.tool_access import make_tools
from autoresearch.session.total_at_end import measure_at_end
from autoresearch.session.trial_runner import TrialRunner
from autoresearch.session.two_pool_loop import TwoPoolLoop
from autoresearch.session.two_pools import make_evidence
from autoresearch.session.untaken import find_untaken, report_unknown_sessions
from autoresearch.setup.forecast import Forecast
from autoresearch.setup.project import Project, inspection, trial_identity
from autoresearch.setup.script_base import BELIEF, describe_belief
from autoresearch.setup.trial_run import BasePlanner
from autoresearch.source.size import data_limit
from autoresearch.source_tree import EditRules
from autoresearch.tools.model_tools import ModelTools
from autoresearch.tools.scoring_gate import ScoringGate
from autoresearch.workspace.workspace import Workspace


def run_session(
    project: Project, ledger: Ledger, limits: Limits, listeners: Sequence[Listener], origin: str | None = None
) -> tuple[str, str]:
    """Run a session, a new one from the best of session `origin` if given; return why it ended, and its tag.

    Raises UserError, Blocker.
    """
    cell = inspection(project)
    context = _open(project, ledger, limits, listeners, cell, origin)
    _announce(context, project, cell, is_new=origin is None and project.config.tag is None)
    reason, error = "error", ""
    try:
        inputs = _loop_inputs(context, project, limits, None)
        loop = assemble(context, inputs)
        reason = loop.run()
        Crashes(context).guard(0, lambda: expire_lessons(context, loop.lessons))
        if inputs.tools is not None:  # an agent that is still at work may not run anything beside what follows
            inputs.tools.close()
        if reason != "interrupted":
            _conclude(context, project, limits, loop)
    except KeyboardInterrupt:
        reason = reason if reason != "error" else "interrupted"
    except Exception as failure:
        error = describe_error(failure)
        raise
    finally:
        ledger.abandon_open_trials(context.id)
        ledger.event(context.id, "ended", error or reason)
        ledger.update_session(context.id, state="ended", stop_reason=reason)
    Crashes(context).guard(0, context.write_results)  # runs/ may have been deleted since the last verdict
    report_repetition(context)
    context.notify(SessionClosed(context.row, reason, context.workspace.advance_branch(context.tag)))
    return reason, context.tag


def _open(
    project: Project,
    ledger: Ledger,
    limits: Limits,
    listeners: Sequence[Listener],
    cell: Inspection,
    origin: str | None,
) -> SessionContext:
    """Begin or continue the session in the ledger. Raises UserError."""
    workspace = Workspace.of(project.root, project.config)
    if project.command is None:
        project.data.verify()
    row = open_session(project, ledger, workspace, origin)
    row = ledger.update_session(
        row.id,
        slots=len(project.slots),
        state="running",
        stop_reason=None,
        pid=os.getpid(),
        grade=cell.grade,
        layers=cell.layers,
        deadline=limits.deadline,
        agent=agent_of_session(project.config),
    )
    return SessionContext(row.id, row.tag, ledger, workspace, project.runs, listeners)


def _announce(context: SessionContext, project: Project, cell: Inspection, is_new: bool) -> None:
    """Say that the session runs, where, and what may be believed of its number."""
    row, workspace = context.row, context.workspace
    untaken = find_untaken(context.ledger, workspace, row)
    context.notify(SessionOpened(row, cell, workspace.user_files.are_dirty(), untaken))
    if isinstance(project, FleetProject):
        context.emit(NODES, None, project.fleet.describe(), **project.fleet.recorded)
    if project.command is not None:
        context.emit("number", None, project.command.describe_belief(cell.grade), belief=project.command.belief)
    elif row.settings.get("belief") is not None:
        context.emit("number", None, describe_belief(cell.grade), belief=BELIEF)
    record_researcher(context, project.config)
    if is_new:
        report_unknown_sessions(context)


def _conclude(context: SessionContext, project: Project, limits: Limits, loop: SessionLoop) -> None:
    """Say what the session could show, and measure the honest total if there is time for it."""
    if loop.power is not None:
        loop.power.conclude()
    reserved, left = loop.control.reserve_s(), limits.seconds_left()
    pairs = total.pairs_at_end(context.ledger, context.row, _total_pairs(project), reserved, left)
    if pairs:
        referee = referees_of(context, project, 1, require(context.experiment(0).text), ScoringGate())[0]
        measure_at_end(context, project.basis, limits, referee, pairs, loop.maintenance.card(project.slot.gpu))


def take_out(
    session: Session, project: Project, ledger: Ledger, proposal: Proposal, by: str, listeners: Sequence[Listener]
) -> Experiment:
    """Measure and judge a version without some keeps, after its session has ended."""
    workspace = Workspace.of(project.root, project.config)
    check_comparable(session, project)
    cell = inspection(project)
    count, last = count_settled(ledger, session), require(newest(ledger, session))
    ledger.update_session(session.id, state="running", pid=os.getpid(), grade=cell.grade, layers=cell.layers)
    context = SessionContext(session.id, session.tag, ledger, workspace, project.runs, listeners)
    try:
        if demoted := demote_suspects(context):  # `proposal` was derived from another incumbent
            raise UserError(f"experiments {', '.join(map(str, demoted))} were found suspect: see `autoresearch log`")
        limits = Limits(max_experiments=count + 1)
        inputs = _loop_inputs(context, project, limits, FixedAgent(by, proposal))
        assemble(context, replace(inputs, first=last + 1)).run()
    finally:
        ledger.abandon_open_trials(session.id)
        ledger.update_session(session.id, state=session.state, stop_reason=session.stop_reason)
    workspace.advance_branch(session.tag)
    return context.experiment(last + 1)


@dataclass(frozen=True)
class LoopInputs:
    """Parts of a loop that a run chooses; `assemble` makes the others."""

    agent: Agent  # the only one; where there are `arms`, the first one's
    base: str  # text of experiment 0
    program: Path
    referees: Sequence[Referee]  # one for each slot
    identity: JsonObject  # what they measure on now
    limits: Limits = field(default_factory=Limits)
    replicates: int = 3
    constraints: Constraints = field(default_factory=Constraints)
    reserve_s: Callable[[], float] = lambda: 0.0  # seconds that are kept for what comes after the loop
    max_bytes: float = math.inf  # of the artefacts
    stand_in: Agent | None = None  # proposes while the agent is broken or away
    prepares_ahead: bool = False  # candidates are prepared while trials run ...
    spare: tuple[int, ...] = ()  # ... on these cores
    tools: ModelTools | None = None  # that the agent may run
    proposals: int = 1  # at most in one conversation
    early_stop: bool = True  # of screenings that have lost
    pool: bool = False  # near misses are merged into candidates
    archive: bool = False  # proposals may change other versions than the incumbent
    forecast: Callable[[float], Forecast | None] | None = None  # of so many hours; None: nobody wants to know
    task: str | None = None  # what a researcher is told where a command measures
    arms: Sequence[Arm] = ()  # several researchers
    usd_per_hour: float = 0.0  # of the machine
    screen_pool: ScreenPool | None = None  # where candidates are screened, if not where they are kept
    first: int = 0  # number of the first experiment that is taken up; unfinished ones before it wait


def assemble(context: SessionContext, inputs: LoopInputs) -> SessionLoop:
    row = context.row
    evidence = make_evidence(context, inputs.replicates, inputs.constraints, inputs.screen_pool)
    lessons = Lessons.locate(context.runs, inputs.identity, row.settings)
    offers = inputs.agent.model is not None
    chooser = LessonChooser(lessons, context.ledger, row.tag, row.id, row.seed)
    briefing = Briefing(context, evidence, inputs.program, chooser, offers, inputs.referees[0], inputs.task)
    arms = Arms(context, inputs.arms or [Arm(inputs.agent, proposals=inputs.proposals)], inputs.usd_per_hour)
    proposer = Proposer(context, arms, inputs.stand_in, inputs.constraints, tools=inputs.tools)
    maintenance = Maintenance(context, inputs.max_bytes)
    early_stop = EarlyStop(context, evidence, inputs.referees[0].settings.budget, inputs.early_stop)
    control = SessionControl(context, inputs.limits, inputs.reserve_s)
    parts = context, evidence, maintenance, early_stop, inputs.identity, inputs.screen_pool
    trials = TrialRunner(*parts, control.is_wait_over)
    parents = ParentChooser.of(context, evidence, inputs.archive)
    pools = PoolFinder.of(context, evidence, inputs.pool, parents.is_away if parents else None)
    slots = len(inputs.referees)
    power = PowerReport(context, evidence, control, slots, inputs.forecast) if inputs.forecast is not None else None
    takers = inputs.screen_pool.slots if inputs.screen_pool else slots
    lookahead = Lookahead(context, takers, arms.proposals) if inputs.prepares_ahead else None
    kind: Callable[..., SessionLoop] = TwoPoolLoop if inputs.screen_pool else SessionLoop
    return kind(
        context=context,
        base=inputs.base,
        referees=inputs.referees,
        candidates=CandidateMaker(context, evidence, briefing, proposer, pools, parents),
        trials=trials,
        evidence=evidence,
        fillers=Fillers(context, evidence, trials, briefing.history.clear),
        control=control,
        target=Target(context, evidence, trials, control),
        pipeline=Pipeline(control, lookahead, inputs.spare),
        maintenance=maintenance,
        lessons=lessons,
        crashes=Crashes(context),
        power=power,
        first=inputs.first,
    )


def _loop_inputs(context: SessionContext, project: Project, limits: Limits, fixed: FixedAgent | None) -> LoopInputs:
    """Choose the parts of a loop; a fixed agent gets one slot and no honest total."""
    config = project.config
    seconds, gate = limits.seconds_left(), ScoringGate()
    spare = spare_cores([slot.cores for slot in project.slots])
    tools = make_tools(context, project, spare, gate) if project.command is None else None
    arms = [Arm(fixed)] if fixed else Researchers(context, project, limits, tools).create()
    has_free_cores = project.slot.gpu is not None or project.slot.remote or bool(spare)
    base = _base_text(context, project)
    return LoopInputs(
        agent=arms[0].agent,
        base=base,
        program=project.root / config.program,
        referees=referees_of(context, project, 1 if fixed else len(project.slots), base, gate),
        identity=trial_identity(project),
        limits=limits,
        replicates=config.replicates,
        constraints=_constraints(context, project, base),
        reserve_s=lambda: 0.0 if fixed else total.reserve(context.ledger, context.row, _total_pairs(project), seconds),
        max_bytes=1e9 * config.max_disk_gb,
        stand_in=registry.create("sweep") if any(arm.agent.model for arm in arms) else None,
        prepares_ahead=_run_beside([arm.agent for arm in arms], has_free_cores),
        spare=spare,
        tools=tools,
        early_stop=config.early_stop,
        arms=arms,
        usd_per_hour=config.usd_per_hour,
        pool=config.pool and fixed is None,
        archive=config.archive and not any(isinstance(arm.agent, FixedAgent | Scripted) for arm in arms),
        forecast=None if fixed else choose_forecast(context, project),
        task=project.command.describe_task(config.create) if project.command else None,
        screen_pool=find_screen_pool(project) if fixed is None else None,
    )


def _run_beside(agents: Sequence[Agent], has_free_cores: bool) -> bool:
    """Return whether proposals are made during trials: they take time, and none of them disturbs a trial."""
    latencies = {agent.proposes for agent in agents}
    return latencies != {"instantly"} and (has_free_cores or "locally" not in latencies)


def _total_pairs(project: Project) -> int:
    """Return the pairs of the honest total: none where there is no holdout."""
    return project.config.total_pairs if project.command is None or project.command.holdout else 0


def _constraints(context: SessionContext, project: Project, base: str) -> Constraints:
    """Return the limits of a version: of the data in train.py, or of which files it has."""
    config, workspace = project.config, context.workspace
    limits = Constraints(config.max_gpu_gb, config.max_parameters, config.max_lines)
    if project.command is None:
        return replace(limits, max_data=data_limit(base))
    rules = EditRules(tuple(config.edit), config.create)
    guards = tuple(project.command.number_guards)
    return replace(limits, files=workspace.limits(context.row.base_sha, rules, project.command.places), guards=guards)


def _base_text(context: SessionContext, project: Project) -> str:
    """Return the text of experiment 0, planned once, when the session begins; another session's version is as it is."""
    base = context.ledger.experiment(context.id, 0)
    if base is not None and base.text is not None:
        return base.text
    if (sha := context.workspace.ref(context.tag, 0)) is not None:  # the ledger is younger than the session
        return context.workspace.read(sha)
    text = context.workspace.read(context.row.base_sha)
    if project.command is not None or context.row.from_tag is not None:
        return text
    return BasePlanner(project, lambda line: context.emit("plan", None, line)).fit(text)
