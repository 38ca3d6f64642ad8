"""Values of settings: how each is written, and what is refused."""

import math
import re
import shlex
from contextlib import suppress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _split(value: object) -> object:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _require_distinct(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError("the numbers have to be different")
    return values


def _require_interval(pairs: int) -> int:
    if pairs == 1:
        raise ValueError("one pair has no interval: choose 2 or more, or 0 for no honest total")
    return pairs


def _read_time_of_day(value: object) -> object:
    """Check a time of day; YAML 1.1 reads 22:30 as a number in base 60."""
    text = f"{value // 60:02}:{value % 60:02}" if type(value) is int else value
    match = re.fullmatch(r"(\d{1,2}):(\d\d)", text) if isinstance(text, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError("should be a time of day, such as 07:00")
    return text


def read_target(value: object, name: str | None) -> object:
    """Return a score from itself or from `{NAME: score}`; without a name it is one of the built-in trial."""
    known, low = name or "val_bpb", -math.inf if name else 0.0
    score = value[known] if isinstance(value, dict) and value.keys() == {known} else value
    with suppress(ValueError):
        if low < (number := float(str(score))) < math.inf:
            return number
    raise ValueError(f"should be a score{'' if name else ' above 0'}, as 2.00 or {{{known}: 2.00}}")


def _require_paths(patterns: list[str]) -> list[str]:
    if patterns in (["tools"], ["text"]):
        raise ValueError("it names files; tools or text is the setting edit_format")
    if wrong := [each for each in patterns if not each or each.startswith("/") or ".." in each.split("/")]:
        raise ValueError(f"{wrong[0]!r} has to be a path in the repository")
    return [each.removeprefix("./") for each in patterns]


def _require_relative(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_require_paths(list(names)))


def _split_words(value: object) -> object:
    return shlex.split(value) if isinstance(value, str) else value


def _read_seconds(value: object) -> object:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", value.strip()) if isinstance(value, str) else None
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else value


def _read_limit(value: object) -> object:
    """Return the value of a limit, and whether it is a share of the base's: 0.05 and True for `+5%`."""
    match = re.fullmatch(r"([+-]\d+(?:\.\d+)?) ?%", value.strip()) if isinstance(value, str) else None
    if match is None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("should be a number, or a change against the base as +5%")
    return (float(match[1]) / 100, True) if match else (value, False)


def _require_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError("the regular expression needs one group, which holds the number")
    return pattern


def _read_pools(value: object) -> object:
    """Return the card of each pool by its name, from `{confirm: H200, screen: H100}` or `confirm=H200,screen=H100`."""
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, list):
        parts = dict(str(part).strip().partition("=")[::2] for part in parts)
    if isinstance(parts, dict) and (not parts or (set(parts) == set(POOLS) and all(map(str, parts.values())))):
        return {name: str(card) for name, card in parts.items()}
    raise ValueError("should name two cards, as confirm=... and screen=...")


POOLS = ("confirm", "screen")
Pools = Annotated[dict[str, str], BeforeValidator(_read_pools)]  # name of a card, or part of it, by pool
Words = Annotated[list[str], BeforeValidator(_split)]  # in the environment, separated by commas
Numbers = Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_split), AfterValidator(_require_distinct)]

Pairs = Annotated[int, Field(ge=0), AfterValidator(_require_interval)]
TimeOfDay = Annotated[str, BeforeValidator(_read_time_of_day)]
Limit = Annotated[tuple[float, bool], BeforeValidator(_read_limit)]
Paths = Annotated[Words, AfterValidator(_require_paths)]
RelativeNames = Annotated[tuple[str, ...], AfterValidator(_require_relative)]
CommandWords = Annotated[tuple[str, ...], BeforeValidator(_split_words)]
Seconds = Annotated[float, BeforeValidator(_read_seconds)]
Expression = Annotated[str, AfterValidator(_require_group)]


class Price(BaseModel):
    """Dollars for a million tokens. Cache prices that are None follow from `input`, as at Anthropic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)  # None: the price of `input`
    cache_write_5m: float | None = Field(default=None, ge=0)  # None: 1.25 times `input`
    cache_write_1h: float | None = Field(default=None, ge=0)  # None: twice `input`
