"""What a session that goes on remembers of its researcher: the limit in dollars, and the model of a coding tool."""

from collections.abc import Mapping

from autoresearch.config import Config
from autoresearch.ledger import Ledger, Session
from autoresearch.session.context import SessionContext

RESEARCHER_EVENT = "researcher"
COMMAND = "command"  # agents of this kind have no limit in dollars, and no model in their names


def record_researcher(context: SessionContext, config: Config) -> None:
    """Record the settings that later runs of the session keep, unless others are given."""
    name = "model" if _kind(config.agent) == COMMAND else "max_usd"
    if (value := getattr(config, name)) is not None:
        context.ledger.event(context.id, RESEARCHER_EVENT, "", data={"agent": config.agent, name: value})


def recall_researcher(ledger: Ledger, session: Session, config: Config, agent: str) -> Mapping[str, object]:
    """Return what an earlier run was told of `agent`, where the settings of this one say nothing."""
    name = "model" if _kind(agent) == COMMAND else "max_usd"
    found = (event.data for event in reversed(ledger.events(session.id, kind=RESEARCHER_EVENT)))
    values = (data[name] for data in found if data["agent"] == agent or _kind(data["agent"]) == _kind(agent) != COMMAND)
    value = next(values, None) if getattr(config, name) is None else None
    return {} if value is None else {name: value}


def _kind(agent: str) -> str:
    return agent.partition(":")[0]
