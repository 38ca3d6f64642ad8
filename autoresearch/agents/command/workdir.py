"""The scratch folder of `command`: its initial files, and how its results are read.

The command is not trusted: links are not followed, sizes and numbers are bounded, and nothing is read before every
process of the cell is dead (`disk_usage` only counts).
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.agents.edits import FILE, MAX_TEXT_CHARS
from autoresearch.agents.rationale import OPENINGS, SOURCES
from autoresearch.brief.brief import CONTRACT
from autoresearch.files import JsonObject
from autoresearch.ledger.rows import CATEGORIES
from autoresearch.text import plain_text

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

WORK = "work"  # the scratch folder's name in the private folder of the cell, which is HOME
ANSWER = "proposal.json"
MAX_ANSWER_BYTES = 100_000
MAX_DEPTH = 12  # of nested folders that are searched
MAX_CHANGES = 100  # that are named
MAX_NAME_CHARS = 200

HEAD = f"""\
# Your task

Make ONE change to `{FILE}` that should lower its score, say in `{ANSWER}` what you expect of it, and stop.

In this folder:

- `{FILE}`: the version to change. Edit it in place.
- `program.md`: what the human wants. Follow it.
- `BRIEF.md`: this file.
- `{ANSWER}`: write it, as one JSON object:
  - `hypothesis`: what you changed and why it should help, one or two sentences
  - `category`: one of {", ".join(CATEGORIES)}
  - `predicted`: expected change of val_bpb, a number; negative is better
  - `confidence`: probability that val_bpb falls at all, 0 to 1
  - `source`: {SOURCES}
  - `opening`: {OPENINGS}
  - `start_from`: number of the experiment whose version you changed, only if it is not the incumbent
- `version-N.py`: the versions of the experiments that the openings name. To change one of them, copy it to `{FILE}`.

Of these only `{FILE}` and `{ANSWER}` are read afterwards. A program trains and measures your version later; you need
not run it, and there are no data and no GPU here. Nobody answers questions.

{CONTRACT}
"""


def initial_files(brief: "Brief") -> dict[str, bytes]:
    """Return the files of the folder at the start, by name."""
    instructions = "\n\n".join([HEAD, brief.stable[0], brief.changing()])
    texts = {FILE: brief.source, "program.md": brief.program, "BRIEF.md": f"{instructions}\n"}
    texts |= {f"version-{n}.py": text for n, text in brief.versions.items()}
    return {name: text.encode() for name, text in texts.items()}


def read_text(home: Path) -> str:
    """Read train.py. Raises ValueError."""
    content = _read(home, FILE, 4 * MAX_TEXT_CHARS)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{FILE} is not UTF-8 text") from None
    if len(text) > MAX_TEXT_CHARS:
        raise ValueError(f"{FILE} has {len(text)} characters: at most {MAX_TEXT_CHARS} are read")
    return text


def read_answer(home: Path) -> JsonObject | None:
    """Read proposal.json; None if there is none. Raises ValueError."""
    if not os.path.lexists(home / WORK / ANSWER):  # a dangling link is not a missing file
        return None
    try:
        # read as floats, integers of any length are finite numbers or infinity
        values = json.loads(_read(home, ANSWER, MAX_ANSWER_BYTES), parse_int=float)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError(f"{ANSWER} is not JSON") from None
    if not isinstance(values, dict):
        raise ValueError(f"{ANSWER} has to be one JSON object")
    return values


def list_changes(home: Path, before: Mapping[str, bytes]) -> list[str]:
    """List what was changed, removed or created besides train.py and proposal.json; the first hundred."""
    if not _is_intact(home):
        return [f"replaced {WORK}"]
    changes = []
    for name in before.keys() - {FILE}:
        with suppress(ValueError):
            if _read(home, name, len(before[name])) == before[name]:
                continue
        changes.append(f"{'changed' if os.path.lexists(home / WORK / name) else 'removed'} {name}")
    for entry in _entries(home / WORK, MAX_CHANGES + 10):
        name = str(Path(entry.path).relative_to(home / WORK))
        if name not in {*before, ANSWER} and len(changes) <= MAX_CHANGES:
            changes.append(f"new {plain_text(name)[:MAX_NAME_CHARS]}")
    return sorted(changes)[:MAX_CHANGES] + (["and more"] if len(changes) > MAX_CHANGES else [])


def disk_usage(home: Path, max_files: int) -> tuple[int, int]:
    """Return the bytes and the number of files in a folder, counted up to `max_files`."""
    size = count = 0
    for entry in _entries(home, max_files):
        count += 1
        with suppress(OSError):
            size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size, count


def _read(home: Path, name: str, max_bytes: int) -> bytes:
    """Read a plain file of the scratch folder. Raises ValueError for anything else."""
    if not _is_intact(home):
        raise ValueError("the scratch folder was replaced")
    try:
        fd = os.open(home / WORK / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ValueError(f"{name} is gone") from None
    except OSError:
        raise ValueError(f"{name} is no plain file any more") from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise ValueError(f"{name} is no plain file any more")
        if status.st_size > max_bytes:
            raise ValueError(f"{name} has {status.st_size} bytes: at most {max_bytes} are read")
        return os.pread(fd, max_bytes, 0)
    finally:
        os.close(fd)


def _is_intact(home: Path) -> bool:
    """Return whether the scratch folder is still a folder, not a link."""
    return (home / WORK).is_dir() and not (home / WORK).is_symlink()


def _entries(root: Path, max_entries: int) -> Iterator["os.DirEntry[str]"]:
    """Yield at most `max_entries` files and folders below `root`, without following links."""
    todo = [(str(root), 0)]
    while todo and max_entries > 0:
        folder, depth = todo.pop()
        with suppress(OSError), os.scandir(folder) as scan:
            for entry in scan:
                max_entries -= 1
                if max_entries < 0:
                    return
                yield entry
                if entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
                    todo.append((entry.path, depth + 1))
