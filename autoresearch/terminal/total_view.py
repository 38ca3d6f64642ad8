"""What was measured again, in words."""

from rich.console import Console

from autoresearch.analysis.reproduce import Reproduction
from autoresearch.analysis.total import Interval, Total
from autoresearch.report.format import between
from autoresearch.terminal.pairs import print_pairs

INDENT = 17  # characters


def print_total(total: Total, console: Console) -> None:
    """What the night was worth, next to what a log of best numbers says."""
    lines = {
        "measured": f"experiment {total.final} against {total.base}, the base, in {total.pairs} pairs with fresh seeds",
        "val": _words(total.val),
        "holdout": _words(total.holdout),
        "running minimum": f"{total.running_minimum:+.4f}, as other tools report it",
        "optimism": f"{total.optimism:+.4f} of that was not there when measured again",
    }
    print_pairs(lines, console, INDENT)


def print_reproduction(found: Reproduction, console: Console) -> None:
    """Whether a version scores what the ledger says."""
    lines = {
        "recorded": f"experiment {found.n}: {found.recorded:.4f}",
        "measured": f"{found.measured:.4f}, {len(found.draws)} fresh: {', '.join(f'{draw:.4f}' for draw in found.draws)}",
        "difference": f"{found.difference:+.4f} +- {found.error:.4f} (one standard error)",
        "verdict": "it agrees with the record" if found.agrees else "it does NOT agree with the record",
    }
    print_pairs(lines, console, INDENT)


def _words(interval: Interval) -> str:
    return f"{interval.mean:+.4f} bits per byte, {between(interval)}"
