"""The whole text that an agent is told for one proposal: its instructions, then the brief."""

from autoresearch.brief.brief import Brief
from autoresearch.config import Config

READ_NOTHING = ("sweep", "scripted")  # agents that read no text


def is_told(agent: str) -> bool:
    """Return whether an agent, as `--agent` names it, reads a brief."""
    return agent.partition(":")[0] not in READ_NOTHING


def full_text(agent: str, config: Config, brief: Brief) -> str:
    """Return what the agent is told, without the descriptions of its tools; for one that reads nothing, as a model."""
    if agent.partition(":")[0] == "command":
        from autoresearch.agents.command.workdir import initial_files

        return initial_files(brief)["BRIEF.md"].decode()
    from autoresearch.agents.llm.prompts import system

    task, source, metric = brief.task, brief.source, brief.metric
    role = system("idea" if config.code_model else "propose", config.edit_format, task, source, metric)
    return "\n\n".join([role, *brief.stable, brief.changing()]) + "\n"
