"""The honest total in words."""

from rich.console import Console

from autoresearch.review.total import Interval, Total


def print_total(total: Total, console: Console) -> None:
    """What the night was worth, next to what a log of best numbers says."""
    lines = {
        "measured": f"experiment {total.final} against {total.base}, the base, in {total.pairs} pairs with fresh seeds",
        "val": _words(total.val),
        "holdout": _words(total.holdout),
        "running minimum": f"{total.running_minimum:+.4f}, as other tools report it",
        "optimism": f"{total.optimism:+.4f} of that was not there when measured again",
    }
    for name, text in lines.items():
        console.print(f"{name:17}{text}", highlight=False, soft_wrap=True, markup=False)


def _words(interval: Interval) -> str:
    sure = "" if interval.high < 0 or interval.low > 0 else ": no difference is shown"
    return f"{interval.mean:+.4f} bits per byte, 95 % between {interval.low:+.4f} and {interval.high:+.4f}{sure}"
