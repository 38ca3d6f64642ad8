"""A second version of program.md, as an arm beside the first."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from autoresearch.config import FILE, Config, split_agents
from autoresearch.errors import UserError
from autoresearch.files import JsonObject, read_text
from autoresearch.setup.new_project import write_new
from autoresearch.setup.settings_file import remember

ARMS = "arms"  # the setting


@dataclass(frozen=True)
class ProgramArm:
    """A new program, and the value of `arms` that compares it; `is_set` if the settings file has it."""

    program: Path
    arms: Sequence[JsonObject]
    is_set: bool

    @property
    def lines(self) -> str:
        """Return the lines of the settings file."""
        return f"{ARMS}:\n" + "".join(f"  - {_dump(arm)}\n" for arm in self.arms)


def add_program_arm(root: Path, config: Config, others: Sequence[JsonObject], text: str) -> ProgramArm:
    """Write a program beside the one of the settings, and add an arm for it to the settings file if it can have one.

    It is the first arm with another program. `others` are the arms where the file has none yet. Raises UserError.
    """
    program = _free_name(root / config.program)
    known = _read_arms(root) or [*others]
    name = program.relative_to(root).as_posix()
    arms = [*known, {**known[0], "name": program.stem, "program": name}]
    write_new(program, text)
    return ProgramArm(program, arms, _remember(root, arms))


def _free_name(program: Path) -> Path:
    names = (program.with_name(f"{program.stem}-{letter}{program.suffix}") for letter in string.ascii_lowercase[1:])
    free = next((path for path in names if not path.exists()), None)
    if free is None:
        raise UserError(f"all names up to {program.stem}-z{program.suffix} are taken: delete programs of old arms")
    return free


def _read_arms(root: Path) -> list[JsonObject]:
    """Return the arms of the settings file, which was read without an error before."""
    found = (yaml.safe_load(read_text(root / FILE) or "") or {}).get(ARMS) or []
    agents = split_agents(found) if isinstance(found, str) else found
    return [{"agent": each} if isinstance(each, str) else dict(each) for each in agents]


def _remember(root: Path, arms: Sequence[JsonObject]) -> bool:
    """Set the arms in the settings file; return False if it cannot be changed line by line."""
    try:
        remember(root, {ARMS: [*arms]})
    except UserError:
        return False
    return True


def _dump(arm: JsonObject) -> str:
    return yaml.safe_dump(arm, default_flow_style=True, sort_keys=False, width=10_000).strip()
