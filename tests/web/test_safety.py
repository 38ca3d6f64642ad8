"""Hostile requests and texts of agents do no harm."""

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.programs import autoresearch
from support.repositories import git
from support.web_client import TOKEN, Tags, raw

from autoresearch.config import serve_token_file
from autoresearch.errors import UsageError, UserError
from autoresearch.web import server
from autoresearch.web.guard import HEADERS
from autoresearch.web.token import read_token

pytest_plugins = ["support.web_fixtures"]

PAGES = [
    "/", "/compare", "/compare/calm/wild", "/s/calm", "/s/wild", "/s/wild/experiments",
    "/s/wild/experiments?sort=verdict", "/s/wild/0", "/s/wild/1", "/s/wild/2", "/s/wild/3", "/s/wild/4",
    "/s/wild/curves", "/s/wild/curves/none", "/s/wild/curves/%3Cscript%3E",
    "/s/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/compare/%3Cimg%20src=x%3E/%22",
]  # fmt: skip
DATA = [
    "/s/wild/progress.json",
    "/s/wild/live.json",
    "/s/wild/state.json",
    "/s/wild/1/curves.json",
    "/compare/calm/wild/gains.json",
]


FILES = ["/s/wild/experiments.csv", "/s/wild/1/curves.csv", "/compare/calm/wild/gains.csv"]


@pytest.fixture(scope="module")
def stranger(pages: httpx.Client) -> Iterator[httpx.Client]:
    """A client of the same server that was not given the token."""
    with httpx.Client(base_url=pages.base_url, timeout=30, trust_env=False) as client:
        yield client


ALLOWED = {"/static/style.css", "/static/uplot.css", "data:,"}


@pytest.mark.parametrize("path", PAGES)
def test_hostile_text_is_only_text(pages: httpx.Client, path: str) -> None:
    answer = pages.get(path)
    tags = Tags(answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert {tag for tag, _ in tags.found}.isdisjoint({"img", "iframe", "object", "base", "form", "foreignobject"})
    for tag, attributes in tags.found:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcset")], tag
        assert tag != "script" or str(attributes["src"]).startswith("/static/")
        assert tag != "link" or attributes["href"] in ALLOWED
    assert all(re.match(r"/(?!/)|\?|#", link) for link in tags.links())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", answer.text)


def test_it_can_be_read_all_the_same(pages: httpx.Client) -> None:
    assert "<script>alert(1)</script>" in Tags(pages.get("/s/wild/1").text).words


@pytest.mark.parametrize("path", [*PAGES, *DATA, *FILES, "/static/pages.js", "/nowhere"])
def test_every_answer_has_the_headers(pages: httpx.Client, path: str) -> None:
    answer = pages.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "access-control-allow-origin" not in answer.headers and "server" not in answer.headers


def test_data_is_json_and_nothing_else(pages: httpx.Client) -> None:
    for path in DATA:
        assert pages.get(path).headers["content-type"] == "application/json" and pages.get(path).status_code == 200


def test_a_download_is_a_file_with_a_plain_name_and_plain_text(pages: httpx.Client) -> None:
    for path in FILES:
        answer = pages.get(path)
        assert answer.status_code == 200 and answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert re.fullmatch(r'attachment; filename="[\w-][\w.-]*\.csv"', answer.headers["content-disposition"])
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", answer.text)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.:{port}",
        "127.0.0.1:{port}@evil",
        "0.0.0.0:{port}",
        "",
    ],
)
def test_a_foreign_name_for_this_machine_is_refused(pages: httpx.Client, host: str) -> None:
    answer = pages.get("/", headers={"host": host.format(port=pages.base_url.port)})
    assert answer.status_code == 400 and answer.headers["content-security-policy"] == HEADERS["content-security-policy"]


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_its_own_names_are_answered(pages: httpx.Client, host: str) -> None:
    assert pages.get("/", headers={"host": host.format(port=pages.base_url.port)}).status_code == 200


def test_two_names_or_none_are_refused(pages: httpx.Client) -> None:
    port = pages.base_url.port
    assert port is not None
    own = b"Host: 127.0.0.1:%d\r\n" % port
    for lines in (own + b"Host: evil.example\r\n", own + own, b""):
        assert raw(port, b"GET / HTTP/1.1\r\n" + lines + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_pages_can_only_be_read(pages: httpx.Client, method: str) -> None:
    answer = pages.request(method, "/s/calm")
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD"


def test_a_head_has_no_body(pages: httpx.Client) -> None:
    answer = pages.head("/s/calm")
    assert answer.status_code == 200 and answer.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "../app.py",
        "..%2f..%2fpyproject.toml",
        "%2e%2e/%2e%2e/ledger.db",
        "..%5c..%5capp.py",
        "/etc/passwd",
        "style.css%00.js",
        "templates/report.css",
        "",
        "STYLE.CSS",
    ],
)
def test_only_our_own_files_are_served(pages: httpx.Client, path: str) -> None:
    port = pages.base_url.port
    assert port is not None
    lines = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    head = f"GET /static/{path} HTTP/1.1\r\n{lines}"
    assert raw(port, head.encode()).startswith(b"HTTP/1.1 404")


def test_our_own_files_have_their_kind(pages: httpx.Client) -> None:
    kinds = {
        name: pages.get(f"/static/{name}").headers["content-type"]
        for name in ("style.css", "uplot.css", "uplot.js", "pages.js")
    }
    assert {kind.split(";")[0] for kind in kinds.values()} == {"text/css", "text/javascript"}


