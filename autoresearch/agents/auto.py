"""Choose who proposes with `--agent auto`: the best researcher that is there, and what it uses up.

Looking costs nothing and starts nothing: a key is a variable of the environment, a login is a file in the home folder.
"""

import importlib.util
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from autoresearch.agents.claude.claude_model import DEFAULT_MODEL as CLAUDE_MODEL
from autoresearch.agents.command.presets import PRESETS, Preset
from autoresearch.agents.llm.prices import Prices
from autoresearch.agents.openai.openai_agent import DEFAULT_MODEL as OPENAI_MODEL
from autoresearch.agents.openai.openai_agent import ollama_config
from autoresearch.agents.registry import MODELS
from autoresearch.config import Config, how_to_price

AUTO = "auto"
SWEEP = "sweep"
KEYS = {"claude": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"), "openai": ("OPENAI_API_KEY",)}
DEFAULT_MODELS = {"claude": CLAUDE_MODEL, "openai": OPENAI_MODEL}
PLAN_TOKENS = ("CLAUDE_CODE_OAUTH_TOKEN", "CODEX_ACCESS_TOKEN")  # logins in a variable
DEFAULT_MAX_USD = 10.0  # of a session with a model that `auto` offers
MIN_TOKEN_CHARS = 16  # of the value in a login file that is its key
MAX_LOGIN_BYTES = 1 << 20
MAX_NAME_CHARS = 60
HOW_TO_GET_ONE = (
    "for a language model set ANTHROPIC_API_KEY or OPENAI_API_KEY, or log in to Claude Code, Codex or Gemini CLI"
)

_KEY_NAME = re.compile("key|token", re.I)
_ASSIGNMENT = re.compile(rf"^\s*(?:export\s+)?\w+\s*=\s*[\"']?[^\s\"'#]{{{MIN_TOKEN_CHARS},}}", re.MULTILINE)


@dataclass(frozen=True)
class Researcher:
    """Someone who proposes: `agent` for `--agent`, `name` for a person.

    `evidence` is the key or login by which it was found, `cost` what it uses up. `max_usd` is the limit that goes with
    it, if one is possible.
    """

    agent: str
    name: str
    evidence: str
    cost: str
    max_usd: float | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.evidence}, {self.cost})"

    @property
    def settings(self) -> dict[str, object]:
        """Return the settings that choose it."""
        limit = self.max_usd
        return {"agent": self.agent} | ({} if limit is None else {"max_usd": int(limit) if limit % 1 == 0 else limit})

    @property
    def flags(self) -> str:
        """Return the flags that choose it."""
        return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in self.settings.items())


