"""Create the agent that `--agent` names."""

from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.agents.base import Agent
from autoresearch.errors import UsageError

if TYPE_CHECKING:
    from autoresearch.agents.services import Services
    from autoresearch.config import Config


def create(spec: str, config: "Config | None" = None, services: "Services | None" = None) -> Agent:
    """Create `sweep`, `scripted:DIR`, `claude`, `claude:MODEL` or `command:TOOL`.

    `config` and `services` are used by agents that call a model. Raises UsageError, Unusable.
    """
    kind, _, argument = spec.partition(":")
    if kind == "sweep" and not argument:
        from autoresearch.agents.sweep.sweep_agent import Sweep

        return Sweep()
    if kind == "scripted" and argument:
        from autoresearch.agents.scripted import Scripted

        return Scripted(Path(argument))
    if kind == "claude" or (kind == "command" and argument):
        return _create_with_services(kind, argument, config, services)
    known = "`sweep`, `claude`, `claude:MODEL`, `command:TOOL` or `scripted:DIR`"
    raise UsageError(f"there is no agent `{spec}`: use {known}")


def _create_with_services(kind: str, argument: str, config: "Config | None", services: "Services | None") -> Agent:
    from autoresearch.agents.services import Services
    from autoresearch.config import Config

    config, services = config or Config(), services or Services()
    if kind == "command":
        from autoresearch.agents.command.command_agent import Command

        return Command(argument, config, services)
    from autoresearch.agents.claude.claude_agent import Claude

    return Claude(config.model_copy(update={"model": argument}) if argument else config, services)
