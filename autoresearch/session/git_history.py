"""The kept versions of a session as git knows them: what is left if runs/ is gone.

Each ancestor of `best`, down to the base, is a keep whose commit message holds its verdict, or a version between two
keeps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from autoresearch.session import describe
from autoresearch.workspace.workspace import Workspace, base_message, is_base_message


@dataclass(frozen=True)
class GitHistory:
    """Commits of one session: the incumbent, the keeps that led to it by number, and the base."""

    best: str
    kept: dict[int, str]
    base: str  # experiment 0
    start: str  # the commit on which the session was started

    @classmethod
    def read(cls, workspace: Workspace, tag: str) -> "GitHistory | None":
        """Read the history behind `best` or, where that is gone, behind the branch; None if there is none."""
        refs, others = workspace.refs(tag), _versions_of_others(workspace, tag)
        known = workspace.best(tag), workspace.last_branch(tag), workspace.branch(tag)
        histories = (_walk(workspace, tag, tip, refs, others) for tip in chain(known, _keeps(workspace, refs)) if tip)
        return next((history for history in histories if history is not None), None)

    def restore_references(self, workspace: Workspace, tag: str) -> None:
        """Set the references of the session that are gone."""
        names = {str(n): sha for n, sha in self.kept.items()} | {"0": self.base, "best": self.best}
        for name, sha in names.items():
            workspace.restore(tag, name, sha, only_missing=True)
        workspace.restore_branch(tag, self.best)

    def measured(self, workspace: Workspace) -> dict[str, str]:
        """Return how the newest keep was measured, as far as its commit message says it."""
        keep = describe.read_keep_message(workspace.message(self.kept[max(self.kept)])) if self.kept else None
        return keep.measured if keep is not None else {}

    def origin(self, workspace: Workspace, tag: str) -> dict[str, object]:
        """Return the version of another session that is the start of this one, as columns of the session, if any."""
        message = workspace.message(self.start)
        kept = describe.read_keep_message(message)
        if kept is None and not is_base_message(message):
            return {}
        others = (other for other in workspace.tags() if other != tag)
        known = next((other for other in others if self.start in workspace.refs(other).values()), "unknown")
        return {"from_tag": known, "from_n": kept.n if kept else 0, "head": workspace.head()}


def _keeps(workspace: Workspace, refs: dict[int, str]) -> Iterator[str]:
    """Yield the commits that were kept once, newest first."""
    return (sha for sha in reversed(refs.values()) if describe.read_keep_message(workspace.message(sha)))


def _versions_of_others(workspace: Workspace, tag: str) -> set[str]:
    """Return the versions of other sessions, without their bases, which may be versions of this one."""
    others = (workspace.refs(other) for other in workspace.tags() if other != tag)
    return {sha for refs in others for n, sha in refs.items() if n > 0}


def _walk(workspace: Workspace, tag: str, tip: str, refs: dict[int, str], others: set[str]) -> GitHistory | None:
    """Follow the first parents from `tip` to the base; None if `tip` is no version of the session.

    Where the reference of the base is gone, it is the first version of another session, or the first that is no keep.
    """
    base, ours, kept, sha = refs.get(0), set(refs.values()), dict[int, str](), tip
    if base is not None and not workspace.is_ancestor(base, tip):
        return None
    while sha != base:
        keep = describe.read_keep_message(workspace.message(sha))
        if base is None and sha not in ours and (keep is None or sha in others):
            break
        if keep is not None:
            kept[keep.n] = sha
        if (parent := workspace.parent(sha)) == sha:  # the first commit of the repository
            return None
        sha = parent
    if tip not in ours and tip not in kept.values():
        return None
    start = workspace.parent(sha) if workspace.message(sha) == base_message(tag) else sha
    return GitHistory(tip, kept, sha, start)
