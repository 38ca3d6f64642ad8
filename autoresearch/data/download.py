"""One file from a web server, whole or not at all: gone on with where it broke off, tried again, checked, renamed."""

import hashlib
import os
import re
import time
import urllib.request
from collections.abc import Callable
from email.message import Message
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError

from autoresearch.errors import UserError

TRIES = 8
TIMEOUT = 30.0  # s without a byte
LONGEST_WAIT = 60.0  # s between two tries
BLOCK = 1 << 20  # bytes
PASSING = {408, 416, 425, 429, 500, 502, 503, 504}  # answers after which it is worth another try

Told = Callable[[int, int], None]


class _Broken(Exception):
    """A try failed in a way that another one may not; `wait` is what the server asks for, in seconds."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


def download(
    url: str,
    target: Path,
    told: Told = lambda done, total: None,
    timeout: float = TIMEOUT,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Bring a file to `target`; `told` hears of bytes done and in all (0: not known). Raises UserError, OSError.

    What came before it broke off is kept beside `target`, also for the next run. Size and SHA-256 are checked where the
    server tells them, in the headers that Hugging Face sends.
    """
    for tries in range(1, TRIES + 1):
        try:
            _once(url, target, told, timeout)
            return
        except _Broken as broken:
            if tries == TRIES:
                raise UserError(f"{target.name}: {broken}, {TRIES} times: try again later, what came is kept") from None
            wait(min(LONGEST_WAIT, max(2.0 ** (tries - 1), broken.wait)))


def expected_size(url: str, timeout: float = TIMEOUT) -> int:
    """Bytes of a file on a server; 0 where it does not say, or cannot be asked."""
    try:
        with _open(url, "HEAD", 0, timeout) as answer:
            return answer.size
    except _Broken:
        return 0


class _Answer:
    """The body of an answer, and what its headers and those on the way to it promise."""

    def __init__(self, body: HTTPResponse, status: int, headers: HTTPMessage, linked: HTTPMessage) -> None:
        self.body = body
        found = re.match(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", "")) if status == 206 else None
        self.start = int(found[1]) if found else 0
        told = linked.get("X-Linked-Size") or (found[2] if found else headers.get("Content-Length"))
        self.size = int(told or 0)
        digest = linked.get("X-Linked-ETag", "").removeprefix("W/").strip('"')
        self.sha256 = digest if re.fullmatch("[0-9a-f]{64}", digest) else None

    def __enter__(self) -> "_Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self.body.close()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections and keeps the headers of the first: it is there that size and digest are told."""

    linked: HTTPMessage | None = None

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        self.linked = self.linked or headers
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)
        if followed is not None:
            followed.method = req.get_method()  # HEAD stays HEAD, also before Python 3.13
        return followed


def _open(url: str, method: str, start: int, timeout: float) -> _Answer:
    headers = {"User-Agent": "autoresearch", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    redirects = _Redirects()
    try:
        body = urllib.request.build_opener(redirects).open(
            urllib.request.Request(url, headers=headers, method=method), timeout=timeout
        )
    except HTTPError as error:
        error.close()
        if error.code not in PASSING:
            raise UserError(f"{url}: the server answers {error.code} {error.reason}") from None
        raise _Broken(f"the server answers {error.code} {error.reason}", _seconds(error.headers)) from error
    except URLError as error:
        raise _Broken(f"{url} cannot be reached ({error.reason})") from None
    except (OSError, HTTPException) as error:
        raise _Broken(_reason(error)) from None
    return _Answer(body, body.status, body.headers, redirects.linked or body.headers)


def _once(url: str, target: Path, told: Told, timeout: float) -> None:
    part = target.with_name(f"{target.name}.part")
    done = part.stat().st_size if part.exists() else 0
    try:
        answer = _open(url, "GET", done, timeout)
    except _Broken as broken:
        if isinstance(broken.__cause__, HTTPError) and broken.__cause__.code == 416:
            part.unlink(missing_ok=True)  # longer than the file: begin anew
        raise
    if answer.start not in (0, done):
        part.unlink()
        raise _Broken("the server goes on where it was not asked to")
    with answer, part.open("ab" if answer.start else "wb") as file:
        done = file.tell()
        while block := _read(answer.body):
            file.write(block)
            done += len(block)
            told(done, answer.size)
        file.flush()
        os.fsync(file.fileno())
    if done < answer.size:
        raise _Broken(f"it broke off after {done} of {answer.size} bytes")
    if (fault := _fault(part, answer)) is not None:
        part.unlink()
        raise _Broken(fault)
    part.replace(target)


def _read(body: HTTPResponse) -> bytes:
    try:
        return body.read1(BLOCK)  # what has come, and not all or nothing
    except (OSError, HTTPException) as error:
        raise _Broken(_reason(error)) from None


def _fault(part: Path, answer: _Answer) -> str | None:
    size = part.stat().st_size
    if answer.size and size != answer.size:
        return f"it has {size} bytes instead of {answer.size}"
    if answer.sha256 is not None:
        with part.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != answer.sha256:
                return "its content is not what the server's SHA-256 says"
    return None


def _seconds(headers: Message) -> float:
    told = headers.get("Retry-After", "")
    return float(told) if told.isdigit() else 0.0


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the server went silent"
    return f"the connection broke ({str(error) or type(error).__name__})"
