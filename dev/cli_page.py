"""Write docs/cli.md from the help texts: `python dev/cli_page.py > docs/cli.md`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from autoresearch.cli import app
from autoresearch.cli.app import LOOK, RUN, VERIFY

HEAD = """# Commands

The help texts of all commands (`autoresearch COMMAND --help`), written by `python dev/cli_page.py`. Data goes to
stdout, messages to stderr. The shapes of `--json` and the exit codes are in [json.md](json.md), settings in a file or
in the environment in [guide.md](guide.md). `autoresearch --install-completion` lets bash, zsh or fish complete commands
and options.
"""


def page() -> str:
    """Return the whole page."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    parts = [HEAD]
    for panel in (RUN, LOOK, VERIFY):
        found = {name: command for name, command in commands.items() if command.rich_help_panel == panel}
        parts += [f"## {panel}\n", *("\n".join(_command(name, command)) for name, command in found.items())]
    return "\n".join(parts)


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    yield f"### autoresearch {' '.join([name, *(_names(each) for each in arguments)])}\n"
    yield f"{_join_lines(command.help)}\n"
    rows = [f"| `{_names(each)}` | {_describe(each)} |" for each in command.params if each.name != "help"]
    if rows:
        yield "\n".join(["| | |", "|---|---|", *rows, ""])
    if command.epilog:
        yield "\n".join(["```", *command.epilog.splitlines()[1:], "```", ""])


def _names(param: Any) -> str:
    if param.param_type_name == "argument":
        name = (param.metavar or param.name).upper().strip("[]")
        return name if param.required else f"[{name}]"
    return " / ".join([*param.opts, *param.secondary_opts])


def _describe(param: Any) -> str:
    known = isinstance(param.default, str | int | float | Path) and not isinstance(param.default, bool)
    default = f" Default: {param.default}." if known and param.default != "" else ""
    return f"{_join_lines(param.help or '')}{default}".replace("|", "\\|")


def _join_lines(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


if __name__ == "__main__":
    print(page(), end="")
