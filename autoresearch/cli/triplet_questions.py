"""What `init` asks of a repository's user: at most four questions, each with what was detected as its default."""

import re
from collections.abc import Sequence
from dataclasses import replace

import typer

from autoresearch.setup.glue_files import IN_COPY, with_guard
from autoresearch.setup.triplet import Goal, Number, Triplet

NO_GUARD = "-"
LOWER_WORDS, HIGHER_WORDS = ("min", "lower", "low"), ("max", "higher", "high")


def ask_what_runs(found: Triplet | None) -> Triplet | None:
    """Ask for the files and the command; None where the user names no command."""
    if found is None:
        typer.echo("no program here prints a number; two empty answers lay down the built-in language model", err=True)
    else:
        typer.echo(f"found: {found.kind}: {found.why}", err=True)
    files = _ask("1/4 files that may change", ", ".join(found.edit) if found else "")
    command = _ask("2/4 command that prints the number", found.command if found else "")
    if not files or not command:
        return None
    edit = tuple(word for word in re.split(r"[,\s]+", files) if word)
    own = Triplet("own", "named by you", edit, command)
    return own if found is None else replace(found, edit=edit, command=command, number=_number(found, command))


def _number(found: Triplet, command: str) -> Number | None:
    return found.number if command == found.command else None


def ask_number(options: Sequence[Number]) -> Number:
    """Ask which number counts, and which way is better."""
    names = {option.name: option for option in options}
    if len(names) > 1:
        typer.echo(f"printed once: {', '.join(names)}", err=True)
    while True:
        words = _ask("3/4 number, and min or max", f"{options[0].name} {options[0].goal}").split()
        if words and words[0] in names and (goal := _goal(words[1:], names[words[0]].goal)):
            return replace(names[words[0]], goal=goal)
        typer.echo(f"answer with one of {', '.join(names)}, then min or max", err=True)


def _goal(words: Sequence[str], default: Goal) -> Goal | None:
    if not words:
        return default
    if words[0] in LOWER_WORDS:
        return "min"
    return "max" if words[0] in HIGHER_WORDS else None


def ask_guard(found: Triplet) -> Triplet:
    """Ask for the command that has to succeed."""
    default = (found.guard or NO_GUARD).removeprefix(f"{IN_COPY} ")
    answer = _ask("4/4 command that must not fail (- for none)", default)
    return with_guard(found, None if answer in ("", NO_GUARD) else answer)


def _ask(question: str, default: str) -> str:
    return str(typer.prompt(question, default=default, err=True)).strip()
