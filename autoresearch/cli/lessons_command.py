"""The command `lessons`."""

from typing import TYPE_CHECKING

import typer

from autoresearch.cli.app import JSON, LOOK, TAG, app, examples, open_ledger, print_json

if TYPE_CHECKING:
    from autoresearch.brief.lesson_list import ListedLesson
    from autoresearch.ledger import Ledger, Session


@app.command(rich_help_panel=LOOK, epilog=examples("autoresearch lessons", "autoresearch lessons --all"))
def lessons(
    tag: str = TAG,
    every: bool = typer.Option(False, "--all", help="Show also those that are new or have expired."),
    as_json: bool = JSON,
) -> None:
    """List the lessons for later sessions, with the rate of keeps with them in the brief and without them.

    To bring back an expired one, remove its mark in runs/lessons-*.md.
    """
    from autoresearch.report import lesson_table
    from autoresearch.terminal import pager

    with open_ledger(tag) as (store, session):
        found, where = _read(store, session)
    shown = [each for each in found if every or each.state in ("yours", "shown")]
    if as_json:
        print_json([lesson_table.as_json(each) for each in shown])
        return
    if shown:
        pager.show([lesson_table.table(shown)])
    hidden = len(found) - len(shown)
    more = f", {hidden} of them new or expired: --all lists them" if hidden else ""
    typer.echo(f"{len(found)} lessons in {where}{more}", err=True)


def _read(store: "Ledger", session: "Session") -> "tuple[list[ListedLesson], str]":
    """Return the lessons for sessions like this one, and the name of their file."""
    from autoresearch.brief.lesson_choice import LessonChooser
    from autoresearch.brief.lesson_list import list_lessons
    from autoresearch.brief.lessons import Lessons

    file = Lessons.locate(store.path.parent, session.identity, session.settings)
    return list_lessons(LessonChooser(file, store)), f"runs/{file.path.name}"