def home_folder() -> Path | None:
    """Return the user's home folder, if there is one."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def find_researchers(config: Config, environment: Mapping[str, str], home: Path | None) -> list[Researcher]:
    """Return the researchers that can work here and are paid for, best first.

    Those that `max_usd` cannot limit are left out under it: coding agents, and models of OpenAI without a price.
    """
    found = []
    if (evidence := _key("claude", config, environment)) is not None:
        found.append(_offer("claude", config, evidence))
    if config.max_usd is None:
        found += _logged_in(config, environment, home)
    if (evidence := _key("openai", config, environment)) is not None and not config.base_url and _has_openai():
        offer = _offer("openai", config, evidence)
        found += [offer] if config.max_usd is None or _unpriced("openai", config) is None else []
    return found


def must_ask(config: Config, found: Sequence[Researcher], recorded: str | None = None) -> bool:
    """Return whether somebody has to agree first: nothing says yet who proposes, and the best one is paid for."""
    return config.agent == AUTO and recorded is None and bool(found) and config.max_usd is None


def choose_unasked(config: Config, found: Sequence[Researcher], recorded: str | None = None) -> str:
    """Return the agent of a run that can ask nobody; `recorded` is that of a session that goes on.

    A paid one is taken only if a limit in dollars is set.
    """
    if config.agent != AUTO:
        return config.agent
    if recorded is not None:
        return recorded
    return found[0].agent if found and config.max_usd is not None else SWEEP


def settle_unasked(config: Config, found: Sequence[Researcher], recorded: str | None = None) -> dict[str, object]:
    """Return the settings of that agent: a model that nobody named now gets a limit, unless its price is unknown."""
    agent = choose_unasked(config, found, recorded)
    kind, _, model = agent.partition(":")
    if config.agent != AUTO or kind not in KEYS:
        return {"agent": agent}
    offer = _offer(kind, config.model_copy(update={"model": model or config.model}), "")
    return offer.settings | {"agent": agent}


def name_model(agent: str, model: object) -> str:
    """Return the agent with the model that a flag gives it, unless it names one: a session keeps both."""
    kind, _, own = agent.partition(":")
    return f"{kind}:{model}" if kind in MODELS and model and not own else agent


def describe(agent: str, config: Config, environment: Mapping[str, str], home: Path | None) -> Researcher:
    """Describe the researcher that `--agent` names."""
    kind, _, argument = agent.partition(":")
    if kind in MODELS:
        config = config.model_copy(update={"model": argument or config.model})
        return _describe_model(kind, config, agent, _key(kind, config, environment))
    if kind == "command":
        preset = PRESETS.get(argument)
        name = " ".join(agent.split())[:MAX_NAME_CHARS]
        if preset is None:
            return Researcher(agent, name, "a command of yours", "its cost is not known here")
        return _tool(agent, preset, config, _login(preset, environment, home))
    if kind == SWEEP:
        return Researcher(agent, SWEEP, "numeric search", "free")
    return Researcher(agent, agent[:MAX_NAME_CHARS], "edits from a folder", "free")


def announce(chosen: Researcher, found: Sequence[Researcher], why: str = "") -> str:
    """Return the line that says who proposes, what it may cost, and the alternatives; `why` it was chosen."""
    return f"researcher: {chosen}{f', {why}' if why else ''}; {list_alternatives(chosen.agent, found)}"


def list_alternatives(agent: str, found: Sequence[Researcher]) -> str:
    others = [each for each in found if each.agent != agent]
    if agent != SWEEP:
        listed = [f"{each.agent} ({each.name})" for each in others] + ["sweep (numeric search, free)"]
        return f"or give --agent: {', '.join(listed)}"
    if others:
        return ", ".join(f"or {each.name} ({each.evidence}): {each.flags}" for each in others)
    return f"{HOW_TO_GET_ONE}, or give --agent"


def _key(kind: str, config: Config, environment: Mapping[str, str]) -> str | None:
    """Return the name of the key that a model would be asked with; None without one.

    Another server than that of the keys gets `auth_token`.
    """
    if config.base_url:
        return "auth_token" if config.auth_token else None
    return next((name for name in KEYS.get(kind, ()) if environment.get(name)), None)


def _has_openai() -> bool:
    """Return whether the package of the extra is installed."""
    return importlib.util.find_spec("openai") is not None


def _offer(kind: str, config: Config, evidence: str) -> Researcher:
    """Describe a model as `auto` offers it: with a limit, unless its price is unknown."""
    if config.max_usd is None and _unpriced(kind, config) is None:
        config = config.model_copy(update={"max_usd": DEFAULT_MAX_USD})
    return _describe_model(kind, config, kind, evidence)


def _describe_model(kind: str, config: Config, agent: str, evidence: str | None) -> Researcher:
    config = ollama_config(config) if kind == "ollama" else config
    source = evidence or (config.base_url and urlsplit(config.base_url).netloc.rpartition("@")[2]) or "no key is set"
    return Researcher(agent, " with ".join(_models(kind, config)), source, _cost(kind, config), config.max_usd)


def _cost(kind: str, config: Config) -> str:
    if (unknown := _unpriced(kind, config)) is not None:
        return f"cost unknown: set {how_to_price([unknown])}"
    prices = map(Prices(config.prices).price, _models(kind, config))
    if not any(price.input or price.output for price in prices if price):
        return "free"
    if config.max_usd is None:
        return f"no limit on its cost: --max-usd {DEFAULT_MAX_USD:g} sets one"
    return f"at most ${config.max_usd:g} a session"


def _models(kind: str, config: Config) -> list[str]:
    model = config.model or DEFAULT_MODELS.get(kind, "no model")
    return [model, *([config.code_model] if config.code_model else [])]


def _unpriced(kind: str, config: Config) -> str | None:
    """Return a model whose price is unknown."""
    prices = Prices(config.prices)
    return next((model for model in _models(kind, config) if prices.price(model) is None), None)


def _logged_in(config: Config, environment: Mapping[str, str], home: Path | None) -> Iterator[Researcher]:
    """Yield the coding agents that are on PATH and logged in."""
    for name, preset in PRESETS.items():
        if shutil.which(preset.command[0], path=environment.get("PATH", "")) is None:
            continue
        if (evidence := _login(preset, environment, home)) is not None:
            yield _tool(f"command:{name}", preset, config, evidence)


def _tool(agent: str, preset: Preset, config: Config, evidence: str | None) -> Researcher:
    name = preset.title + (f" with {config.model}" if config.model else "")
    if evidence is not None and evidence in preset.keys and evidence not in PLAN_TOKENS:
        return Researcher(agent, name, evidence, "billed to that key, without a limit of ours")
    cost = "counts against the limits of your plan, or is billed where you have none"
    return Researcher(agent, name, evidence or "not logged in", cost)


def _login(preset: Preset, environment: Mapping[str, str], home: Path | None) -> str | None:
    """Return the key, or `logged in`, with which a tool would work in its cell; None without either."""
    if key := next((name for name in preset.keys if environment.get(name)), None):
        return key
    return "logged in" if home and any(_holds_key(home / name) for name in preset.login) else None


def _holds_key(path: Path) -> bool:
    """Return whether a login file holds what may be a key: an empty one, or one without, is that of a logout."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_LOGIN_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    try:
        return _has_key(json.loads(text))
    except (ValueError, RecursionError):
        return _ASSIGNMENT.search(text) is not None


def _has_key(value: object) -> bool:
    """Return whether a JSON value has a long text whose name says that it is a key or a token."""
    if not isinstance(value, dict):
        return False
    named = (text for name, text in value.items() if isinstance(text, str) and _KEY_NAME.search(name))
    return any(len(text) >= MIN_TOKEN_CHARS for text in named) or any(map(_has_key, value.values()))
