"""What each arm of a session has proposed, what came of it, and what it cost."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autoresearch.judge.allocation import ArmRecord
from autoresearch.ledger.rows import CONVERSATION, Experiment, Session
from autoresearch.ledger.store import Ledger

Key = tuple[str | None, int]  # an arm, and the first experiment of a proposal

# A trial of the incumbent beside a candidate is no cost of the incumbent's arm.
_SECONDS = """
    SELECT n, sum(ended - trials.started) AS seconds FROM trials JOIN experiments AS e ON e.id = experiment_id
    WHERE trials.session_id = :session AND purpose IN ('screen', 'rerun') GROUP BY n
"""
_CALLS = "SELECT arm, n, sum(cost_usd) AS usd FROM calls WHERE session_id = :session AND n > 0 GROUP BY arm, n"
_BROKEN = """
    SELECT DISTINCT json_extract(data, '$.arm') AS arm, n FROM events
    WHERE session_id = :session AND kind = 'broken' AND json_extract(data, '$.arm') IS NOT NULL
"""


@dataclass
class _Account:
    """What became of one proposal; `is_measured` if it was tried, or was broken."""

    gain: float = 0.0
    seconds: float = 0.0
    usd: float = 0.0
    is_pending: bool = False
    is_measured: bool = False


def candidate_seconds(ledger: Ledger, session: Session) -> dict[int, float]:
    """Return the seconds of the trials of each candidate, by its number."""
    return {row["n"]: row["seconds"] or 0.0 for row in ledger.query(_SECONDS, session=session.id)}


def arm_records(ledger: Ledger, session: Session, names: Sequence[str], usd_per_hour: float) -> list[ArmRecord]:
    """Return the records of arms: costs in dollars, or in seconds of trials where nothing has a price.

    A proposal is one, however often it was made again on a newer incumbent; one that was never tried does not count. A
    pool shares its gain and its trials equally between its parts. A proposal that nobody could use has no gain.
    """
    accounts = _read_accounts(ledger, session)
    has_prices = usd_per_hour > 0 or any(account.usd for account in accounts.values())

    def cost(account: _Account) -> float:
        return account.seconds * usd_per_hour / 3600 + account.usd if has_prices else account.seconds

    def record(name: str) -> ArmRecord:
        own = [account for (arm, _), account in sorted(accounts.items(), key=lambda each: each[0][1]) if arm == name]
        decided = [account for account in own if account.is_measured and not account.is_pending]
        gains, costs = tuple(each.gain for each in decided), tuple(map(cost, decided))
        return ArmRecord(name, gains, costs, sum(account.is_pending for account in own))

    return [record(name) for name in names]


def _read_accounts(ledger: Ledger, session: Session) -> dict[Key, _Account]:
    rows = {row.n: row for row in ledger.experiments(session.id)}
    seconds = candidate_seconds(ledger, session)
    accounts: dict[Key, _Account] = {}
    for row in rows.values():
        if row.arm is not None:
            account = accounts.setdefault(_key(row, rows), _Account())
            account.is_pending |= row.state != "settled"
            account.is_measured |= not row.unmeasured
        shares = [rows[n] for n in row.pooled if n in rows] or [row]
        for share in (accounts[_key(each, rows)] for each in shares if each.arm is not None):
            share.gain += _gain(row) / len(shares)
            share.seconds += seconds.get(row.n, 0.0) / len(shares)
    for found in ledger.query(_BROKEN, session=session.id):
        accounts.setdefault((found["arm"], found["n"]), _Account(is_measured=True))
    for key, usd in _dollars(ledger, session, rows):
        if key in accounts:
            accounts[key].usd += usd
    return accounts


def _key(row: Experiment, rows: Mapping[int, Experiment]) -> Key:
    """Return the proposal of an experiment, which may be made again on a newer incumbent."""
    while row.origin is not None and row.origin in rows:
        row = rows[row.origin]
    return row.arm, row.n


def _gain(row: Experiment) -> float:
    """Return the gain that the judge credited; 0 where nothing was kept, or kept at the same score."""
    is_gain = row.verdict == "keep" and row.state == "settled" and not row.simpler
    return max(-(row.delta or 0.0), 0.0) if is_gain else 0.0


def _dollars(ledger: Ledger, session: Session, rows: Mapping[int, Experiment]) -> Iterator[tuple[Key, float]]:
    """Yield dollars of proposals; those of a conversation are shared by what it proposed.

    What an agent says that a proposal cost counts only where no call is recorded for it.
    """
    calls = {(row["arm"], row["n"]): row["usd"] or 0.0 for row in ledger.query(_CALLS, session=session.id)}
    firsts = {row.n: int(row.params.get(CONVERSATION) or row.n) for row in rows.values()}
    together, answered = Counter(firsts.values()), set[Key]()
    for row in rows.values():
        asked = row.arm, firsts[row.n]
        answered.add(asked)
        yield _key(row, rows), calls[asked] / together[asked[1]] if asked in calls else row.cost_usd or 0.0
    yield from ((key, usd) for key, usd in calls.items() if key not in answered)
