"""Create the agent that `--agent` names."""

from pathlib import Path

from autoresearch.agents.base import Agent
from autoresearch.agents.services import Services
from autoresearch.config import Config
from autoresearch.errors import UsageError


def create(spec: str, config: Config | None = None, services: Services | None = None) -> Agent:
    """Create `sweep`, `scripted:DIR`, `claude`, `claude:MODEL` or `command:TOOL`. Raises UsageError, Unusable."""
    kind, _, argument = spec.partition(":")
    if kind == "sweep" and not argument:
        from autoresearch.agents.sweep.sweep_agent import Sweep

        return Sweep()
    if kind == "scripted" and argument:
        from autoresearch.agents.scripted import Scripted

        return Scripted(Path(argument))
    if kind == "command" and argument:
        from autoresearch.agents.command.command_agent import Command

        return Command(argument, config or Config(), services or Services())
    if kind == "claude":
        from autoresearch.agents.claude.claude_agent import Claude

        config = config or Config()
        return Claude(config.model_copy(update={"model": argument}) if argument else config, services or Services())
    known = "`auto`, `sweep`, `claude`, `claude:MODEL`, `command:TOOL` or `scripted:DIR`"
    raise UsageError(f"there is no agent `{spec}`: use {known}")
