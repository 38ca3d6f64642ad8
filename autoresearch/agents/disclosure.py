"""Who gets what: the line with which `run` says what is sent to a model, and to whom."""

from autoresearch.agents.base import Agent
from autoresearch.agents.llm.model_agent import ModelAgent

ALWAYS = "program.md, notes, ideas, papers, {versions} and past experiments"
NEVER = "never validation text, other files or keys"


def what_is_sent(agent: Agent, private: bool, by_command: bool = False) -> str | None:
    """Return one line on what an agent sends to whom; None for one that sends nothing.

    With `private`, no training text is sent. With `by_command`, a command measures, and not the built-in trial.
    """
    always = ALWAYS.format(versions="the files that may change" if by_command else "train.py")
    text = "what train.py and the model's probes print, which may be training text"
    text = "what the command that measures prints" if by_command else text
    if isinstance(agent, ModelAgent):
        return f"to {agent.server.api.host}: {always}; {'no training text' if private else text}; {NEVER}"
    if agent.name == "command":
        return f"to the tool in its cell, and from there to whom it likes: {always}; {NEVER}"
    return None
