import re

import pytest
from pydantic import ValidationError

from autoresearch import config
from autoresearch.agents.base import Spent
from autoresearch.agents.llm import prices
from autoresearch.agents.llm.prices import Prices, Usage
from autoresearch.agents.spend_limit import SpendLimit
from autoresearch.config import Price
from autoresearch.errors import UsageError

USAGE = Usage(input=10_000, cache_read=200_000, cache_write_5m=30_000, cache_write_1h=40_000, output=50_000)


def test_to_the_cent() -> None:
    known = Prices({})
    assert known.cost("claude-opus-5-5", USAGE) == pytest.approx(0.04 + 0.04 + 0.15 + 0.32 + 1.00, abs=1e-12)
    assert known.cost("claude-sonnet-4-6", USAGE) == pytest.approx(0.03 + 0.06 + 0.1125 + 0.24 + 0.75, abs=1e-12)
    assert known.cost("claude-haiku-4-5-20251001", USAGE) == known.cost("claude-haiku-4-5", USAGE)


def test_long_prompts_have_prices_of_their_own() -> None:
    short = Usage(input=100_000, output=10_000)
    assert Prices({}).cost("claude-haiku-5-5", short) == pytest.approx(0.01 + 0.005)
    assert Prices({}).cost("claude-haiku-5-5", Usage(input=1, cache_read=100_000, output=10_000)) == pytest.approx(
        0.0000005 + 0.005 + 0.025
    )
    assert Prices({}).max_cost("claude-haiku-5-5", 200_000, 0) == pytest.approx(0.2)


def test_unknown_is_none_not_nothing() -> None:
    assert Prices({}).cost("qwen3", USAGE) is None and Prices({}).max_cost("qwen3", 1, 1) is None
    assert Prices({}).cost("claude-opus-9", USAGE) is None


def test_own_prices_come_first() -> None:
    own = Prices({"qwen3": Price(input=0, output=0), "claude-opus-5-5": Price(input=1, output=2, cache_write_5m=3)})
    assert own.cost("qwen3", USAGE) == 0.0
    assert own.cost("claude-opus-5-5", USAGE) == pytest.approx(0.01 + 0.2 + 0.09 + 0.08 + 0.1)


@pytest.mark.parametrize("model", prices.TABLE)
def test_the_most_is_never_less_than_the_cost(model: str) -> None:
    most = Prices({}).max_cost(model, USAGE.prompt_tokens, USAGE.output)
    cost = Prices({}).cost(model, USAGE)
    assert most is not None and cost is not None and cost <= most


def test_the_table_is_dated_and_has_a_source() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", prices.AS_OF) and prices.SOURCE.startswith("https://")
    assert all(0 < p.cache_read < p.input < p.output for p in prices.TABLE.values() if p.cache_read is not None)


def test_spend_limit() -> None:
    limit = SpendLimit(1.0, spent=0.5)
    limit.settle(limit.reserve(0.5), 0.2)
    with pytest.raises(Spent, match=r"max usd: \$0.70 of \$1.00"):
        limit.reserve(0.31)
    with pytest.raises(Spent):
        limit.reserve(None)
    assert SpendLimit(None).reserve(None) == 0.0 and SpendLimit(None).fits(1e9)


def test_configuration(tmp_path, monkeypatch) -> None:
    (tmp_path / config.FILE).write_text("max_usd: 5\nprices:\n  qwen3: {input: 0.1, output: 0.2}\neffort: high\n")
    monkeypatch.setenv("AUTORESEARCH_AUTH_TOKEN", "very-secret-token")
    monkeypatch.setenv("AUTORESEARCH_MODEL", "qwen3")
    found = config.load(tmp_path, {})
    assert found.prices == {"qwen3": Price(input=0.1, output=0.2)} and found.model == "qwen3"
    assert "very-secret" not in repr(found) and found.auth_token.get_secret_value() == "very-secret-token"
    for wrong in ("prices: {qwen3: {input: 1}}", "prices: {q: {input: 1, output: -1}}", "max_usd: 0", "effort: huge"):
        (tmp_path / config.FILE).write_text(wrong)
        with pytest.raises(UsageError):
            config.load(tmp_path, {})
    with pytest.raises(ValidationError):
        Price(input=1, output=1, cached=1)


def test_a_limit_that_arms_share() -> None:
    whole = SpendLimit(1.0, spent=0.5)
    one, two = SpendLimit(0.2, whole=whole), SpendLimit(None, whole=whole)
    assert one.fits(0.2) and not one.fits(0.3) and two.fits(0.5) and not two.fits(0.6)
    with pytest.raises(Spent, match=r"\$0.00 of \$0.20"):
        one.reserve(0.3)
    assert whole.reserved == 0.0
    two.settle(two.reserve(0.4), 0.4)
    assert whole.spent == pytest.approx(0.9)
    with pytest.raises(Spent, match=r"\$0.90 of \$1.00"):
        one.reserve(0.15)
    assert one.reserved == 0.0
