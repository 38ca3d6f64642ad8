"""One run of a session, from the evening to the morning: opened or gone on with, run, closed."""

import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from autoresearch import hardware, ledger
from autoresearch.agents import registry
from autoresearch.agents.base import Agent, Proposal, Spent, Unavailable
from autoresearch.agents.fixed import FixedAgent
from autoresearch.agents.lookup import LedgerLibrary
from autoresearch.agents.services import CallRecord, Services
from autoresearch.analysis import total
from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.errors import UserError, in_words, require
from autoresearch.ledger import Experiment, Ledger
from autoresearch.measure import facts
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Progress
from autoresearch.session import pipeline
from autoresearch.session.constraints import Constraints
from autoresearch.session.events import LedgerEvent, Listener, SessionClosed, SessionEvent, SessionOpened, TrialProgress
from autoresearch.session.loop import SessionLoop
from autoresearch.session.stopping import GOES_ON, Limits
from autoresearch.setup import project, trial_run
from autoresearch.setup.project import Project
from autoresearch.workspace.workspace import Workspace


def spend(place: Project, store: Ledger, limits: Limits, listeners: Sequence[Listener]) -> tuple[str, str]:
    """Run a session until a limit is reached; returns why it ended, and its tag. Raises UserError, Blocker."""
    workspace = Workspace(place.root, place.config.train)
    found = project.inspection(place)
    place.data.verify()
    row = open_session(place, store, workspace)
    row = store.update_session(
        row.id,
        slots=len(place.slots),
        state="running",
        stop_reason=None,
        pid=os.getpid(),
        grade=found.grade,
        layers=found.layers,
        deadline=limits.deadline,
        agent=place.config.agent if "agent" in place.config.model_fields_set else row.agent,
    )
    _notify(listeners, SessionOpened(row, found, workspace.dirty()))
    reason, why = "error", ""
    try:
        running = _session(row, place, store, workspace, limits, listeners)
        reason = running.run()
        if reason not in GOES_ON and running.reserve() > 0:
            _total(running, place.config.total_pairs)
    except KeyboardInterrupt:
        reason = reason if reason != "error" else "interrupted"
    except Exception as error:
        why = in_words(error)
        raise
    finally:
        store.abandon_open_trials(row.id)
        store.event(row.id, "ended", why or reason)
        store.update_session(row.id, state="ended", stop_reason=reason)
    if warning := _repeats(row, store):
        _tell("data", warning, row, store, listeners)
    _notify(listeners, SessionClosed(row, reason, workspace.follow(row.tag)))
    return reason, row.tag


def _total(session: SessionLoop, pairs: int) -> None:
    """The honest total, as the last part of the session's time; a trial of it that fails costs nothing else."""
    row, store = session.row, session.ledger

    def watch(n: int, progress: Progress) -> None:
        session.notify(TrialProgress(n, "total", progress))

    referee, card = CellReferee(session.settings, session.data), session.upkeep.card(session.settings.gpu)
    try:
        again = Remeasurer(store, row, session.workspace, referee, session.data, card, watch)
        found = total.measure_total(again, pairs)
        kind, data = "total", asdict(found)
        words = f"{found.val.mean:+.4f} bits per byte, between {found.val.low:+.4f} and {found.val.high:+.4f}"
    except UserError as error:
        kind, words, data = "total failed", str(error), {}
    store.event(row.id, kind, words, data=data)
    session.notify(LedgerEvent(kind, None, words, data))


def take_out(
    row: ledger.Session, place: Project, store: Ledger, proposal: Proposal, by: str, listeners: Sequence[Listener]
) -> Experiment:
    """Measure and judge a version without some of the kept changes, as one more experiment of a session that is over."""
    workspace = Workspace(place.root, place.config.train)
    check_same(row, place)
    found = project.inspection(place)
    decided, newest = ledger.decided(store, row), require(ledger.newest(store, row))
    state: dict[str, Any] = {"state": row.state, "stop_reason": row.stop_reason}
    row = store.update_session(row.id, state="running", pid=os.getpid(), grade=found.grade, layers=found.layers)
    try:
        limits = Limits(max_experiments=decided + 1)
        _session(row, place, store, workspace, limits, listeners, FixedAgent(by, proposal)).run()
    finally:
        store.abandon_open_trials(row.id)
        store.update_session(row.id, **state)
    workspace.follow(row.tag)
    return require(store.experiment(row.id, newest + 1))


def _repeats(row: ledger.Session, store: Ledger) -> str | None:
    """A warning where the base read its training data many times in one budget."""
    base = store.experiment(row.id, 0)
    trials = store.trials(row.id, base.id) if base else []
    return next((facts.repeats(trial.result) for trial in trials if trial.outcome == "ok"), None)


