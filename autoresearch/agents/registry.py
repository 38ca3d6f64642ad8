"""Create the agent that `--agent` names."""

from pathlib import Path

from autoresearch.agents.base import Agent
from autoresearch.agents.services import Services
from autoresearch.config import Config
from autoresearch.errors import UsageError

KNOWN = "`auto`, `sweep`, `claude`, `claude:MODEL`, `openai:MODEL`, `ollama:MODEL`, `command:TOOL` or `scripted:DIR`"
MODELS = ("claude", "openai", "ollama")  # agents that call a model themselves


def create(spec: str, config: Config | None = None, services: Services | None = None) -> Agent:
    """Create the agent that a name such as `sweep` or `claude:MODEL` stands for. Raises UsageError, Unusable."""
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
    if kind in MODELS:
        config = config or Config()
        config = config.model_copy(update={"model": argument}) if argument else config
        return _create_model(kind, config, services or Services())
    raise UsageError(f"there is no agent `{spec}`: use {KNOWN}")


def _create_model(kind: str, config: Config, services: Services) -> Agent:
    if kind == "claude":
        from autoresearch.agents.claude.claude_model import Claude

        return Claude(config, services)
    from autoresearch.agents.openai.openai_agent import Ollama, OpenAI

    return OpenAI(config, services) if kind == "openai" else Ollama(config, services)
