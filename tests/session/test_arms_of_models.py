"""Two models in one session: each call, dollar and brief belongs to its arm."""

import json
from pathlib import Path

import pytest
from support.messages_server import MessagesServer
from support.programs import autoresearch
from support.researcher import Researcher

from autoresearch.ledger import Ledger


@pytest.mark.slow
def test_calls_and_dollars_carry_their_arm(repository: Path, settings_of: dict[str, str]) -> None:
    (repository / "bold.md").write_text("Be bold.\n")
    arms = [
        {"name": "small", "agent": "claude", "model": "claude-haiku-5-5"},
        {"name": "bold", "agent": "claude", "program": "bold.md", "max_usd": 0.001},
    ]
    (repository / "autoresearch.yaml").write_text(json.dumps({"arms": arms, "max_usd": 50, "proposals": 1}))
    with MessagesServer(Researcher()) as server:
        env = settings_of | {"AUTORESEARCH_BASE_URL": server.url, "AUTORESEARCH_AUTH_TOKEN": "test-key-0123456789"}
        done = autoresearch(repository, "run", "--max-experiments", "2", env=env)
        assert done.returncode == 0, done.stderr
        models = {request.body["model"] for request in server.requests}
    first, *_ = done.stderr.splitlines()
    assert "small = claude-haiku-5-5 (" in first and "at most $50 a session" in first
    assert "bold = claude-opus-5-5 (" in first and "at most $0.001 a session, with bold.md" in first.replace(
        "), w", ", w"
    )
    with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
        rows, calls = store.experiments(1)[1:], store.calls(1)
    assert {row.arm for row in rows} == {"small"} and {row.model for row in rows} == {"claude-haiku-5-5"}
    assert {call.arm for call in calls} == {"small"} and models == {"claude-haiku-5-5"}


@pytest.mark.slow
def test_dollars_of_a_command_do_not_use_up_the_limit_of_models(repository: Path, settings_of: dict[str, str]) -> None:
    command = "command:sed -i 's/^SMOOTHING = 0.5/SMOOTHING = 0.25/' train.py"
    arms = [{"name": "small", "agent": "claude", "model": "claude-haiku-5-5"}, {"name": "tool", "agent": command}]
    (repository / "autoresearch.yaml").write_text(json.dumps({"arms": arms, "max_usd": 50, "proposals": 1}))
    with MessagesServer(Researcher()) as server:
        env = settings_of | {"AUTORESEARCH_BASE_URL": server.url, "AUTORESEARCH_AUTH_TOKEN": "test-key-0123456789"}
        assert autoresearch(repository, "run", "--max-experiments", "1", env=env).returncode == 0
        with Ledger.open(repository / "runs" / "ledger.db") as store:
            store.add_call(1, arm="tool", purpose="propose", model="sed", started=0.0, cost_usd=100.0)
        before = len(server.requests)
        assert autoresearch(repository, "run", "--max-experiments", "2", env=env).returncode == 0
        assert len(server.requests) > before
