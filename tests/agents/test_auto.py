"""Who proposes with `--agent auto`: keys, logins, limits, and the line that says so."""

from pathlib import Path

import pytest
from support.logins import LOGGED_OUT, LOGINS, TOKEN, install, log_in

from autoresearch.agents import auto
from autoresearch.config import Config

KEY = {"ANTHROPIC_API_KEY": "sk-ant-0"}
OPENAI = {"OPENAI_API_KEY": "sk-proj-0"}
REMEDY = "`prices: {mine: {input: ..., output: ...}}` in autoresearch.yaml"
TOOLS = [f"command:{name}" for name in LOGINS]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def names(environment: dict[str, str], home: Path | None = None, **settings: object) -> list[str]:
    config = Config.model_validate(settings)
    return [each.agent for each in auto.find_researchers(config, environment, home)]


def test_a_key_comes_before_a_login_and_a_login_before_nothing(tmp_path: Path, home: Path) -> None:
    path = {"PATH": install(tmp_path, *LOGINS)}
    assert names(path, home) == []
    for name in LOGINS:
        log_in(home, name)
    assert names(path, home) == TOOLS
    assert names(path | KEY, home) == ["claude", *TOOLS]
    assert names({"PATH": str(home)} | KEY, home) == ["claude"], "logged in, but not installed"
    assert names({}, None) == []
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("name", LOGINS)
def test_what_is_left_of_a_login_is_none(name: str, tmp_path: Path, home: Path) -> None:
    path = {"PATH": install(tmp_path, name)}
    for text in ("", LOGGED_OUT[name], "\x00\xff", "[" * 5000, '"text"'):
        log_in(home, name, text)
        assert names(path, home) == []
    log_in(home, name)
    assert names(path, home) == [f"command:{name}"]


def test_a_key_of_a_tool_is_a_login_too(tmp_path: Path, home: Path) -> None:
    path = {"PATH": install(tmp_path, "claude", "codex")}
    codex, _ = auto.find_researchers(Config(), path | {"OPENAI_API_KEY": TOKEN}, home)
    assert str(codex) == "Codex CLI (OPENAI_API_KEY, billed to that key, without a limit of ours)"
    (claude,) = auto.find_researchers(Config(model="opus"), path | {"CLAUDE_CODE_OAUTH_TOKEN": TOKEN}, home)
    assert str(claude).startswith("Claude Code with opus (CLAUDE_CODE_OAUTH_TOKEN, counts against the limits of your")


def test_another_server_counts_with_its_own_token_only() -> None:
    server = {"base_url": "http://localhost:9", "model": "mine"}
    assert names(KEY, **server) == []
    (found,) = auto.find_researchers(Config.model_validate(server | {"auth_token": "t"}), KEY, None)
    assert str(found) == f"mine (auth_token, cost unknown: set {REMEDY})"
    assert found.settings == {"agent": "claude"}, "no limit can be kept where no price is known"


def test_a_key_of_openai_comes_after_claude_and_the_tools(tmp_path: Path, home: Path) -> None:
    path = {"PATH": install(tmp_path, "gemini")}
    log_in(home, "gemini")
    assert names(path | KEY | OPENAI, home) == ["claude", "command:gemini", "openai"]
    assert names(OPENAI, home) == ["openai"]
    assert names(OPENAI, base_url="http://localhost:9") == [], "that server is another one"
    (found,) = auto.find_researchers(Config(model="mine"), OPENAI, None)
    assert str(found) == f"mine (OPENAI_API_KEY, cost unknown: set {REMEDY})"
    assert found.settings == {"agent": "openai"} and auto.must_ask(Config(), [found])


def test_a_key_of_openai_is_limited_where_its_price_is_known() -> None:
    priced = {"model": "mine", "prices": {"mine": {"input": 1, "output": 2}}}
    (found,) = auto.find_researchers(Config.model_validate(priced), OPENAI, None)
    assert str(found) == "mine (OPENAI_API_KEY, at most $10 a session)"
    assert found.flags == "--agent openai --max-usd 10"
    assert names(OPENAI, max_usd=3, **priced) == ["openai"]
    assert names(OPENAI, max_usd=3, model="mine") == [], "no limit holds without a price"
    config = Config.model_validate(priced)
    assert auto.settle_unasked(config, [], "openai:mine") == {"agent": "openai:mine", "max_usd": 10}


