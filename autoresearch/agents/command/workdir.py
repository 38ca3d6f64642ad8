"""The scratch folder of `command`: what lies in it before, and what is taken back from it after.

Whoever worked there is not trusted: links are not followed, sizes and numbers are bounded, and nothing is looked at
before every process of the cell is dead (`occupied` aside, which only counts).
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoresearch.agents.edits import FILE, LARGEST
from autoresearch.brief.brief import CONTRACT
from autoresearch.ledger.rows import CATEGORIES
from autoresearch.text import plain_text

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

WORK = "work"  # the scratch folder's name in the private folder of the cell, which is HOME
ANSWER = "proposal.json"
LONGEST_ANSWER = 100_000  # bytes
DEEPEST = 12  # folders below each other that are looked into
LISTED = 100  # touched files that are named

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
  - `source`: where the idea comes from: an experiment (its n), an idea of ideas.md (idea 3), a paper, your own knowledge

Of these only `{FILE}` and `{ANSWER}` are read afterwards. A program trains and measures your version later; you need not run
it, and there are no data and no GPU here. Nobody answers questions.

{CONTRACT}
"""


def files(brief: "Brief") -> dict[str, bytes]:
    """What lies in the folder at the start, by name."""
    told = "\n\n".join([HEAD, brief.stable[0], brief.changing()])
    texts = {FILE: brief.source, "program.md": brief.program, "BRIEF.md": f"{told}\n"}
    return {name: text.encode() for name, text in texts.items()}


def read_back(home: Path) -> str:
    """train.py as it was left. Raises ValueError with what is wrong with it."""
    content = _read(home, FILE, 4 * LARGEST)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{FILE} is not UTF-8 text") from None
    if len(text) > LARGEST:
        raise ValueError(f"{FILE} has {len(text)} characters: at most {LARGEST} are read")
    return text


def answer(home: Path) -> dict[str, Any] | None:
    """What proposal.json says; None if there is none. Raises ValueError."""
    if not os.path.lexists(home / WORK / ANSWER):  # a link to nowhere is there, too
        return None
    try:
        # as floats, integers of any length are numbers or infinite
        values = json.loads(_read(home, ANSWER, LONGEST_ANSWER), parse_int=float)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError(f"{ANSWER} is not JSON") from None
    if not isinstance(values, dict):
        raise ValueError(f"{ANSWER} has to be one JSON object")
    return values


def touched(home: Path, before: Mapping[str, bytes]) -> list[str]:
    """What else was changed, removed or made in the folder, train.py and proposal.json aside; the first hundred."""
    if not _is_there(home):
        return [f"replaced {WORK}"]
    found = []
    for name in before.keys() - {FILE}:
        with suppress(ValueError):
            if _read(home, name, len(before[name])) == before[name]:
                continue
        found.append(f"{'changed' if os.path.lexists(home / WORK / name) else 'removed'} {name}")
    for entry in _entries(home / WORK, LISTED + 10):
        name = str(Path(entry.path).relative_to(home / WORK))
        if name not in {*before, ANSWER} and len(found) <= LISTED:
            found.append(f"new {plain_text(name)[:200]}")
    return sorted(found)[:LISTED] + (["and more"] if len(found) > LISTED else [])


def occupied(home: Path, most: int) -> tuple[int, int]:
    """Bytes and number of files in a folder, counted up to `most` files."""
    size = count = 0
    for entry in _entries(home, most):
        count += 1
        with suppress(OSError):
            size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size, count


def _read(home: Path, name: str, most: int) -> bytes:
    """A plain file of the scratch folder. Raises ValueError for anything else."""
    if not _is_there(home):
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
        if status.st_size > most:
            raise ValueError(f"{name} has {status.st_size} bytes: at most {most} are read")
        return os.pread(fd, most, 0)
    finally:
        os.close(fd)


def _is_there(home: Path) -> bool:
    """Whether the scratch folder is the folder that it was, or at least one."""
    return (home / WORK).is_dir() and not (home / WORK).is_symlink()


def _entries(root: Path, most: int) -> Iterator["os.DirEntry[str]"]:
    """Files and folders below `root`, folders before what is in them, not through links, at most `most`."""
    todo = [(str(root), 0)]
    while todo and most > 0:
        folder, depth = todo.pop()
        with suppress(OSError), os.scandir(folder) as scan:
            for entry in scan:
                most -= 1
                if most < 0:
                    return
                yield entry
                if entry.is_dir(follow_symlinks=False) and depth < DEEPEST:
                    todo.append((entry.path, depth + 1))
