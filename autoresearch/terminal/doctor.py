"""Print the findings of `doctor` as aligned lines that can be read without colour."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from autoresearch.analysis.consistency import Difference
from autoresearch.doctor import Check, Findings
from autoresearch.report.format import count
from autoresearch.setup.session_power import UNKNOWN

MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "blocker": ("STOP", "bold red")}


def print_findings(findings: Findings, console: Console) -> None:
    """Print each check with its remedy, the forecast, and whether a session can start."""
    width = max(len(check.name) for check in findings.checks)
    for check in findings.checks:
        _print_check(check, width, console)
    if findings.forecast is not None:
        _line(console, f"\n{findings.forecast}")
    _line(console, str(findings.power or UNKNOWN))
    stops = sum(check.level == "blocker" for check in findings.checks)
    if stops:
        _line(console, f"\n[bold red]{count(stops, 'problem')} to solve first: see STOP above[/]")


def _print_check(check: Check, width: int, console: Console) -> None:
    mark, style = MARKS[check.level]
    _line(console, f"[{style}]{mark}[/]  {escape(check.name):{width}}  {escape(check.text)}")
    if check.remedy:
        _line(console, f"      {'':{width}}  -> {escape(check.remedy)}")


def print_differences(differences: Sequence[Difference], console: Console) -> None:
    for difference in differences:
        _line(console, f"[red]STOP[/]  {escape(difference.where)}: {escape(difference.text)}")
        _line(console, f"      -> {escape(difference.remedy)}")
    if not differences:
        _line(console, "[green]ok[/]    ledger, git and artefacts agree")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
