"""Merge and patch texts with git in a temporary folder, away from any repository."""

import os
import subprocess
import tempfile
from pathlib import Path

from autoresearch.errors import UserError
from autoresearch.workspace.git import GitError, encode


def merge_texts(base: str, ours: str, theirs: str) -> tuple[str, bool]:
    """Merge two changes of the text `base`; True: they conflict, and the text has markers. Raises GitError."""
    names = ("ours", "base", "theirs")
    with tempfile.TemporaryDirectory(prefix="autoresearch-") as folder:
        for name, text in zip(names, (ours, base, theirs), strict=True):
            Path(folder, name).write_bytes(encode(text))
        done = run_git(folder, "merge-file", "-p", "-q", *names)
    if done.returncode > 127:  # the number of conflicts is at most that
        raise GitError(f"git merge-file failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(), done.returncode != 0


def run_git(folder: str, *words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run git in a folder, away from any repository. Raises UserError if it is killed."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        # without it, git skips the file if the temporary folder is inside a repository
        "GIT_CEILING_DIRECTORIES": str(Path(folder).resolve().parent),
    }
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        input=stdin,
        env=environment,
        capture_output=True,
        check=False,
        start_new_session=True,  # Ctrl-C is not for git
    )
    if done.returncode < 0:
        raise UserError(f"git {words[0]} was killed by signal {-done.returncode}: is there memory left?")
    return done