def _session(
    row: ledger.Session,
    place: Project,
    store: Ledger,
    workspace: Workspace,
    limits: Limits,
    listeners: Sequence[Listener],
    given: Agent | None = None,
) -> SessionLoop:
    agent = given or _agent(row, place, store, limits)
    seconds = limits.left()
    spare = pipeline.spare([slot.cores for slot in place.slots])
    waits = agent.thinks == "elsewhere" or (agent.thinks == "here" and (place.slot.gpu is not None or spare))
    return SessionLoop(
        row=row,
        ledger=store,
        workspace=workspace,
        agent=agent,
        stand_in=registry.create("sweep") if agent.model else None,
        settings=place.settings,
        data=place.data,
        runs=place.runs,
        program=place.root / place.config.program,
        base=_base(row, place, store, workspace, listeners),
        identity=identity(place),
        replicates=place.config.replicates,
        reserve=lambda: 0.0 if given else total.reserve(store, row, place.config.total_pairs, seconds),
        constraints=Constraints(place.config.max_gpu_gb, place.config.max_parameters, place.config.max_lines),
        disk=1e9 * place.config.max_disk_gb,
        limits=limits,
        listeners=listeners,
        others=() if given else place.others,
        ahead=len(place.slots) if waits else 0,
        spare=spare,
    )


def _base(
    row: ledger.Session, place: Project, store: Ledger, workspace: Workspace, listeners: Sequence[Listener]
) -> str:
    """The text of experiment 0: planned once, when the session begins."""
    begun = store.experiment(row.id, 0)
    if begun is not None and begun.text is not None:
        return begun.text
    text = workspace.read(row.base_sha)
    planner = trial_run.BasePlanner(place, lambda line: _tell("plan", line, row, store, listeners))
    return planner.fit(text)


def _tell(kind: str, text: str, row: ledger.Session, store: Ledger, listeners: Sequence[Listener]) -> None:
    store.event(row.id, kind, text)
    _notify(listeners, LedgerEvent(kind, None, text))


def _notify(listeners: Sequence[Listener], event: SessionEvent) -> None:
    for listener in listeners:
        listener(event)


def _agent(row: ledger.Session, place: Project, store: Ledger, limits: Limits) -> Agent:
    """The session's agent, with its library and its purse. Raises Unusable before any trial if it cannot work."""
    calls: dict[str, int] = {}

    def record(call: CallRecord) -> None:
        if call.key in calls:
            store.update_call(calls.pop(call.key), **call.columns())
        else:
            calls[call.key] = store.add_call(row.id, **call.columns()).id

    spent = sum(call.cost_usd or 0.0 for call in store.calls(row.id))
    library, readable = LedgerLibrary(place.ledger, row.id), place.data.readable_library()
    agent = registry.create(row.agent, place.config, Services(library, readable, record, spent, limits.left))
    with suppress(Unavailable, Spent):  # the night can begin without it
        agent.check()
    return agent


def pinned(place: Project) -> dict[str, Any]:
    """What may not change while a session lasts."""
    return {
        "budget": str(place.settings.budget),
        "device": place.settings.device,
        "data": place.data.hash,
        "eval_rows": place.settings.eval_rows,
        "judge": place.config.judge,
    }


def identity(place: Project) -> dict[str, Any]:
    """What two trials must have in common to be compared."""
    return hardware.identity(place.slot.device, place.slot.gpu, place.data.hash)


def open_session(place: Project, store: Ledger, workspace: Workspace) -> ledger.Session:
    """Go on with an unfinished session on the same base, or start one. Raises UserError."""
    head = workspace.head()
    found = store.session(place.config.tag)
    if found is not None and (place.config.tag or _goes_on(found, head)):
        check_same(found, place)
        return found
    tag = place.config.tag or _new_tag(store, workspace)
    seed = place.config.seed if place.config.seed is not None else secrets.randbits(31)
    return store.create_session(
        tag, f"autoresearch/{tag}", head, place.config.agent, place.config.judge, pinned(place), identity(place), seed
    )


def _goes_on(session: ledger.Session, head: str) -> bool:
    finished = session.state == "ended" and session.stop_reason not in GOES_ON
    return session.base_sha == head and not finished


def check_same(session: ledger.Session, place: Project) -> None:
    """Whether trials here and now can be compared with the session's. Raises UserError."""
    if session.pid != os.getpid():
        ledger.check_free(session)
    now, then = pinned(place) | identity(place), session.settings | session.identity
    changed = [name for name, value in then.items() if now.get(name) != value]
    if changed:
        raise UserError(
            f"session `{session.tag}` was started with another {', '.join(changed)}: scores could not be compared;"
            " choose a new --tag"
        )


def _new_tag(store: Ledger, workspace: Workspace) -> str:
    """A name that neither the ledger nor git knows: its ledger may have been thrown away."""
    day = time.strftime("%b%d").lower()
    tags = [day, *(f"{day}-{k}" for k in range(2, 1000))]
    taken = {*workspace.tags(), *(session.tag for session in store.sessions())}
    return next(tag for tag in tags if tag not in taken)
