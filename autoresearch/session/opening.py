"""The session of a run: an unfinished one that goes on, or a new one."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from autoresearch import config as configuration
from autoresearch import hardware
from autoresearch.agents import auto, mix, registry
from autoresearch.errors import UsageError, UserError
from autoresearch.files import JsonObject
from autoresearch.fleet.fleet import Fleet
from autoresearch.fleet.fleet_project import FleetProject
from autoresearch.ledger import Ledger, Session, check_free, status
from autoresearch.ledger.node_trials import NODES
from autoresearch.ledger.rows import RESUMABLE, derive_seed
from autoresearch.session.arms import agent_of_session, is_mix, recorded_arms
from autoresearch.session.git_history import GitHistory
from autoresearch.session.remembered import recall_researcher
from autoresearch.setup import slots
from autoresearch.setup.project import (
    Project,
    budget,
    open_project,
    pinned_settings,
    repository,
    require_source,
    trial_identity,
)
from autoresearch.source.contract import require_contract
from autoresearch.workspace.workspace import Workspace

# folder, settings, and agent of the session that goes on -> further settings, of an agent that was checked
SettleAgent = Callable[[Path, configuration.Config, str | None], Mapping[str, object]]


def settle_unasked(root: Path, config: configuration.Config, recorded: str | None) -> Mapping[str, object]:
    """Return the settings of the agent that a session gets if nobody can be asked. Raises UserError."""
    if config.arms:
        return mix.settle(config, root)
    found = auto.find_researchers(config, os.environ, auto.home_folder())
    settings = auto.settle_unasked(config, found, recorded)
    registry.create(str(settings["agent"]), config.model_copy(update=settings))
    return settings


def open_session_project(
    flags: Mapping[str, object], origin: str | None = None, settle_agent: SettleAgent = settle_unasked
) -> Project:
    """Open the project for a session: check train.py and tag, settle and check the agent first. Raises UserError.

    A session that goes on keeps its agent, model and limit in dollars, unless others are set, and its data set,
    whatever its source has become.
    """
    root = repository()
    config = configuration.load(root, flags)
    workspace = Workspace.of(root, config)
    if config.tag is not None:
        workspace.check_tag(config.tag)
    if not (root / "runs").exists() and (config.tag is None or workspace.best(config.tag) is None):
        _check_base(config, workspace)  # of a first session, before its data set is prepared
    if origin is not None:
        with Ledger.open(_ledger_of(root), readonly=True) as ledger:
            ledger.find_session(origin)
            _check_tag_is_new(ledger, config.tag)
    continued = _find_unfinished(root, workspace, config.tag) if origin is None else None
    if continued is not None:
        check_evaluator(continued)
    fleet = _open_fleet(config, root, continued)
    chosen = fleet.slots if fleet else slots.choose(config.device, config.threads, config.slots)
    budget(config, chosen[0].device)  # refuses what cannot run here
    pinned = continued.settings.get("data") if continued else None
    _check_texts(root, config, chosen[0].device, pinned)  # before anybody is asked for money
    recorded = _recorded_agent(continued, flags.get("model")) if continued else None
    kept = _recall(config, root, continued) if continued else {}
    config = config.model_copy(update=kept)
    settled = settle_agent(root, config, recorded)
    flags = {**flags, **kept, **settled, "agent": auto.name_model(str(settled["agent"]), flags.get("model"))}
    project = open_project(flags, root, pinned=pinned, remote=fleet.slots if fleet else ())
    return FleetProject.of(project, fleet) if fleet else project


def _check_texts(root: Path, config: configuration.Config, device: str, pinned: str | None) -> None:
    """Raise UsageError if `program` was set to a file that is not there, or if nobody has chosen a text for a card."""
    is_named = "program" in config.model_fields_set and config.program != configuration.NO_PROGRAM
    if is_named and not (root / config.program).is_file():
        raise UsageError(f"there is no file {config.program}, which `program` names: write it, or mend the setting")
    if config.run is None and pinned is None:
        require_source(config, device)


def _recorded_agent(session: Session, model: object) -> str:
    """Return the agent of a session that goes on; a model that a flag gives takes the place of its own."""
    kind = session.agent.partition(":")[0]
    return kind if model and kind in registry.MODELS else session.agent


def _recall(config: configuration.Config, root: Path, session: Session) -> Mapping[str, object]:
    """Return the settings of its researchers that a session that goes on keeps."""
    goes_on = config.agent == auto.AUTO
    with Ledger.open(_ledger_of(root), readonly=True) as ledger:
        arms = recorded_arms(ledger, session) if goes_on and is_mix(session) else []
        agent = configuration.MIX if arms else session.agent if goes_on else config.agent
        kept = recall_researcher(ledger, session, config, agent)
    return {"agent": agent, "arms": tuple(arms), **kept} if arms else kept


def _open_fleet(config: configuration.Config, root: Path, continued: Session | None) -> Fleet | None:
    """Open the cluster of the settings, else that of a session that goes on. Raises UsageError, Blocker."""
    before = _cluster_of(root, continued) if continued else {}
    address = config.ray or before.get("ray")
    if address in (None, configuration.NO_CLUSTER):
        if config.pools:
            raise UsageError("--pool needs a cluster: give its address, --ray HOST:PORT")
        return None
    pools = config.pools or (before.get("pools") if address == before.get("ray") and not config.nodes else None)
    return Fleet.open(config.model_copy(update={"ray": address, "pools": pools or {}}))


def _cluster_of(root: Path, session: Session) -> JsonObject:
    """Return the address of the cluster on which a session ran last, and its pools; empty if it ran here."""
    with Ledger.open(_ledger_of(root), readonly=True) as ledger:
        found = [event.data for event in ledger.events(session.id, kind=NODES) if "ray" in event.data]
    return found[-1] if found else {}


def _ledger_of(root: Path) -> Path:
    return root / "runs" / "ledger.db"


def _find_unfinished(root: Path, workspace: Workspace, tag: str | None) -> Session | None:
    """Return the session that `run` continues; None if it starts one."""
    # there may be no ledger yet, and a fault of it is told when it is opened to write
    with suppress(UserError), Ledger.open(_ledger_of(root), readonly=True) as ledger:
        return _find_continued(ledger, tag, workspace.head())
    return None


def _find_continued(ledger: Ledger, tag: str | None, head: str) -> Session | None:
    session = ledger.session(tag)
    return session if session is not None and (tag or _is_unfinished(session, head)) else None


def open_session(project: Project, ledger: Ledger, workspace: Workspace, origin: str | None = None) -> Session:
    """Go on with an unfinished session on the same base, or start one, from the best of session `origin` if given.

    Raises UserError, Blocker.
    """
    head, tag = workspace.head(), project.config.tag
    if origin is not None:
        return _start_from(origin, project, ledger, workspace)
    session = _find_continued(ledger, tag, head)
    if session is not None:
        check_comparable(session, project)
        return session
    if tag is not None and (history := GitHistory.read(workspace, tag)) is not None:
        return _recreate(history, project, ledger, workspace, tag)
    _check_base(project.config, workspace)
    return _create(project, ledger, workspace, head)


def _check_base(config: configuration.Config, workspace: Workspace) -> None:
    """Raise Blocker if the committed train.py lacks a function of the contract."""
    if config.run is not None:
        return
    require_contract(workspace.read(workspace.head()), f"{config.train}, as committed,")


def _start_from(origin: str, project: Project, ledger: Ledger, workspace: Workspace) -> Session:
    """Start a session on the commit of another session's best version. Raises UserError."""
    tag, source = project.config.tag, ledger.find_session(origin)
    _check_tag_is_new(ledger, tag)
    best = status(ledger, source, time.time()).best or 0
    version = ledger.experiment(source.id, best)
    if version is None or version.sha is None:
        raise UserError(f"session `{origin}` has no version yet: `autoresearch run --tag {origin}` continues it")
    if version.found_later:
        raise UserError(f"the base of session `{origin}` is suspect: start from another train.py")
    if not workspace.has(version.sha):
        text = f"`autoresearch best --tag {origin}` still has its text"
        raise UserError(f"commit {version.sha[:7]} of experiment {best} of session `{origin}` is gone: {text}")
    if project.command and workspace.locked(version.sha) != project.command.locked:
        raise UserError(f"files that are locked have changed since session `{origin}`: start one from HEAD")
    about = {"from_tag": origin, "from_n": best, "head": workspace.head()}
    return _create(project, ledger, workspace, version.sha, about)


