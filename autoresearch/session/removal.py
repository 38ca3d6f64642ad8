"""Removal of a session: its references, its files and its rows, after a copy of the ledger."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from autoresearch.errors import UserError
from autoresearch.ledger import Ledger, Session, check_free, copy_ledger
from autoresearch.ledger.database import backup_folder
from autoresearch.workspace.workspace import Workspace


@dataclass(frozen=True)
class Removal:
    """What is left of a removed session: base and incumbent, the ledger as it was, and perhaps its branch."""

    commits: dict[str, str]  # by name of the reference, without those that were gone
    copy: Path
    branch_stays: bool


def remove_session(session: Session, ledger: Ledger, workspace: Workspace) -> Removal:
    """Remove a session that does not run; if it is cut off, it can be removed again. Raises UserError if it runs."""
    check_free(session)
    folder = ledger.path.parent / session.tag
    if folder == backup_folder(ledger.path):  # an older version took this tag
        raise UserError(f"{folder} holds the copies of the ledger too: remove the folders in it by hand")
    commits = {"0": workspace.ref(session.tag, 0), "best": workspace.best(session.tag)}
    copy = copy_ledger(ledger, f"before-removing-{session.tag}.db")
    branch_stays = not workspace.remove(session.tag)
    if folder.exists():
        shutil.rmtree(folder)
    ledger.remove_session(session.id)
    return Removal({name: sha for name, sha in commits.items() if sha is not None}, copy, branch_stays)
