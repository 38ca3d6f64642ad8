"""Settings of several researchers in one session: `arms:` in the file, or `--agent a,b`."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from autoresearch.errors import UsageError

MIX = "mix"  # the agent of a session with arms
NO_PROGRAM = "none"  # as the program of an arm: it gets no program.md
KINDS = ("auto", "sweep", "claude", "openai", "ollama", "command", "scripted")
MAX_NAME_CHARS = 40

_COMMA = re.compile(
    rf",\s*(?=(?:{'|'.join(KINDS)})\s*(?:[:,]|$))"
)  # a command, or the name of a folder, may have others


class ArmSetting(BaseModel):
    """One researcher: who it is, what it reads, how it is asked. What is not given is as in the other settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="", pattern=rf"^[\w.:+/-]{{0,{MAX_NAME_CHARS}}}$")  # derived from the others
    agent: str = Field(min_length=1)
    model: str | None = None
    program: str | None = None  # instructions of the human; `none`: no instructions
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    code_model: str | None = None
    edit_format: Literal["tools", "text"] | None = None
    proposals: int | None = Field(default=None, ge=1, le=3)
    base_url: str | None = None
    max_usd: float | None = Field(default=None, gt=0)  # of this arm

    @field_validator("agent")
    @classmethod
    def _require_one(cls, agent: str) -> str:
        if agent in ("auto", MIX) or len(split_agents(agent)) > 1:
            raise ValueError(f"an arm needs one agent, and not `{agent}`")
        return agent

    @field_validator("base_url")
    @classmethod
    def _refuse_secret(cls, url: str | None) -> str | None:
        if url is not None and "@" in url:
            raise ValueError("the ledger records it: give a key as auth_token, and not in the address")
        return url


def split_agents(agent: str) -> list[str]:
    """Split a list of agents, such as `claude,command:codex,sweep`."""
    return [each.strip() for each in _COMMA.split(agent)]


def _read_arms(value: object) -> object:
    """Return a list of settings from a list of agents."""
    found = split_agents(value) if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        raise ValueError("should be a list, such as [{agent: claude}, {agent: sweep}]")
    return [{"agent": each} if isinstance(each, str) else each for each in found]


Arms = Annotated[tuple[ArmSetting, ...], BeforeValidator(_read_arms)]


def name_arms(arms: Sequence[ArmSetting]) -> tuple[ArmSetting, ...]:
    """Return the arms with names: the agent, with its model and its program where that tells them apart.

    Equal arms without names get the same name. Raises UsageError if two others have it.
    """
    distinct = list(dict.fromkeys(arms))
    names = [arm.name or _label(arm) for arm in distinct]
    for part in (_model, _program):
        count = Counter(names)
        names = [
            name + (part(arm) if count[name] > 1 and not arm.name else "")
            for name, arm in zip(names, distinct, strict=True)
        ]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"arms: two different arms are called {twice[0]}: give each a `name`")
    named = {arm: arm.model_copy(update={"name": name}) for arm, name in zip(distinct, names, strict=True)}
    return tuple(named[arm] for arm in arms)


def _label(arm: ArmSetting) -> str:
    """Return the agent as a word; of a folder, and of a command of the user, only a part."""
    kind, colon, argument = arm.agent.partition(":")
    if kind == "scripted":
        argument = Path(argument).name
    return re.sub(r"[^\w.:+/-]+", "-", f"{kind}{colon}{argument}")[:MAX_NAME_CHARS]


def _model(arm: ArmSetting) -> str:
    return f":{arm.model}" if arm.model else ""


def _program(arm: ArmSetting) -> str:
    return f"/{Path(arm.program).stem}" if arm.program else ""