def _check_tag_is_new(ledger: Ledger, tag: str | None) -> None:
    """Raise UserError if there is a session with this tag, to which nothing new can be given as its base."""
    if tag is not None and (session := ledger.session(tag)) is not None:
        other = ", or leave out --from to continue it" if session.evaluator == hardware.EVALUATOR else ""
        raise UserError(f"there is a session `{tag}` already: choose another --tag{other}")


def _recreate(history: GitHistory, project: Project, ledger: Ledger, workspace: Workspace, tag: str) -> Session:
    """Start the record of a session again that only git knows: the recovery reads its experiments from there.

    No seed of an earlier trial comes back: one of them may have selected the incumbent by luck. Raises UserError if
    another working tree has the record, or if new scores could not be compared with those of the keeps.
    """
    if owner := next((path for path in workspace.other_worktrees() if (path / "runs" / tag).exists()), None):
        raise UserError(f"session `{tag}` belongs to the working tree {owner}: run it there, or choose another --tag")
    now, then = {**pinned_settings(project), "evaluator": hardware.EVALUATOR}, history.measured(workspace)
    if changed := [f"{name} ({value})" for name, value in then.items() if str(now.get(name)) != value]:
        words = f"session `{tag}` was started with another {', '.join(changed)}"
        raise UserError(f"{words}: scores could not be compared; set the same, or choose a new --tag")
    history.restore_references(workspace, tag)
    return _create(project, ledger, workspace, history.start, history.origin(workspace, tag), best=history.best)


