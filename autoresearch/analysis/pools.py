"""Pools: near misses whose changes are merged into one candidate, and what its trials say of them."""

from collections.abc import Mapping, Sequence

from autoresearch import judge
from autoresearch.errors import require
from autoresearch.ledger import Experiment, Ledger
from autoresearch.ledger.baselines import baseline
from autoresearch.ledger.scores import effects
from autoresearch.source.rebase import rebase_change
from autoresearch.workspace.texts import merge_texts

Change = tuple[str, str]  # the text of the version that an experiment had to beat, and its own


def read_change(store: Ledger, session_id: int, n: int, rows: Mapping[int, Experiment]) -> Change | None:
    """Return the change of an experiment; None if the version that it had to beat, or a text, is not known."""
    before = baseline(rows[n], rows) if n in rows else None
    found = [store.experiment(session_id, each) for each in (before.n, n)] if before else []
    texts = [row.text for row in found if row is not None and row.text is not None]
    return (texts[0], texts[1]) if len(texts) == 2 else None


def add_change(text: str, change: Change | None) -> str | None:
    """Make a change to a text; None if they conflict, or if the text has it already."""
    changed = rebase_change(merge_texts, *change, text) if change is not None else None
    return changed if changed != text else None


def stack_changes(text: str, changes: Sequence[Change | None]) -> str | None:
    """Make changes to a text, one after the other; None if one of them conflicts."""
    for change in changes:
        added = add_change(text, change)
        if added is None:
            return None
        text = added
    return text


def odds_after_pools(store: Ledger, session_id: int, rows: Sequence[Experiment]) -> dict[int, float]:
    """Return the probability of a gain of each near miss, after the pools that it was part of and that were dropped."""
    odds = {row.n: row.p_gain for row in rows if row.near_miss and row.p_gain is not None}
    pools = [row for row in rows if row.pooled and row.verdict == "discard" and row.p_gain is not None]
    share = judge.learn(effects(store, session_id)).share if pools else 0.0
    for pool in pools:
        parts = [n for n in pool.pooled if n in odds]
        updated = judge.update_parts([odds[n] for n in parts], require(pool.p_gain), share)
        odds |= dict(zip(parts, updated, strict=True))
    return odds
