"""The command `judge`: a second opinion on somebody else's log."""

from pathlib import Path

import typer

from autoresearch.cli.app import JSON, LOOK, app, examples, print_json
from autoresearch.errors import UsageError

GOALS = ("min", "max")


@app.command(
    rich_help_panel=LOOK,
    epilog=examples("autoresearch judge results.tsv", "autoresearch judge log.jsonl --metric auc --goal max"),
)
def judge(
    log: Path = typer.Argument(help="Log of experiments: TSV, CSV or JSON lines."),
    metric: str = typer.Option(None, help="Column of the number; by default val_bpb, metric, score ..."),
    goal: str = typer.Option("min", help="Which is better: min or max."),
    sigma: float = typer.Option(None, help="Standard deviation of one entry; by default from repeated entries."),
    html: Path = typer.Option(None, help="File for a page with a chart."),
    as_json: bool = JSON,
) -> None:
    """Judge somebody else's log: how many of its keeps are probably real, and how much of the gain."""
    from rich.console import Console

    from autoresearch.analysis.foreign_log import as_json as describe
    from autoresearch.analysis.foreign_log import judge_entries, read_log
    from autoresearch.files import write_atomically
    from autoresearch.report import html as renderer
    from autoresearch.report import log_opinion as page
    from autoresearch.report.blocks import Heading
    from autoresearch.terminal.console import print_blocks

    if goal not in GOALS:
        raise UsageError(f"--goal {goal}: give {' or '.join(GOALS)}")
    if sigma is not None and not sigma > 0:
        raise UsageError(f"--sigma {sigma:g}: it must be above zero")
    entries = read_log(log, metric, goal)
    opinions = judge_entries(entries, sigma)
    if as_json:
        print_json(describe(entries, opinions))
        return
    blocks = page.layout(entries, opinions)
    if html is not None:
        title = f"A second opinion on {log.name}"
        write_atomically(html, [renderer.page(title, [Heading(title, 1), *blocks])])
    print_blocks(blocks, Console())
