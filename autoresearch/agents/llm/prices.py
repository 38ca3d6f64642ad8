"""Cost of model calls: a dated table of list prices and the user's own prices."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from autoresearch.config import Price

AS_OF = "2026-10-24"
SOURCE = "https://platform.claude.com/docs/en/about-claude/pricing"

# list prices at `SOURCE` on `AS_OF`; standard speed, no batches
TABLE: dict[str, Price] = {
    "claude-opus-5-5": Price(input=4, output=20, cache_read=0.2),
    "claude-sonnet-5-5": Price(input=2, output=10, cache_read=0.1),
    "claude-haiku-5-5": Price(input=0.1, output=0.5, cache_read=0.01),
    **dict.fromkeys(["claude-fable-5-1", "claude-mythos-5-1"], Price(input=10, output=50, cache_read=0.25)),
    **dict.fromkeys(["claude-fable-5", "claude-mythos-5"], Price(input=10, output=50, cache_read=1)),
    **dict.fromkeys(["claude-opus-5", "claude-opus-4-8", "claude-opus-4-7"], Price(input=5, output=25, cache_read=0.5)),
    **dict.fromkeys(["claude-opus-4-6", "claude-opus-4-5"], Price(input=5, output=25, cache_read=0.5)),
    "claude-sonnet-5": Price(input=2, output=10, cache_read=0.2),
    **dict.fromkeys(["claude-sonnet-4-6", "claude-sonnet-4-5"], Price(input=3, output=15, cache_read=0.3)),
    "claude-haiku-4-5": Price(input=1, output=5, cache_read=0.1),
}
# prices of a call whose whole prompt has more than so many tokens
LONG_PROMPTS = {"claude-haiku-5-5": (100_000, Price(input=0.5, output=2.5, cache_read=0.05))}

TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. `input` excludes tokens that are read from or written to the cache."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0

    @property
    def prompt_tokens(self) -> int:
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h


@dataclass(frozen=True)
class Prices:
    """The user's own prices, then the table. A dated name (claude-haiku-4-5-20251001) has its family's price."""

    own: Mapping[str, Price]

    def price(self, model: str, prompt_tokens: int = 0) -> Price | None:
        """Return the price of a call with a prompt of so many tokens; None if it is unknown."""
        if model in self.own:
            return self.own[model]
        family = re.sub(r"-\d{8}$", "", model)
        threshold, dearer = LONG_PROMPTS.get(family, (prompt_tokens, None))
        return dearer if prompt_tokens > threshold else TABLE.get(family)

    def cost(self, model: str, usage: Usage) -> float | None:
        """Return the dollars of one call; None, never 0, if the price is unknown."""
        price = self.price(model, usage.prompt_tokens)
        if price is None:
            return None
        read, write_5m, write_1h = _cache_prices(price)
        dollars = usage.input * price.input + usage.output * price.output + usage.cache_read * read
        return (dollars + usage.cache_write_5m * write_5m + usage.cache_write_1h * write_1h) / TOKENS_PER_PRICE

    def max_cost(self, model: str, prompt_tokens: int, output: int) -> float | None:
        """Return the most that a call can cost: the whole prompt at the highest rate, and the longest reply."""
        price = self.price(model, prompt_tokens)
        if price is None:
            return None
        return (prompt_tokens * max(price.input, *_cache_prices(price)) + output * price.output) / TOKENS_PER_PRICE


def _cache_prices(price: Price) -> tuple[float, float, float]:
    """Return the prices of reading, writing for five minutes, and writing for an hour."""
    read = price.input if price.cache_read is None else price.cache_read
    write_5m = 1.25 * price.input if price.cache_write_5m is None else price.cache_write_5m
    return read, write_5m, 2 * price.input if price.cache_write_1h is None else price.cache_write_1h
