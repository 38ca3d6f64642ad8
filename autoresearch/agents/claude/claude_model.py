"""A language model as the agent, through the Messages API: Anthropic's, or any server that speaks it."""

from autoresearch.agents.claude.messages_api import MessagesApi
from autoresearch.agents.llm.model_agent import ModelAgent
from autoresearch.agents.llm.prices import Prices
from autoresearch.agents.services import Services
from autoresearch.config import Config

DEFAULT_MODEL = "claude-opus-5-5"


class Claude(ModelAgent):
    """A Claude model, or another one whose server speaks the Messages API. Raises UsageError, Unusable."""

    name = "claude"

    def __init__(self, config: Config, services: Services) -> None:
        api = MessagesApi(config, services.max_call_s)
        super().__init__(config.model or DEFAULT_MODEL, api, Prices(config.prices), config, services)
