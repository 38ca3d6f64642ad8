"""Who gets what: the line with which `run` says what is sent to a model, and to whom."""

from autoresearch.agents.base import Agent
from autoresearch.agents.llm.model_agent import ModelAgent

ALWAYS = "program.md, notes, ideas, papers, train.py and past experiments"
NEVER = "never validation text, other files or keys"


def what_is_sent(agent: Agent, private: bool) -> str | None:
    """Return one line on what an agent sends to whom; None for one that sends nothing.

    With `private`, no training text is sent.
    """
    text = "no training text" if private else "what train.py and the model's probes print, which may be training text"
    if isinstance(agent, ModelAgent):
        return f"to {agent.server.api.host}: {ALWAYS}; {text}; {NEVER}"
    if agent.name == "command":
        return f"to the tool in its cell, and from there to whom it likes: {ALWAYS}; {NEVER}"
    return None
