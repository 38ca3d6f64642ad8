"""Who gets what: the line with which `run` says what is sent to a model, and to whom."""

from urllib.parse import urlsplit

from autoresearch.agents.base import Agent
from autoresearch.config import Config

HOSTS = {"claude": "api.anthropic.com"}  # of each agent that calls a model, unless `base_url` is set
ALWAYS = "program.md, notes, ideas, papers, train.py and past experiments"
NEVER = "never validation text, other files or keys"


def what_is_sent(agent: Agent, config: Config, private: bool) -> str | None:
    """Return one line on what an agent sends to whom; None for one that sends nothing.

    With `private`, no training text is sent.
    """
    text = "no training text" if private else "what train.py and the model's probes print, which may be training text"
    if agent.name in HOSTS:
        server = urlsplit(config.base_url).netloc.rpartition("@")[2] if config.base_url else HOSTS[agent.name]
        return f"to {server}: {ALWAYS}; {text}; {NEVER}"
    if agent.name == "command":
        return f"to the tool in its cell, and from there to whom it likes: {ALWAYS}; {NEVER}"
    return None
