"""Settings of its researcher that a session keeps when it goes on."""

from pathlib import Path

from support.sessions import context_of

from autoresearch.config import Config
from autoresearch.ledger import Ledger
from autoresearch.session.remembered import recall_researcher, record_researcher


def test_a_session_keeps_the_limit_of_a_model_and_the_model_of_a_tool(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session = store.create_session("t", "autoresearch/t", "0", "claude", "default", {}, {}, seed=1)
        context = context_of(store, session)
        assert recall_researcher(store, session, Config(), "claude") == {}
        for agent, settings in (("claude:a", {"max_usd": 3}), ("command:codex", {"model": "m"}), ("sweep", {})):
            record_researcher(context, Config.model_validate({"agent": agent} | settings))
        wanted = {"claude:b": {"max_usd": 3.0}, "command:codex": {"model": "m"}}
        for agent in (*wanted, "command:claude", "openai:a", "sweep"):
            assert recall_researcher(store, session, Config(), agent) == wanted.get(agent, {}), agent
        assert recall_researcher(store, session, Config(max_usd=5), "claude:b") == {}
        assert recall_researcher(store, session, Config(model="n"), "command:codex") == {}
