"""What a session that goes on remembers of its researcher: the limit in dollars, and the model of a coding tool."""

from collections.abc import Mapping

from autoresearch.config import Config
from autoresearch.ledger import Ledger, Session
from autoresearch.session.context import SessionContext

RESEARCHER_EVENT = "researcher"
COMMAND = "command"  # agents of this kind have no limit in dollars, and no model in their names


def record_researcher(context: SessionContext, config: Config) -> None:
    """Record the setting that later runs of the session keep, unless another one is given."""
    name, owner = _kept_setting(config.agent)
    if (value := getattr(config, name)) is not None:
        context.ledger.event(context.id, RESEARCHER_EVENT, "", data={"agent": owner, name: value})


def recall_researcher(ledger: Ledger, session: Session, config: Config, agent: str) -> Mapping[str, object]:
    """Return what an earlier run was told of `agent`, where the settings of this one say nothing."""
    name, owner = _kept_setting(agent)
    events = ledger.events(session.id, kind=RESEARCHER_EVENT) if getattr(config, name) is None else []
    found = [event.data[name] for event in events if event.data["agent"] == owner]
    return {name: found[-1]} if found else {}


def _kept_setting(agent: str) -> tuple[str, str]:
    """Return the setting that is kept, and whose it is: that of one tool, or of all models of a kind."""
    kind = agent.partition(":")[0]
    return ("model", agent) if kind == COMMAND else ("max_usd", kind)
