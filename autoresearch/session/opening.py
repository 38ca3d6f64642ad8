"""The session of a run: an unfinished one that goes on, or a new one."""

import os
import secrets
import time

from autoresearch import hardware
from autoresearch.errors import UserError
from autoresearch.files import JsonObject
from autoresearch.ledger import Ledger, Session, check_free
from autoresearch.session.stopping import RESUMABLE
from autoresearch.setup.project import Project
from autoresearch.workspace.workspace import Workspace


def open_session(project: Project, ledger: Ledger, workspace: Workspace) -> Session:
    """Go on with an unfinished session on the same base, or start one. Raises UserError."""
    head, config = workspace.head(), project.config
    session = ledger.session(config.tag)
    if session is not None and (config.tag or _is_unfinished(session, head)):
        check_comparable(session, project)
        return session
    tag = config.tag or choose_tag(ledger, workspace)
    seed = config.seed if config.seed is not None else secrets.randbits(31)
    settings, identity = pinned_settings(project), trial_identity(project)
    return ledger.create_session(tag, f"autoresearch/{tag}", head, config.agent, config.judge, settings, identity, seed)


def check_comparable(session: Session, project: Project) -> None:
    """Raise UserError if new trials cannot be compared with the session's."""
    if session.pid != os.getpid():
        check_free(session)
    now, then = pinned_settings(project) | trial_identity(project), session.settings | session.identity
    changed = [name for name, value in then.items() if now.get(name) != value]
    if changed:
        words = f"session `{session.tag}` was started with another {', '.join(changed)}"
        raise UserError(f"{words}: scores could not be compared; choose a new --tag")


def pinned_settings(project: Project) -> JsonObject:
    """Return the settings that may not change while a session lasts."""
    return {
        "budget": str(project.settings.budget),
        "device": project.settings.device,
        "data": project.data.hash,
        "eval_rows": project.settings.eval_rows,
        "judge": project.config.judge,
    }


def trial_identity(project: Project) -> JsonObject:
    """Return what two trials must have in common to be compared."""
    return hardware.identity(project.slot.device, project.slot.gpu, project.data.hash)


def choose_tag(ledger: Ledger, workspace: Workspace) -> str:
    """Return today's first tag that neither the ledger nor git knows."""
    day = time.strftime("%b%d").lower()
    tags = [day, *(f"{day}-{k}" for k in range(2, 1000))]
    taken = {*workspace.tags(), *(session.tag for session in ledger.sessions())}
    return next(tag for tag in tags if tag not in taken)


def _is_unfinished(session: Session, head: str) -> bool:
    finished = session.state == "ended" and session.stop_reason not in RESUMABLE
    return session.base_sha == head and not finished
