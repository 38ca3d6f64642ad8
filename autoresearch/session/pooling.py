"""Pools: near misses whose changes are merged into one candidate, without a call of a model.

Each near miss alone is too close to call. Together their gains add up, and one measurement decides on all of them
(docs/judging.md). A pool is an experiment like any other; `ablate` removes its parts one by one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autoresearch.analysis.near_misses import worth_a_look
from autoresearch.analysis.pools import add_change, read_change
from autoresearch.errors import require
from autoresearch.files import JsonObject
from autoresearch.ledger import Experiment
from autoresearch.ledger.rows import BRANCHES, POOL, POOLED
from autoresearch.session.context import SessionContext
from autoresearch.session.describe import Columns
from autoresearch.session.evidence import Evidence

MIN_PARTS, MIN_PARTS_WITHOUT_AGENT = 3, 2
MAX_PARTS = 5  # of the likeliest: each more may be the one that does harm


@dataclass(frozen=True)
class Pool:
    """The text of the incumbent, `parent`, with the changes of several near misses, those with the best odds first."""

    parent: Experiment
    parts: list[Experiment]
    text: str

    @property
    def parts_by_name(self) -> str:
        *others, last = map(str, sorted(self.numbers))
        return f"near misses {', '.join(others)} and {last}"

    @property
    def numbers(self) -> list[int]:
        return [part.n for part in self.parts]

    @property
    def hypothesis(self) -> str:
        return f"stack {self.parts_by_name}"

    @property
    def trace(self) -> list[JsonObject]:
        return [{"kind": POOL, "text": f"the changes of {self.parts_by_name}, made to experiment {self.parent.n}"}]

    @property
    def columns(self) -> Columns:
        """Return the columns of its experiment: it belongs to the categories of all its parts."""
        categories = dict.fromkeys(name for part in self.parts for name in part.categories)
        about = {"agent": POOL, "mode": POOL, "parent": self.parent.n, "params": {POOLED: self.numbers}}
        return {**about, "category": ", ".join(categories) or None, "hypothesis": self.hypothesis}


@dataclass(frozen=True)
class PoolFinder:
    """Find near misses to measure together; hold the lock when calling a method."""

    context: SessionContext
    evidence: Evidence
    always: bool = True  # also while proposals change the incumbent
    is_away: Callable[[], bool] = lambda: False  # whether the incumbent seems to be exhausted: two are enough then

    @classmethod
    def of(
        cls, context: SessionContext, evidence: Evidence, always: bool, is_away: Callable[[], bool] | None
    ) -> "PoolFinder | None":
        """Return a finder of pools; None if there shall never be one."""
        if context.row.judge == "greedy" or not (always or is_away):
            return None
        return cls(context, evidence, always, is_away or (lambda: False))

    def find(self, is_agent_away: bool) -> Pool | None:
        """Return the next pool; None if too few near misses have gathered, or while another pool is measured.

        No set is pooled twice, nor a part of one: at least one near miss has to be another.
        """
        if not (is_away := self.is_away()) and not self.always:
            return None
        rows = self.context.ledger.experiments(self.context.id)
        if any(row.pooled and row.state != "settled" for row in rows):
            return None
        least = MIN_PARTS_WITHOUT_AGENT if is_agent_away or is_away else MIN_PARTS
        before = [frozenset(row.pooled) for row in rows if row.pooled]
        left = self._candidates(rows)
        while len(left) >= least:
            pool = self._stack(left, {row.n: row for row in rows})
            if len(pool.parts) < least:
                return None
            if not any(before_set.issuperset(pool.numbers) for before_set in before):
                return pool
            left = [row for row in left if row.n != pool.numbers[-1]]
        return None

    def _candidates(self, rows: Sequence[Experiment]) -> list[Experiment]:
        """Return the settled near misses that may be parts, the likeliest first, one of each line of inquiry."""
        near = worth_a_look(self.context.ledger, self.context.row, rows)
        lines: dict[int, Experiment] = {}
        for row in near:
            if row.state == "settled" and row.mode not in BRANCHES and not row.pooled:
                lines.setdefault(row.n if row.line is None else row.line, row)
        return list(lines.values())

    def _stack(self, near: Sequence[Experiment], rows: Mapping[int, Experiment]) -> Pool:
        """Make the changes of near misses to the incumbent, leaving out those that conflict with likelier ones."""
        parent = self.context.experiment(self.evidence.incumbent().n)
        text, parts = require(parent.text), list[Experiment]()
        for row in near:
            changed = add_change(text, read_change(self.context.ledger, self.context.id, row.n, rows))
            if changed is not None and len(parts) < MAX_PARTS:
                text, parts = changed, [*parts, row]
        return Pool(parent, parts, text)
