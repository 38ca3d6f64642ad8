"""Prepare the tool of `command` for a cell: command line, readable files, environment and login."""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoresearch.agents.base import Unusable
from autoresearch.agents.command import executables
from autoresearch.agents.command.addresses import Address, named_addresses
from autoresearch.agents.command.presets import PRESETS, Preset
from autoresearch.config import Config, cache_folder, expand_user, serve_token_file
from autoresearch.errors import UsageError

# every command gets these variables, and may read the certificates
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
TIME_ZONE = "TZ"  # in which it says when a limit ends
MAX_COPY_BYTES = 1 << 20  # of a login or settings file

_SECRETS = re.compile(r"[\"'=]\s*([^\"'\s=]{16,})[\"'\s]")  # values that may be keys
_COST = re.compile(r'"total_cost_usd":\s*(\d+(?:\.\d+)?)')


@dataclass(frozen=True)
class Tool:
    """A tool. `label` is its name in the ledger, `check_command` a free command that shows that it starts.

    `readable` are files and folders that it may read, `files` the content of its HOME by name, `secrets` the texts that
    no trace may contain, `named` the addresses in its command line, variables and settings.
    """

    label: str
    command: str
    check_command: str
    readable: Sequence[Path]
    environment: dict[str, str]
    files: dict[str, bytes]
    secrets: Sequence[str]
    named: frozenset[Address]

    @classmethod
    def find(cls, spec: str, config: Config) -> "Tool":
        """Find a preset by its name, or the program of a shell command. Raises UsageError, Unusable."""
        preset = PRESETS.get(spec, Preset(command=(), model="", keys=()))
        model = [preset.model, config.model] if config.model else []
        command = shlex.join([*preset.command, *model]) if preset.command else executables.expand_home(spec.strip())
        words = executables.split_words(command, config.edit)
        program = executables.locate(words[0])
        if program is None:
            raise Unusable(f"there is no command `{words[0]}` here: install it, or give its full path")
        named = [Path(word) for word in words[1:] if word.startswith("/") and executables.is_file(word)]
        files = _copies([*preset.files, *(() if _variables(preset.keys) else preset.login)])
        texts = [content.decode(errors="replace") + "\n" for content in files.values()]
        keys = _variables([*preset.keys, *config.command_env])
        settings = _variables(preset.settings)
        return cls(
            label=(config.model if preset.command else None) or Path(words[0]).name,
            command=command,
            check_command=f"{words[0]} --version" if preset.command else _open_command(program),
            readable=_readable_paths([Path(program), *named], config.command_read),
            environment={**_environment(), **preset.environment, **settings, **keys},
            files=files,
            secrets=[*keys.values(), *(secret for text in texts for secret in _SECRETS.findall(text))],
            named=named_addresses([command, *settings.values(), *keys.values(), *texts]),
        )

    def cost(self, output: str) -> float | None:
        """Return the dollars in the JSON output of Claude Code; None for other tools."""
        costs = _COST.findall(output) if self.command.startswith("claude ") else []
        return float(costs[-1]) if costs else None


def _open_command(program: str) -> str:
    """Return a command that only opens a program's file; none if it is a word of the shell."""
    return f": < {shlex.quote(program)}" if "/" in program else ":"


def _variables(names: Sequence[str]) -> dict[str, str]:
    """Return the values of the environment variables that are set."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _environment() -> dict[str, str]:
    """Return the variables of every command; of ours only the time zone and what locates programs and certificates."""
    fixed = {"PATH": os.environ.get("PATH", os.defpath), "TERM": "dumb", "NO_COLOR": "1"}
    return fixed | _variables([*CERTIFICATES, TIME_ZONE])


def _copies(names: Sequence[str]) -> dict[str, bytes]:
    """Read files of the user's home folder that exist, by their path in it."""
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home folder has no login there
        return {}
    paths = {name: home / name for name in names}
    return {name: path.read_bytes()[:MAX_COPY_BYTES] for name, path in paths.items() if path.is_file()}


def _readable_paths(programs: Sequence[Path], command_read: Sequence[str]) -> list[Path]:
    """Return the files of programs, and what the user makes readable. Raises UsageError for private paths."""
    paths = [file for path in programs if path.is_file() for file in executables.program_files(path)]
    paths += [Path(value) for value in _variables(CERTIFICATES).values()]
    for name in command_read:
        path = expand_user(name)
        if not path.is_absolute() or not path.exists():
            raise UsageError(f"command_read: `{name}` has to be an absolute path that exists")
        paths.append(path.resolve())
    for path in paths:
        if (private := _private_path(path)) is not None:
            raise UsageError(f"the command may not read {path}: it contains {private}, or is inside it")
    return list(dict.fromkeys(paths))


def _private_path(path: Path) -> Path | None:
    """Return a path in or around this one that no agent may read: data sets, the ledger, git history, a token."""
    here = Path.cwd().resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    private = [(cache_folder() / "data").resolve(), serve_token_file().resolve(), root / "runs", root / ".git"]
    return next((each for each in private if path == each or path in each.parents or each in path.parents), None)
