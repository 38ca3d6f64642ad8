"""The token of `serve`: one for each user, in a private file, so that bookmarks and open pages survive a restart."""

import os
import re
import secrets
import stat
from pathlib import Path

from autoresearch.config import serve_token_file
from autoresearch.errors import UserError

TOKEN_BYTES = 32
_TOKEN = re.compile(r"[\w-]{43}")


def read_token() -> str:
    """Return the token of this user, made at its first use. Raises UserError."""
    path = serve_token_file()
    try:
        return _read(path) or _create(path)
    except OSError as error:
        raise UserError(f"the token of serve cannot be kept in {path}: {error.strerror}") from None


def _read(path: Path) -> str | None:
    """Return the token; None if there is none, or one that others may know."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        if path.is_symlink():
            return None
        raise
    with open(fd, encoding="ascii", errors="replace") as file:
        status = os.fstat(fd)
        private = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
        token = file.read(100).strip() if private else ""
    return token if _TOKEN.fullmatch(token) else None


def _create(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    new, token = path.with_name(f"{path.name}.{os.getpid()}"), secrets.token_urlsafe(TOKEN_BYTES)
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(f"{token}\n")
    new.replace(path)
    return token