def test_reading_changes_nothing(root: Path, pages: httpx.Client) -> None:
    def state() -> dict[str, str]:
        files = [
            path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix not in (".db-shm", ".db-wal")
        ]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = state()
    for path in PAGES + DATA:
        pages.get(path)
    assert state() == before


# --- the token


@pytest.mark.parametrize("path", [*PAGES, *DATA, "/static/pages.js", "/static/style.css", "/nowhere"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN[:-1]}\u00e9".encode("latin-1")},
        {"cookie": f"other={TOKEN}; autoresearch-token={TOKEN[1:]}"},
        {"referer": f"http://127.0.0.1/?token={TOKEN}"},
    ],
    ids=str,
)
def test_nothing_is_answered_without_the_token(stranger: httpx.Client, path: str, headers: dict[str, str]) -> None:
    answer = stranger.get(path, headers=headers)
    assert answer.status_code == 403 and answer.text.count("\n") == 1 and "autoresearch serve" in answer.text
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS and "set-cookie" not in answer.headers


@pytest.mark.parametrize("query", ["token=", f"token={TOKEN}x", f"Token={TOKEN}", f"x=token={TOKEN}", "%74oken"])
def test_a_wrong_token_in_the_address_is_refused(stranger: httpx.Client, query: str) -> None:
    assert stranger.get(f"/?{query}").status_code == 403


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/?token={}", "/"),
        ("/s/wild/experiments?sort=n&token={}&verdict=near+miss", "/s/wild/experiments?sort=n&verdict=near+miss"),
        ("/s/%3Cscript%3E?token={}", "/s/%3Cscript%3E"),
        ("//evil.example/?token={}", "//evil.example/"),
    ],
)
def test_the_address_with_the_token_becomes_a_cookie(pages: httpx.Client, path: str, clean: str) -> None:
    port = pages.base_url.port
    assert port is not None
    head = f"GET {path.format(TOKEN)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    answer = raw(port, head.encode()).decode().lower().splitlines()
    assert answer[0].startswith("http/1.1 303") and f"location: http://127.0.0.1:{port}{clean}".lower() in answer
    cookie = next(line for line in answer if line.startswith("set-cookie: "))
    assert all(part in cookie for part in (f"autoresearch-token={TOKEN};", "httponly", "samesite=strict", "path=/"))
    assert "domain" not in cookie and "referrer-policy: no-referrer" in answer


def test_the_cookie_opens_every_page(stranger: httpx.Client) -> None:
    stranger.get(f"/?token={TOKEN}")
    assert {stranger.get(path).status_code for path in ("/", "/s/wild/1", *DATA, "/static/pages.js")} == {200}


def test_a_foreign_name_is_refused_with_the_token_too(stranger: httpx.Client) -> None:
    assert stranger.get(f"/?token={TOKEN}", headers={"host": "evil.example"}).status_code == 400


def test_the_token_survives_a_restart_and_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    first = read_token()
    assert first == read_token() and len(first) == 43
    assert serve_token_file().stat().st_mode & 0o777 == 0o600
    serve_token_file().unlink()
    assert read_token() != first


@pytest.mark.parametrize("spoil", ["mode", "empty", "short", "link"])
def test_a_token_that_others_may_know_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path))
    first = read_token()
    if spoil == "mode":
        serve_token_file().chmod(0o644)
    elif spoil == "link":
        serve_token_file().rename(tmp_path / "other")
        serve_token_file().symlink_to(tmp_path / "other")
    else:
        serve_token_file().write_text("" if spoil == "empty" else "guess")
    assert read_token() != first
    assert serve_token_file().stat().st_mode & 0o777 == 0o600 and not serve_token_file().is_symlink()


def test_a_folder_that_cannot_hold_the_token_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="the token of serve cannot be kept"):
        read_token()


# --- where it listens


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(UsageError, match="loopback only"):
        server.listen(host, 0)


def test_a_busy_port_is_one_clear_line() -> None:
    with server.listen("127.0.0.1", 0) as taken, pytest.raises(UserError, match="choose another one with --port"):
        server.listen("localhost", taken.getsockname()[1])


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted(root: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(
        [
            "git",
            "-C",
            str(root),
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@localhost",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "x",
        ],
        check=True,
    )
    command = [sys.executable, "-m", "autoresearch", "serve", "--port", "0"]
    env = {**os.environ, "AUTORESEARCH_CACHE": str(tmp_path)}
    with subprocess.Popen(command, cwd=root, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = re.match(r"(http://127\.0\.0\.1:\d+/)\?token=([\w-]{43}) ", process.stderr.readline())
        assert address is not None and address[2] == (tmp_path / "serve-token").read_text().strip()
        with httpx.Client(trust_env=False, follow_redirects=True) as browser:
            assert browser.get(address[1]).status_code == 403
            answer = browser.get(address[0].strip())
            assert answer.status_code == 200 and str(answer.url) == address[1]
            assert browser.get(address[1]).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0 and process.stderr.read() == ""
    done = autoresearch(root, "serve", "--host", "0.0.0.0")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "ssh -L" in done.stderr


def test_without_the_extra_it_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from autoresearch.cli import app

    git(root, "init", "-q")
    monkeypatch.chdir(root)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "autoresearch.web.server")
    monkeypatch.delattr("autoresearch.web.server")
    assert "-m pip install starlette uvicorn`" in str(CliRunner().invoke(app, ["serve"]).exception)
