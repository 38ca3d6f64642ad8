"""The first line of `run`, and the question before anything is paid: real processes, in a terminal and without one.

The data set has no files, so that each `run` ends with a refusal when it is settled who proposes.
"""

from pathlib import Path

import pytest
from support.logins import LOGINS, install, log_in
from support.messages_server import MessagesServer, Status
from support.programs import autoresearch
from support.terminals import terminal

from autoresearch.ledger import Ledger

NOBODY = "researcher: sweep (numeric search, free); for a language model set ANTHROPIC_API_KEY"
OFFER = "researcher: claude-opus-5-5 (ANTHROPIC_API_KEY, at most $10 a session); n takes sweep"
REFUSAL = "no file matches"


@pytest.fixture
def env(settings_of: dict[str, str], tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    path = f"{install(tmp_path, *LOGINS)}:{settings_of['PATH']}"
    return settings_of | {"HOME": str(home), "PATH": path, "AUTORESEARCH_SOURCE": f"files:{tmp_path}/none/*.txt"}


@pytest.fixture
def key(env: dict[str, str]) -> dict[str, str]:
    return env | {"ANTHROPIC_API_KEY": "sk-ant-00000000000000000000"}


def remembered(repository: Path) -> str | None:
    path = repository / "autoresearch.yaml"
    return path.read_text() if path.exists() else None


def answer(repository: Path, env: dict[str, str], *keys: bytes) -> tuple[int, str]:
    """Type each of the answers to the question; return exit code and output, as one line."""
    with terminal(repository, "run", env=env, columns=200) as shown:
        for k, each in enumerate(keys, 1):
            shown.until(lambda text, k=k: text.count("[Y/n]") >= k)
            shown.press(each)
        code, text = shown.end()
    return code, " ".join(text.split())


@pytest.mark.slow
def test_without_a_terminal_nothing_is_paid_and_nothing_remembered(repository: Path, key: dict[str, str]) -> None:
    log_in(Path(key["HOME"]), "codex")
    done = autoresearch(repository, "run", env=key)
    first, *_ = done.stderr.splitlines()
    assert first.startswith(
        "researcher: sweep (numeric search, free), as nobody is here to be asked; or claude-opus-5-5"
    )
    assert "or Codex CLI (logged in): --agent command:codex" in first and REFUSAL in done.stderr
    assert done.stdout == "" and remembered(repository) is None
    limited = autoresearch(repository, "run", "--max-usd", "3", env=key).stderr
    assert limited.startswith("researcher: claude-opus-5-5 (ANTHROPIC_API_KEY, at most $3 a session); or give --agent")


def test_nothing_to_choose_from_is_no_question(repository: Path, env: dict[str, str]) -> None:
    code, text = answer(repository, env)
    assert (code, text.startswith(NOBODY), REFUSAL in text) == (1, True, True)
    assert "[Y/n]" not in text and remembered(repository) is None


@pytest.mark.slow
def test_an_answer_is_remembered_and_not_asked_for_again(repository: Path, key: dict[str, str]) -> None:
    (repository / "autoresearch.yaml").write_text("# mine\nhours: 8\n")
    _, text = answer(repository, key, b"what?\r", b"\r")
    assert text.startswith(OFFER) and text.count("[Y/n]") == 2
    assert "remembered in autoresearch.yaml: `agent: claude` and `max_usd: 10`" in text and REFUSAL in text
    assert remembered(repository) == "# mine\nhours: 8\nagent: claude\nmax_usd: 10\n"
    again, said = answer(repository, key), autoresearch(repository, "run", env=key).stderr
    assert again[1].startswith("researcher: claude-opus-5-5 (ANTHROPIC_API_KEY, at most $10 a session); or give")
    assert " ".join(said.split()).startswith("researcher: claude-opus-5-5 (ANTHROPIC_API_KEY, at most $10 a session)")


@pytest.mark.slow
def test_no_is_an_answer_too(repository: Path, key: dict[str, str]) -> None:
    _, text = answer(repository, key, b"n\r")
    assert "researcher: sweep (numeric search, free); or claude-opus-5-5" in text and REFUSAL in text
    assert "remembered in autoresearch.yaml: `agent: sweep`" in text and remembered(repository) == "agent: sweep\n"
    with terminal(repository, "run", "--agent", "auto", env=key) as shown:
        shown.until(lambda text: "[Y/n]" in text)  # asked again, on demand


def test_a_login_is_asked_about_too(repository: Path, env: dict[str, str], tmp_path: Path) -> None:
    for name in ("claude", "codex"):
        log_in(Path(env["HOME"]), name)
    _, text = answer(repository, env, b"y\r")
    assert text.startswith("researcher: Claude Code (logged in, counts against the limits of your plan")
    assert remembered(repository) == "agent: command:claude\n" and not (tmp_path / "started").exists()


@pytest.mark.slow
def test_ctrl_c_starts_nothing_and_a_closed_input_is_nobody(repository: Path, key: dict[str, str]) -> None:
    code, text = answer(repository, key, b"\x03")
    assert code == 130 and REFUSAL not in text and "Traceback" not in text
    _, text = answer(repository, key, b"\x04")
    assert "sweep (numeric search, free), as nobody is here to be asked" in text and REFUSAL in text
    assert remembered(repository) is None and not (repository / "runs").exists()


@pytest.mark.slow
def test_an_answer_that_cannot_be_remembered_holds_for_this_session(repository: Path, key: dict[str, str]) -> None:
    (repository / "autoresearch.yaml").symlink_to("/proc/none/autoresearch.yaml")
    _, text = answer(repository, key, b"y\r")
    assert "autoresearch.yaml cannot be changed, so this holds for one session: write `agent: claude` and" in text
    assert REFUSAL in text


@pytest.mark.slow
def test_the_one_who_was_agreed_to_is_asked(repository: Path, key: dict[str, str], settings_of: dict[str, str]) -> None:
    with MessagesServer([Status(401, "authentication_error", "invalid x-api-key")]) as server:
        env = key | {"AUTORESEARCH_SOURCE": settings_of["AUTORESEARCH_SOURCE"], "ANTHROPIC_BASE_URL": server.url}
        code, text = answer(repository, env, b"yes\r")
        host = server.url.removeprefix("http://")
        assert code == 3 and f"claude-opus-5-5 at {host}: authentication" in text
        (request,) = server.requests
        assert request.body["model"] == "claude-opus-5-5"
        with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
            assert store.find_session("t").agent == "claude"
        (repository / "autoresearch.yaml").unlink()
        code, text = answer(repository, env)  # the session goes on: its agent was agreed to, its limit is the default
        assert text.startswith(f"{OFFER.partition(';')[0]}, as this session began; or give --agent: ")
        assert code == 3 and len(server.requests) == 2


@pytest.mark.slow
def test_a_session_keeps_the_model_and_the_limit_of_flags(
    repository: Path, key: dict[str, str], settings_of: dict[str, str]
) -> None:
    with MessagesServer([Status(401, "authentication_error", "invalid x-api-key")]) as server:
        env = key | {"AUTORESEARCH_SOURCE": settings_of["AUTORESEARCH_SOURCE"], "ANTHROPIC_BASE_URL": server.url}
        first = ["--agent", "claude", "--model", "claude-haiku-5-5", "--max-usd", "3"]
        lines = [
            autoresearch(repository, "run", *flags, env=env).stderr.splitlines()[0]
            for flags in (first, [], ["--model", "claude-opus-5-5", "--max-usd", "4"], [])
        ]
        assert [request.body["model"] for request in server.requests] == [
            *("claude-haiku-5-5", "claude-haiku-5-5"),
            *("claude-opus-5-5", "claude-opus-5-5"),
        ]
    assert lines[1].startswith("researcher: claude-haiku-5-5 (ANTHROPIC_API_KEY, at most $3 a session), as this")
    assert lines[3].startswith("researcher: claude-opus-5-5 (ANTHROPIC_API_KEY, at most $4 a session), as this")


@pytest.mark.slow
def test_a_key_that_cannot_be_sent_is_told_instead_of_a_question(repository: Path, key: dict[str, str]) -> None:
    code, text = answer(repository, key | {"ANTHROPIC_API_KEY": "sk-ant 0"})
    assert code == 3 and text.startswith("autoresearch: ANTHROPIC_API_KEY holds a quote, a blank")
