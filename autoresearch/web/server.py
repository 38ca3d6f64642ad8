"""Server of `autoresearch serve`, on loopback only."""

import socket
import sys
from contextlib import suppress
from pathlib import Path

import uvicorn

from autoresearch.errors import UsageError, UserError
from autoresearch.web.guard import QUERY
from autoresearch.web.routes import application
from autoresearch.web.token import read_token

LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "[::1]"}


def serve(root: Path, host: str, port: int) -> None:
    """Serve the sessions of a repository until interrupted. Raises UsageError, UserError."""
    with listen(host, port) as listening, suppress(KeyboardInterrupt):
        port, token = listening.getsockname()[1], read_token()
        address = f"http://{LOOPBACK[host]}:{port}/?{QUERY}={token}"
        print(f"{address} (read-only; Ctrl-C ends it)", file=sys.stderr, flush=True)
        server(root, port, token).run([listening])


def server(root: Path, port: int, token: str) -> uvicorn.Server:
    """Return a server that answers requests to this machine's own names that hold the token."""
    names = [f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")]
    config = uvicorn.Config(
        application(root, names, token), log_level="warning", access_log=False, ws="none", lifespan="off",
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Open a socket on loopback. Raises UsageError or UserError."""
    if host not in LOOPBACK:
        advice = "use `ssh -L 8765:127.0.0.1:8765 MACHINE` to read the pages from elsewhere"
        raise UsageError(f"--host {host}: the pages are served on loopback only (127.0.0.1, ::1); {advice}")
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(64)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = error.strerror if isinstance(error, OSError) else "no such port"
        raise UserError(f"port {port} cannot be used ({reason}): choose another one with --port, or --port 0") from None
    return listening
