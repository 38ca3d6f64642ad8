"""The tool behind `command`, made ready for a cell: its command line, what it may read, its environment and login."""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoresearch.agents.base import Unusable
from autoresearch.agents.command import executables
from autoresearch.agents.command.presets import PRESETS, Preset
from autoresearch.config import Config, cache_folder
from autoresearch.errors import UsageError

# how to reach the network from here: passed on to every command, and the certificates are readable
NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
LARGEST_FILE = 1 << 20  # bytes of a login or settings file that is copied

_QUOTED = re.compile(r"[\"'=]\s*([^\"'\s=]{16,})[\"'\s]")
_COST = re.compile(r'"total_cost_usd":\s*(\d+(?:\.\d+)?)')


@dataclass(frozen=True)
class Tool:
    """`label` is what the ledger calls it, `trial` a command that shows for free whether it starts.

    `read` are files and folders that it may read, `files` what lies in its HOME, `secrets` what no trace may hold.
    """

    label: str
    command: str
    trial: str
    read: Sequence[Path]
    environment: dict[str, str]
    files: dict[str, bytes]
    secrets: Sequence[str]

    @classmethod
    def find(cls, spec: str, config: Config) -> "Tool":
        """A preset by its name, or a shell command. Raises UsageError, Unusable."""
        preset = PRESETS.get(spec, Preset(command=(), model="", keys=()))
        command = _line(preset, config.model) if preset.command else executables.with_home(spec.strip())
        words = executables.words(command)
        program = executables.locate(words[0])
        if program is None:
            raise Unusable(f"there is no command `{words[0]}` here: install it, or give its full path")
        named = [Path(word) for word in words[1:] if word.startswith("/") and Path(word).is_file()]
        files = _copies([*preset.files, *(() if _set(preset.keys) else preset.login)])
        keys = _set([*preset.keys, *config.command_env])
        return cls(
            label=(config.model if preset.command else None) or Path(words[0]).name,
            command=command,
            trial=f"{words[0]} --version" if preset.command else _opening(program),
            read=_readable([Path(program), *named], config.command_read),
            environment={**_environment(), **preset.environment, **_set(preset.settings), **keys},
            files=files,
            secrets=[*keys.values(), *(text for content in files.values() for text in _strings(content))],
        )

    def cost(self, output: str) -> float | None:
        """Dollars, as Claude Code states them in its JSON output; None from all others."""
        found = _COST.findall(output) if self.command.startswith("claude ") else []
        return float(found[-1]) if found else None


def _line(preset: Preset, model: str | None) -> str:
    return shlex.join([*preset.command, *([preset.model, model] if model else [])])


def _opening(program: str) -> str:
    """A command that only opens a program's file; nothing where the shell itself is the program."""
    return f": < {shlex.quote(program)}" if "/" in program else ":"


def _set(names: Sequence[str]) -> dict[str, str]:
    """Those of the variables that are set, with their values."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _environment() -> dict[str, str]:
    """What every command gets besides the cell's own: nothing of ours but the way to programs and to the network."""
    proxies = [spelling for name in NETWORK for spelling in (name, name.lower())]
    fixed = {"PATH": os.environ.get("PATH", os.defpath), "TERM": "dumb", "NO_COLOR": "1"}
    return fixed | _set([*proxies, *CERTIFICATES])


def _copies(names: Sequence[str]) -> dict[str, bytes]:
    """Files of the user's home folder, by their path in it, if they are there."""
    paths = {name: Path.home() / name for name in names}
    return {name: path.read_bytes()[:LARGEST_FILE] for name, path in paths.items() if path.is_file()}


def _strings(content: bytes) -> list[str]:
    """What may be a key in a login or settings file."""
    return _QUOTED.findall(content.decode(errors="replace") + "\n")


def _readable(named: Sequence[Path], opened: Sequence[str]) -> list[Path]:
    """What the tool is made of, and what the user opens for it. Raises UsageError where it must not be opened."""
    certificates = [Path(value) for value in _set(CERTIFICATES).values()]
    paths = [part for path in named if path.is_file() for part in executables.parts(path)] + certificates
    for name in opened:
        path = Path(name).expanduser()
        if not path.is_absolute() or not path.exists():
            raise UsageError(f"command_read: `{name}` has to be an absolute path that exists")
        paths.append(path.resolve())
    for path in paths:
        if (secret := _private(path)) is not None:
            raise UsageError(f"the command may not read {path}: {secret} is in it or around it")
    return list(dict.fromkeys(paths))


def _private(path: Path) -> Path | None:
    """What no agent may read and this path would open: data sets, the ledger with all trials, the history."""
    here = Path.cwd().resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    places = [(cache_folder() / "data").resolve(), root / "runs", root / ".git"]
    return next((place for place in places if path == place or path in place.parents or place in path.parents), None)
