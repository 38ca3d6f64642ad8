"""How reliably a version trains: its share of failed trials, and its margin to the bell."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from autoresearch.ledger import Trial
from autoresearch.ledger.rows import STOPPED
from autoresearch.text import plausible


def describe_reliability(trials: Sequence[Trial], name: str) -> list[str]:
    """Describe completed trials of one version, which is called `name`: failures, and the budget left at its save."""
    if not trials:
        return []
    failed = Counter(str(trial.outcome) for trial in trials if trial.outcome not in ("ok", STOPPED))
    kinds = ", ".join(f"{number} {outcome}" for outcome, number in failed.most_common())
    failures = f"{failed.total()} failed ({kinds})" if failed else "none failed"
    lines = [f"Trials of {name}: {len(trials)}, {failures}."]
    margins = [found for trial in trials if (found := plausible(trial.result.get("margin"))) is not None]
    if margins:
        left = f"{100 * fmean(margins):.1f} % of the budget was left on average, at least {100 * min(margins):.1f} %"
        lines.append(f"When {name} had saved, {left}.")
    return lines
