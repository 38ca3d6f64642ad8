"""Count what each arm of a session proposed, gained and cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoresearch.errors import UserError
from autoresearch.judge.arm_comparison import ArmResults
from autoresearch.ledger import ExperimentRow, Ledger, Session, experiment_rows
from autoresearch.ledger.arm_names import arm_of_event, name_arms
from autoresearch.ledger.arm_records import candidate_seconds
from autoresearch.ledger.rows import Call


@dataclass
class _Counts:
    proposals: int = 0
    measured: int = 0
    kept: int = 0
    gains: list[float] = field(default_factory=list)
    seconds: float = 0.0
    dollars: float | None = 0.0

    def pay(self, cost: float | None) -> None:
        self.dollars = None if self.dollars is None or cost is None else self.dollars + cost

    def results(self, name: str) -> ArmResults:
        hours = self.seconds / 3600
        return ArmResults(name, self.proposals, self.measured, self.kept, tuple(self.gains), hours, self.dollars)


def count_arms(store: Ledger, session: Session, rows: Sequence[ExperimentRow]) -> list[ArmResults]:
    """Return the results of each arm of a session with these experiments, the one with most proposals first.

    Experiments without a verdict and those that were never measured do not count. Answers that nobody could use count
    once for each proposal. Parts of a pool share its gain.
    """
    names = name_arms(rows)
    counts = {name: _Counts() for name in names.values()}
    seconds = candidate_seconds(store, session)
    for row in rows:
        if row.n in names and row.verdict is not None and not row.unmeasured:
            _count(counts[names[row.n]], row, seconds.get(row.n, 0.0))
        _share_gain(counts, row, names)
    for arm in _refused(store, session, rows, names):
        counts.setdefault(arm, _Counts()).proposals += 1
    _add_dollars(counts, rows, store.calls(session.id), names)
    found = [each.results(name) for name, each in counts.items() if each.proposals]
    return sorted(found, key=lambda arm: -arm.proposals)


def find_results(store: Ledger, session: Session, name: str) -> ArmResults:
    """Return the results of another session, or of an arm of this one. Raises UserError if there is neither."""
    if (other := store.session(name)) is not None:
        return _sum_arms(count_arms(store, other, experiment_rows(store, other)), name)
    arms = count_arms(store, session, experiment_rows(store, session))
    for arm in arms:
        if arm.name == name:
            return arm
    known = ", ".join(f"`{arm.name}`" for arm in arms) or "none yet"
    raise UserError(f"there is no session `{name}`, and session {session.tag} has no such arm: its arms are {known}")


def _sum_arms(arms: Sequence[ArmResults], name: str) -> ArmResults:
    """Return all arms of a session as one."""
    prices = [arm.dollars for arm in arms]
    return ArmResults(
        name,
        sum(arm.proposals for arm in arms),
        sum(arm.measured for arm in arms),
        sum(arm.kept for arm in arms),
        tuple(gain for arm in arms for gain in arm.gains),
        sum(arm.hours for arm in arms),
        None if None in prices else sum(price or 0.0 for price in prices),
    )


def _count(counts: _Counts, row: ExperimentRow, seconds: float) -> None:
    counts.proposals += 1
    counts.measured += row.delta is not None or row.stopped
    counts.kept += row.verdict == "keep"
    counts.seconds += seconds


def _share_gain(counts: Mapping[str, _Counts], row: ExperimentRow, names: Mapping[int, str]) -> None:
    """Credit the gain of a keep to its arm; that of a pool equally to those of its parts."""
    if row.n == 0 or row.verdict != "keep" or row.simpler or (row.delta or 0.0) >= 0:
        return
    arms = [names[n] for n in row.pooled or [row.n] if n in names]
    for arm in arms:
        counts[arm].gains.append(-(row.delta or 0.0) / len(arms))


def _refused(store: Ledger, session: Session, rows: Sequence[ExperimentRow], names: Mapping[int, str]) -> list[str]:
    """Return the arm of each proposal that never became an experiment of that arm."""
    events = store.events(session.id, kind="broken")
    found = {(arm_of_event(event, rows, names), event.n) for event in events}
    return sorted(arm for arm, n in found if arm is not None and names.get(n or 0) != arm)


def _add_dollars(
    counts: Mapping[str, _Counts], rows: Sequence[ExperimentRow], calls: Sequence[Call], names: Mapping[int, str]
) -> None:
    """Add the cost of calls, and what an agent says that a proposal cost where no call is recorded for it."""
    asked = {call.n for call in calls}
    for call in calls:
        arm = call.arm or names.get(call.n or 0)
        if arm is not None and arm in counts:
            counts[arm].pay(call.cost_usd)
    for row in rows:
        if row.n in names and (row.conversation or row.n) not in asked:
            counts[names[row.n]].pay(row.cost_usd or 0.0)
