"""What the user may have missed: best versions that train.py does not have, sessions that only git knows."""

from contextlib import suppress

from autoresearch.analysis.lineage import settled_keeps
from autoresearch.errors import UserError
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.session.context import SessionContext
from autoresearch.workspace.git import GitError
from autoresearch.workspace.workspace import Workspace


def find_untaken(ledger: Ledger, workspace: Workspace, session: Session) -> str | None:
    """Return the newest other session with keeps, if the user never took over its best version.

    None if this session was started from it.
    """
    for other in reversed(ledger.sessions()):
        if other.id != session.id and len(keeps := settled_keeps(ledger, other)) > 1:
            return None if other.tag == session.from_tag or is_taken(workspace, keeps[-1]) else other.tag
    return None


def is_taken(workspace: Workspace, version: Experiment) -> bool:
    """Return whether the user's train.py has, or had, the text of a version; True if git cannot say."""
    with suppress(GitError, UserError, OSError):
        return version.sha is None or workspace.user_files.have_taken_over(version.sha)
    return True


def report_unknown_sessions(context: SessionContext) -> None:
    """Say once which sessions git has and the ledger does not: runs/ may have been deleted."""
    known = [session.tag for session in context.ledger.sessions()]
    unknown = [tag for tag in context.workspace.tags() if tag not in known]
    if unknown and len(known) == 1 and context.ledger.experiment(context.id, 0) is None:
        words = f"runs/ has no record of {', '.join(unknown)}, of which git has the versions"
        context.emit("git", None, f"{words}: `autoresearch run --tag {unknown[-1]}` goes on with that session")
