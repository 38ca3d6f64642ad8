"""A language model as the agent, through Chat Completions: OpenAI's server, or any that speaks like it."""

from autoresearch.agents.llm.model_agent import ModelAgent
from autoresearch.agents.llm.prices import Prices
from autoresearch.agents.openai.chat_api import ChatApi
from autoresearch.agents.openai.chat_endpoint import is_local
from autoresearch.agents.services import Services
from autoresearch.config import Config, Price
from autoresearch.errors import UsageError

DEFAULT_MODEL = "gpt-5.5"  # of OpenAI's server; openai 3.57 lists it
OLLAMA_URL = "http://localhost:11434/v1"
_FREE = Price(input=0, output=0)
_OLLAMA_ADVICE = {
    "unknown model": "`ollama pull` fetches a model, `ollama list` shows those that are there",
    "dropped connection": "`ollama serve` starts the server",
}


class OpenAI(ModelAgent):
    """A model of OpenAI's, or of a server at `base_url`. Raises UsageError, Unusable."""

    name = "openai"
    checks_tools = True

    def __init__(self, config: Config, services: Services) -> None:
        if config.base_url and not config.model:
            raise UsageError("name a model of the server at base_url: --agent openai:MODEL")
        api = ChatApi(config, services.max_call_s, {})
        super().__init__(config.model or DEFAULT_MODEL, api, Prices(config.prices), config, services)


class Ollama(ModelAgent):
    """A model that Ollama serves, by default on this machine. Raises UsageError, Unusable."""

    name = "ollama"
    checks_tools = True

    def __init__(self, config: Config, services: Services) -> None:
        if not config.model:
            raise UsageError("name a model: --agent ollama:MODEL; `ollama list` shows those that are there")
        config = ollama_config(config)
        api = ChatApi(config, services.max_call_s, _OLLAMA_ADVICE)
        super().__init__(str(config.model), api, Prices(config.prices), config, services)


def ollama_config(config: Config) -> Config:
    """Return the settings with Ollama's address, and a price of zero for models that run on this machine."""
    url = config.base_url or OLLAMA_URL
    models = [model for model in (config.model, config.code_model) if model and is_local(url) and not _is_remote(model)]
    prices = {**dict.fromkeys(models, _FREE), **config.prices}
    return config.model_copy(update={"base_url": url, "prices": prices})


def _is_remote(model: str) -> bool:
    """Return whether Ollama only passes requests for a model on to its own servers."""
    return model.endswith((":cloud", "-cloud"))