def _create(
    project: Project,
    ledger: Ledger,
    workspace: Workspace,
    base: str,
    about: Mapping[str, object] = {},
    best: str | None = None,
) -> Session:
    config = project.config
    tag = config.tag or choose_tag(ledger, workspace)
    seed = config.seed if config.seed is not None else secrets.randbits(31)
    if best is None:
        workspace.check_branch(tag, base)
    else:
        seed = derive_seed(seed, best)
    settings, identity, branch = pinned_settings(project), trial_identity(project), f"autoresearch/{tag}"
    agent = agent_of_session(config)
    return ledger.create_session(tag, branch, base, agent, config.judge, settings, identity, seed, **about)


def check_evaluator(session: Session) -> None:
    """Raise UserError if another evaluator measured the session: no new score can be compared with its scores."""
    then, now = session.evaluator, hardware.EVALUATOR
    words = f"session `{session.tag}` was measured by evaluator {then}, and this program has evaluator {now}"
    anew = _start_anew(session)
    if then < now:
        raise UserError(f"{words}: it can be read, but not measured any further; {anew}")
    if then > now:
        raise UserError(f"{words}: update the program to continue it; {anew}")


def _start_anew(session: Session) -> str:
    return f"`autoresearch run --from {session.tag}` starts a new session from its best version"


def check_comparable(session: Session, project: Project) -> None:
    """Raise UserError if new trials cannot be compared with the session's."""
    check_evaluator(session)
    if session.pid != os.getpid():
        check_free(session)
    now, then = pinned_settings(project) | trial_identity(project), session.settings | session.identity
    changed = [name for name, value in then.items() if now.get(name) != value]
    if changed:
        of_a_command = {"data": "evaluator (locked files, commands, settings)"} if project.command else {}
        words = ", ".join(of_a_command.get(name, name) for name in changed)
        words = f"session `{session.tag}` was started with another {words}"
        anew = f"{_start_anew(session)}, `autoresearch run --tag NEW` one from HEAD"
        raise UserError(f"{words}: scores could not be compared; {anew}")


def choose_tag(ledger: Ledger, workspace: Workspace) -> str:
    """Return today's first tag that neither the ledger nor git knows, as a session or as a branch."""
    day = time.strftime("%b%d").lower()
    tags = [day, *(f"{day}-{k}" for k in range(2, 1000))]
    taken = {*workspace.tags(), *workspace.branch_names(), *(session.tag for session in ledger.sessions())}
    return next(tag for tag in tags if tag not in taken)


def _is_unfinished(session: Session, head: str) -> bool:
    finished = session.state == "ended" and session.stop_reason not in RESUMABLE
    return (session.head or session.base_sha) == head and not finished
