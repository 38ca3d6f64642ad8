"""Commands that make pages: report, serve."""

import time
from pathlib import Path

import typer

from autoresearch.cli.app import LOOK, TAG, app, describe_missing_ledger, examples, open_ledger
from autoresearch.errors import Blocker, UserError, describe_install


@app.command(
    rich_help_panel=LOOK, epilog=examples("autoresearch report", "autoresearch report --tag nov27 --png chart.png")
)
def report(
    tag: str = TAG,
    out: Path = typer.Option(None, help="Folder for report.html and report.md; by default runs/TAG."),
    png: Path = typer.Option(None, help="File for the chart as PNG; needs the extra `plot`."),
) -> None:
    """Write a report of the session: one HTML page and a Markdown summary."""
    from autoresearch.analysis import summary
    from autoresearch.files import write_atomically
    from autoresearch.report import html, markdown
    from autoresearch.report import report as page
    from autoresearch.setup import project

    root = project.repository()
    with open_ledger(tag) as (store, session):
        session_summary = summary.read(store, session, root / "runs", time.time())
    title, blocks = page.title(session_summary), page.layout(session_summary)
    texts = {"report.html": html.page(title, blocks), "report.md": markdown.document(blocks)}
    for name, text in texts.items():
        print(write_atomically((out or root / "runs" / session.tag) / name, [text]))
    if png:
        from autoresearch.report import png as picture

        print(picture.save(session_summary.rows, session_summary.status.sigma, png))


@app.command(rich_help_panel=LOOK)
def serve(
    port: int = typer.Option(8765, min=0, max=65535, help="Port; 0 for any free port."),
    host: str = typer.Option("127.0.0.1", help="Address: 127.0.0.1, ::1 or localhost."),
) -> None:
    """Serve the report and more to a browser on this machine, live; needs the extra `web`.

    Prints an address with a token, which opens the pages and stays the same; other users cannot read them.
    """
    from autoresearch.setup import project

    root = project.repository()
    if not (root / "runs").exists() and isinstance(error := describe_missing_ledger(root), Blocker):
        raise error
    try:
        from autoresearch.web import server
    except ImportError:
        raise UserError(f"serve needs starlette and uvicorn: {describe_install('starlette', 'uvicorn')}") from None
    server.serve(root, host, port)
