"""The command `init`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autoresearch.cli.app import RUN, SLOTS, WAIT, app, examples

if TYPE_CHECKING:
    from autoresearch.setup.new_project import NewProject

WORDS = {
    "train.py": "the program that sessions improve: a small GPT",
    "program.md": "what you want of it, in your words: edit it",
    "autoresearch.yaml": "settings, commented out where a default is enough",
    ".gitignore": "runs/, .venv/ and __pycache__/",
}
STATES = {
    "kept": "was there, and stays as it is",
    "changed": "was there, and got the line runs/",
    "deleted": "is in git, but deleted here: not touched",
}


@app.command(
    rich_help_panel=RUN,
    epilog=examples("autoresearch init", "autoresearch init my-research", "autoresearch init --yes"),
)
def init(
    folder: Path = typer.Argument(None, help="Folder of the project, made if it is missing; by default this one."),
    yes: bool = typer.Option(False, "--yes", help="Ask nothing: take what was detected."),
    slots: str = SLOTS,
    wait: bool = WAIT,
) -> None:
    """Make a folder ready for a first session, and commit what that needs.

    In a repository with a program that prints a number: asks at most four questions, measures the base, attacks the
    evaluator, and writes autoresearch.yaml and program.md (docs/measuring.md); where they are there, it only measures
    and attacks. In a clone or a fork of karpathy/autoresearch: trains briefly, and writes the settings that measure it
    (docs/karpathy.md). Else it lays down train.py, program.md, autoresearch.yaml and .gitignore for the built-in trial.
    Makes a git repository if the folder is in none. Files that are there stay as they are, and nothing else is
    committed.
    """
    from autoresearch.cli.init_fork import settle_fork
    from autoresearch.cli.init_triplet import TripletInit, choose_triplet
    from autoresearch.setup.adoption import detect_here, has_command
    from autoresearch.setup.new_project import create_project

    root = (folder or Path()).resolve()
    if has_command(root):
        TripletInit(root, yes, slots, wait).check()
        return
    found = detect_here(root)
    triplet = None if found is None else choose_triplet(found, yes)
    if triplet is None:
        settings, why = settle_fork(root, slots, wait)
        _print(create_project(folder or Path(), settings), why)
    else:
        TripletInit(root, yes, slots, wait).adopt(triplet)


def _print(project: "NewProject", why: str) -> None:
    typer.echo(f"{project.root}{': a new git repository' if project.is_new_repository else ''}")
    for name, state in project.files.items():
        typer.echo(f"  {name:20}{STATES.get(state) or WORDS.get(name, 'new')}")
    typer.echo(f"committed as {project.commit[:7]}" if project.commit else "nothing new to commit")
    if notes := [*project.notes, *filter(None, [why])]:
        typer.echo("\n" + "\n".join(notes))
    folder = "" if project.root == Path.cwd().resolve() else f"cd {shlex.quote(str(project.root))}\n  "
    typer.echo(f"\nnext:\n  {folder}autoresearch doctor            what works on this machine, and what a night allows")
    typer.echo("  autoresearch run --hours 8     a session of eight hours; Ctrl-C ends it earlier")
