"""Sum up experiments by agent, model, category, mode, program.md or tenth of the session."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autoresearch.files import JsonObject
from autoresearch.ledger.queries import ExperimentRow
from autoresearch.ledger.rows import UNSCORED, Call

ALL = "all"
KEYS = ("agent", "model", "category", "mode", "program", "decile")
ARM = "arm"  # has more figures (analysis/arm_counts.py)


@dataclass(frozen=True)
class GroupSums:
    """Sums over one group of experiments, whose value of `by` is `key`.

    An experiment counts in each of its categories. `scored` have a score, or were stopped early because they had
    lost; `unmeasured` were superseded, or lost to the deadline. `near_misses` may have been gains.

    The other fields are the keys of `log --by --json`. `gain` is what its keeps gained when they were judged, bits per
    byte; a keep at the same score is no gain. `cost_usd` is None if the price of a call is unknown, and what a
    keep took is None if nothing was kept.
    """

    by: str
    key: str
    experiments: int
    kept: int
    scored: int
    unmeasured: int
    near_misses: int
    failed: int
    gain: float
    minutes: float
    minutes_per_keep: float | None
    cost_usd: float | None
    cost_per_keep: float | None

    @property
    def tried(self) -> int:
        """Return how many were measured, or failed."""
        return self.experiments - self.unmeasured

    def as_json(self) -> JsonObject:
        sums = {name: value for name, value in vars(self).items() if name not in ("by", "key")}
        return {self.by: self.key, **sums, "promising": self.near_misses}  # its name in the first versions


def sum_groups(rows: Sequence[ExperimentRow], calls: Sequence[Call], by: str) -> list[GroupSums]:
    """Sum up each group of experiments without the base, the largest first, deciles in order."""
    tried = [row for row in rows if row.n > 0]
    groups: dict[str, list[ExperimentRow]] = {}
    for k, row in enumerate(tried):
        decile = str(10 * k // len(tried) + 1)
        keys = {"agent": row.agent, "model": row.model, "mode": row.mode, "program": row.program_hash, "decile": decile}
        for key in (row.categories or ["-"]) if by == "category" else [keys[by] or "-"]:
            groups.setdefault(key, []).append(row)
    costs = _costs(tried, calls)
    sums = [_sum(by, key, group, costs) for key, group in groups.items()]
    return sums if by == "decile" else sorted(sums, key=lambda group: -group.experiments)


def sum_all(rows: Sequence[ExperimentRow], calls: Sequence[Call], by: str) -> GroupSums:
    """Sum up all experiments without the base, each once."""
    tried = [row for row in rows if row.n > 0]
    return _sum(by, ALL, tried, _costs(tried, calls))


def _costs(rows: Sequence[ExperimentRow], calls: Sequence[Call]) -> dict[int, float | None]:
    """Return the dollars of each experiment: of its calls, else as its agent says.

    The experiments of one conversation, whose calls have the number of the first, share its cost.
    """
    costs, shares = dict[int, float | None](), dict[int, float | None]()
    for call in calls:
        if call.n is not None:
            before = costs.get(call.n, 0.0)
            costs[call.n] = None if before is None or call.cost_usd is None else before + call.cost_usd
    sizes = Counter(row.conversation for row in rows)
    for row in rows:
        if row.conversation in costs:
            whole = costs[row.conversation]
            shares[row.n] = None if whole is None else whole / sizes[row.conversation]
    return {row.n: row.cost_usd or 0.0 for row in rows} | costs | shares


def _sum(by: str, key: str, group: Sequence[ExperimentRow], costs: dict[int, float | None]) -> GroupSums:
    keeps = [row for row in group if row.verdict == "keep"]
    dollars = [costs[row.n] for row in group]
    cost = None if None in dollars else sum(each or 0.0 for each in dollars)
    minutes = sum(row.seconds for row in group) / 60
    return GroupSums(
        by=by,
        key=key,
        experiments=len(group),
        kept=len(keeps),
        scored=sum(row.delta is not None or row.stopped for row in group),
        unmeasured=sum(row.unmeasured for row in group),
        near_misses=sum(row.near_miss for row in group),
        failed=sum(row.verdict in UNSCORED for row in group),
        gain=-sum(row.delta or 0.0 for row in keeps if not row.simpler),
        minutes=minutes,
        minutes_per_keep=minutes / len(keeps) if keeps else None,
        cost_usd=cost,
        cost_per_keep=cost / len(keeps) if keeps and cost is not None else None,
    )
