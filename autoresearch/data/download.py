"""Resumable, verified, atomic download of one file."""

import hashlib
import os
import re
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError

from autoresearch.errors import UserError

MAX_TRIES = 8
TIMEOUT_S = 30.0  # without a byte
MAX_WAIT_S = 60.0  # between two tries
BLOCK_BYTES = 1 << 20
RETRY_STATUSES = {408, 416, 425, 429, 500, 502, 503, 504}  # HTTP statuses that may be temporary

OnProgress = Callable[[int, int], None]


class _TryFailed(Exception):
    """A failure that may be temporary; `wait_s` is the wait that the server asks for."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def download(
    url: str,
    target: Path,
    on_progress: OnProgress = lambda done, total: None,
    timeout: float = TIMEOUT_S,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Download a file to `target`. Raises UserError, OSError.

    `on_progress` gets the bytes done and the bytes in all (0: unknown). A partial file is kept beside `target`, and
    continued by the next try or run. Size and SHA-256 are checked if the server sends the headers of Hugging Face.
    """
    for tries in range(1, MAX_TRIES + 1):
        try:
            _try_once(url, target, on_progress, timeout)
            return
        except _TryFailed as failure:
            if tries == MAX_TRIES:
                hint = "try again later, the download continues where it stopped"
                raise UserError(f"{target.name}: {failure}, {MAX_TRIES} times: {hint}") from None
            wait(min(MAX_WAIT_S, max(2.0 ** (tries - 1), failure.wait_s)))


def expected_size(url: str, timeout: float = TIMEOUT_S) -> int:
    """Return the size of a file on a server in bytes; 0 if unknown or not reachable."""
    try:
        response = _request(url, "HEAD", 0, timeout)
    except _TryFailed:
        return 0
    response.body.close()
    return response.size


class _Response:
    """A response with start, size and digest from its headers and from redirections."""

    def __init__(self, body: HTTPResponse, linked: HTTPMessage) -> None:
        self.body, headers = body, body.headers
        found = re.match(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", "")) if body.status == 206 else None
        self.start = int(found[1]) if found else 0
        size = linked.get("X-Linked-Size") or (found[2] if found else headers.get("Content-Length"))
        self.size = int(size or 0)
        digest = linked.get("X-Linked-ETag", "").removeprefix("W/").strip('"')
        self.sha256 = digest if re.fullmatch("[0-9a-f]{64}", digest) else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirections and keep the headers of the first, which have size and digest."""

    linked: HTTPMessage | None = None

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        self.linked = self.linked or headers
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None:
            request.method = req.get_method()  # HEAD stays HEAD, also before Python 3.13
        return request


def _request(url: str, method: str, start: int, timeout: float) -> _Response:
    headers = {"User-Agent": "autoresearch", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    redirects = _Redirects()
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        body = urllib.request.build_opener(redirects).open(request, timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code not in RETRY_STATUSES:
            raise UserError(f"{url}: the server answers {error.code} {error.reason}") from None
        seconds = error.headers.get("Retry-After", "")
        wait_s = float(seconds) if seconds.isdigit() else 0.0
        raise _TryFailed(f"the server answers {error.code} {error.reason}", wait_s) from error
    except URLError as error:
        raise _TryFailed(f"{url} cannot be reached ({error.reason})") from None
    except (OSError, HTTPException) as error:
        raise _TryFailed(_describe(error)) from None
    return _Response(body, redirects.linked or body.headers)


def _try_once(url: str, target: Path, on_progress: OnProgress, timeout: float) -> None:
    part = target.with_name(f"{target.name}.part")
    done = part.stat().st_size if part.exists() else 0
    try:
        response = _request(url, "GET", done, timeout)
    except _TryFailed as failure:
        if isinstance(failure.__cause__, HTTPError) and failure.__cause__.code == 416:
            part.unlink(missing_ok=True)  # longer than the file: start again
        raise
    if response.start not in (0, done):
        part.unlink()
        raise _TryFailed("the server continued at another position than requested")
    with response.body, part.open("ab" if response.start else "wb") as file:
        done = file.tell()
        while block := _read(response.body):
            file.write(block)
            done += len(block)
            on_progress(done, response.size)
        file.flush()
        os.fsync(file.fileno())
    if done < response.size:
        raise _TryFailed(f"it stopped after {done} of {response.size} bytes")
    if (problem := _check_file(part, response)) is not None:
        part.unlink()
        raise _TryFailed(problem)
    part.replace(target)


def _read(body: HTTPResponse) -> bytes:
    try:
        return body.read1(BLOCK_BYTES)  # the bytes that have arrived, without waiting for a full block
    except (OSError, HTTPException) as error:
        raise _TryFailed(_describe(error)) from None


def _check_file(part: Path, response: _Response) -> str | None:
    size = part.stat().st_size
    if response.size and size != response.size:
        return f"it has {size} bytes instead of {response.size}"
    with part.open("rb") as file:
        if response.sha256 not in (None, hashlib.file_digest(file, "sha256").hexdigest()):
            return "its content does not match the server's SHA-256"
    return None


def _describe(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the server stopped sending"
    return f"the connection broke ({str(error) or type(error).__name__})"
