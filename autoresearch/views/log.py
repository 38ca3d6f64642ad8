"""Experiments as lines, and one of them whole."""

from typing import Any

from rich.console import Console
from rich.markup import escape


def print_log(rows: list[dict[str, Any]], console: Console) -> None:
    """One line an experiment: number, sha, score, change in sigmas, verdict, agent, hypothesis."""
    for row in rows:
        score = "-" if row["val_bpb"] is None else f"{row['val_bpb']:.4f}"
        line = f"{row['n']:4} {(row['sha'] or '')[:7]:7} {score:>7} {_change(row):>18} {row['verdict'] or '...':9}"
        line += f" {row['agent'] or 'base':8} {' '.join((row['hypothesis'] or '').split())}"
        console.print(escape(line), highlight=False, soft_wrap=True)


def _change(row: dict[str, Any]) -> str:
    if row["delta"] is None:
        return ""
    sigmas = f" ({row['delta'] / row['sigma']:+.1f} sigma)" if row["sigma"] else ""
    return f"{row['delta']:+.4f}{sigmas}"


def print_status(status: dict[str, Any], console: Console) -> None:
    """`key: value` lines; times of the split in seconds."""
    for name, value in status.items():
        if isinstance(value, dict):
            value = "  ".join(f"{key} {number:.0f}" for key, number in value.items())
        if isinstance(value, float):
            value = f"{value:.6g}"
        console.print(escape(f"{name}: {'-' if value is None else value}"), highlight=False, soft_wrap=True)


def print_experiment(row: dict[str, Any], trials: list[dict[str, Any]], patch: str, console: Console) -> None:
    """Hypothesis, verdict, every trial with its seed and score, and the change."""
    for name in ("n", "sha", "parent", "verdict", "reason", "hypothesis", "category", "agent", "val_bpb", "delta", "sigma"):
        console.print(escape(f"{name}: {'-' if row[name] is None else row[name]}"), highlight=False, soft_wrap=True)
    for trial in trials:
        score = "-" if trial["val_bpb"] is None else f"{trial['val_bpb']:.6f}"
        console.print(escape(f"trial: {trial['purpose']} seed {trial['seed']} {trial['outcome']} {score}"), highlight=False)
    console.print(escape(patch), highlight=False, soft_wrap=True)
