"""Changes that can be left out of a session's final version: its keeps, and the parts of kept pools."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from autoresearch.analysis.pools import Change, read_change, stack_changes
from autoresearch.errors import UserError, require
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.source.rebase import rebase_change
from autoresearch.workspace.texts import merge_texts
from autoresearch.workspace.workspace import Workspace


@dataclass(frozen=True)
class KeptChange:
    """One change in the final version; `pool` is the kept pool that it is a part of."""

    experiment: Experiment
    pool: int | None = None


@dataclass(frozen=True)
class KeptChanges:
    """The changes from the base to the final version; `keeps` as `lineage.stack` returns them."""

    ledger: Ledger
    session: Session
    workspace: Workspace
    keeps: Sequence[Experiment]

    def list(self) -> list[KeptChange]:
        """Return what can be left out on its own, oldest first: a pool by its parts."""
        found = list[KeptChange]()
        for keep in self.keeps[1:]:
            parts = [require(self.ledger.experiment(self.session.id, n)) for n in keep.pooled]
            found += [KeptChange(part, keep.n) for part in parts] or [KeptChange(keep)]
        return found

    def without(self, numbers: Collection[int]) -> str:
        """Remove changes from the final version, pools as a whole or by parts.

        Raises UserError if later ones touch the same lines, or if a number is none of them.
        """
        if missing := set(numbers) - {n for keep in self.keeps[1:] for n in (keep.n, *keep.pooled)}:
            raise UserError(f"experiment {min(missing)} is not kept in the final version: see `autoresearch log`")
        text = self._read(self.keeps[-1])
        for before, keep in reversed(list(pairwise(self.keeps))):
            taken = [n for n in (keep.n, *keep.pooled) if n in numbers]
            if taken:
                rest = rebase_change(merge_texts, *self._removal(before, keep, taken), text)
                if rest is None:
                    raise _conflict(taken, "later changes stand on the same lines")
                text = rest
        return text

    def _removal(self, before: Experiment, keep: Experiment, taken: Sequence[int]) -> Change:
        """Return the change from a keep to the same version without some of its changes."""
        if keep.n in taken:
            return self._read(keep), self._read(before)
        rows = {row.n: row for row in self.ledger.experiments(self.session.id)}
        changes = {n: read_change(self.ledger, self.session.id, n, rows) for n in keep.pooled}
        base, rest = self._read(before), [change for n, change in changes.items() if n not in taken]
        whole, without = stack_changes(base, list(changes.values())), stack_changes(base, rest)
        if whole is None or without is None:
            raise _conflict(taken, f"experiment {keep.n} cannot be made again from its parts")
        return whole, without

    def _read(self, keep: Experiment) -> str:
        return self.workspace.read(require(keep.sha))


def _conflict(numbers: Sequence[int], why: str) -> UserError:
    names = f"experiment{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    return UserError(f"{names} cannot be taken out: {why}")