def test_ollama_is_free_where_it_runs_here() -> None:
    def line(agent: str, **settings: object) -> str:
        return str(auto.describe(agent, Config.model_validate(settings), OPENAI, None))

    assert line("ollama:qwen3:8b") == "qwen3:8b (localhost:11434, free)"
    assert line("ollama:mine", base_url="http://gpu.lan:1") == f"mine (gpu.lan:1, cost unknown: set {REMEDY})"
    assert auto.settle_unasked(Config(), [], "ollama:m") == {"agent": "ollama:m"}


def test_money_is_spent_only_where_a_limit_or_an_agent_is_set(tmp_path: Path, home: Path) -> None:
    path = KEY | {"PATH": install(tmp_path, "codex")}
    log_in(home, "codex")

    def chosen(environment: dict[str, str], recorded: str | None = None, **settings: object) -> tuple[str, bool]:
        config = Config.model_validate(settings)
        found = auto.find_researchers(config, environment, home)
        return auto.choose_unasked(config, found, recorded), auto.must_ask(config, found, recorded)

    assert chosen({}) == ("sweep", False)
    assert chosen(path) == ("sweep", True)
    assert chosen(path, max_usd=3) == ("claude", False)
    assert chosen({"PATH": path["PATH"]}, max_usd=3) == ("sweep", False), "no limit holds for a command"
    assert chosen(path, agent="command:codex") == ("command:codex", False)
    assert chosen(path, agent="sweep") == ("sweep", False)
    assert chosen({}, recorded="claude:haiku") == ("claude:haiku", False)
    assert chosen(path, recorded="sweep") == ("sweep", False)
    assert chosen(path, recorded="claude", agent="sweep") == ("sweep", False)


def test_a_session_that_goes_on_with_claude_has_a_limit() -> None:
    assert auto.settle_unasked(Config(), [], "claude:claude-haiku-5-5") == {
        "agent": "claude:claude-haiku-5-5",
        "max_usd": 10,
    }
    assert auto.settle_unasked(Config(max_usd=0.5), [], "claude") == {"agent": "claude", "max_usd": 0.5}
    assert auto.settle_unasked(Config(), [], "claude:qwen") == {"agent": "claude:qwen"}, "no price, no limit"
    assert auto.settle_unasked(Config(agent="claude"), [], "sweep") == {"agent": "claude"}
    assert auto.settle_unasked(Config(), [], "command:codex") == {"agent": "command:codex"}


def test_the_line_says_who_proposes_what_it_costs_and_who_else_could(tmp_path: Path, home: Path) -> None:
    path = KEY | {"PATH": install(tmp_path, "gemini")}
    log_in(home, "gemini")

    def line(agent: str, environment: dict[str, str], why: str = "", **settings: object) -> str:
        config = Config.model_validate(settings)
        found = auto.find_researchers(config, environment, home)
        return auto.announce(auto.describe(agent, config, environment, home), found, why)

    assert line("sweep", {}) == (
        "researcher: sweep (numeric search, free); for a language model set ANTHROPIC_API_KEY or OPENAI_API_KEY,"
        " or log in to Claude Code, Codex or Gemini CLI, or give --agent"
    )
    assert line("sweep", path, "as nobody is here to be asked") == (
        "researcher: sweep (numeric search, free), as nobody is here to be asked;"
        " or claude-opus-5-5 (ANTHROPIC_API_KEY): --agent claude --max-usd 10,"
        " or Gemini CLI (logged in): --agent command:gemini"
    )
    assert line("claude", path, max_usd=2.5) == (
        "researcher: claude-opus-5-5 (ANTHROPIC_API_KEY, at most $2.5 a session);"
        " or give --agent: sweep (numeric search, free)"
    )
    assert "(ANTHROPIC_API_KEY, no limit on its cost: --max-usd 10 sets one)" in line("claude", KEY)
    assert f"claude-haiku-5-5 with mine (no key is set, cost unknown: set {REMEDY})" in line(
        "claude:claude-haiku-5-5", {}, code_model="mine"
    )
    assert "researcher: qwen (localhost:11434, cost unknown" in line(
        "claude:qwen", {}, base_url="http://localhost:11434"
    )
    assert "Gemini CLI (logged in, counts against" in line("command:gemini", path)
    assert "Codex CLI (not logged in, " in line("command:codex", {})
    assert "command:sed -i x (a command of yours, its cost is not known here)" in line("command:sed\n-i x", {})
    assert "researcher: scripted:edits (edits from a folder, free)" in line("scripted:edits", {})
