"""The scratch folder of `command`: its initial files, and how its results are read.

The command is not trusted: links are not followed, sizes and numbers are bounded, and nothing is read before every
process of the cell is dead (`disk_usage` only counts).
"""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.agents.edits import FILE, MAX_TEXT_CHARS
from autoresearch.agents.rationale import OPENINGS, SOURCES, confidence_words, predicted_words
from autoresearch.files import JsonObject, read_untrusted
from autoresearch.ledger.categories import CATEGORIES
from autoresearch.metric import VAL_BPB
from autoresearch.source_tree import MAX_FILES, SourceTree
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

Make ONE change to {{changed}} that should {{improve}} {{whose}} score, say in `{ANSWER}` what you expect of it, \
and stop.

In this folder:

- {{files}}
- `program.md`: what the human wants. Follow it.
- `BRIEF.md`: this file.
- `{ANSWER}`: write it, as one JSON object:
  - `hypothesis`: what you changed and why it should help, one or two sentences
  - `category`: one of {", ".join(CATEGORIES)}
  - `predicted`: {{predicted}}
  - `confidence`: {{confidence}}
  - `source`: {SOURCES}
  - `opening`: {OPENINGS}
  - `start_from`: number of the experiment whose version you changed, only if it is not the incumbent
- {{versions}}

Of these only {{changed}} and `{ANSWER}` are read afterwards. A program trains and measures your version later; you need
not run it, and there are no data and no GPU here. Nobody answers questions.

{{contract}}
"""
OF_TRAIN = {
    "changed": f"`{FILE}`",
    "whose": "its",
    "files": f"`{FILE}`: the version to change. Edit it in place.",
    "versions": "`version-N.py`: the versions of the experiments that the openings name. To change one of them, copy it"
    f" to `{FILE}`.",
}
OF_SEVERAL_FILES = {
    "changed": "the files that may change",
    "whose": "the",
    "versions": "`version-N/`: the versions of the experiments that the openings name. To change one of them, copy its"
    " files here.",
}


def initial_files(brief: "Brief") -> dict[str, bytes]:
    """Return the files of the folder at the start, by name."""
    instructions = "\n\n".join([_head(brief), brief.stable[0], *brief.about_lessons, brief.changing()])
    texts = {"program.md": brief.program, "BRIEF.md": f"{instructions}\n"}
    tree = SourceTree.parse(brief.source)
    if tree.framed:
        texts |= {f"version-{n}/{path}": each for n, text in brief.versions.items() for path, each in _files(text)}
    else:
        texts |= {f"version-{n}.py": text for n, text in brief.versions.items()}
    return {name: text.encode() for name, text in [*tree.files.items(), *texts.items()]}


def _head(brief: "Brief") -> str:
    """Return the instructions before the brief."""
    tree, metric = SourceTree.parse(brief.source), brief.metric
    words = {"predicted": predicted_words(metric), "confidence": confidence_words(metric), "improve": metric.improves}
    if metric == VAL_BPB:
        words["predicted"] = "expected change of val_bpb, a number; negative is better"
    if not tree.framed:
        return HEAD.format(**OF_TRAIN, **words, contract=brief.contract)
    names = ", ".join(f"`{path}`" for path in sorted(tree.files))
    new = " New files may be made." if brief.rules is not None and brief.rules.create else ""
    files = f"{names}: the files that may change. Edit them in place.{new}"
    return HEAD.format(**OF_SEVERAL_FILES, **words, files=files, contract=brief.contract)


def _files(text: str) -> Iterable[tuple[str, str]]:
    return SourceTree.parse(text).files.items()


def read_version(home: Path, brief: "Brief") -> str:
    """Read train.py, or the files that may change, new ones included. Raises ValueError."""
    tree = SourceTree.parse(brief.source)
    paths = [*tree.files, *_new_paths(home, brief)]
    return SourceTree({path: _read_text(home, path) for path in paths}, tree.framed).text


def _new_paths(home: Path, brief: "Brief") -> list[str]:
    """Return the new files of the folder that the rules allow."""
    if brief.rules is None or not brief.rules.create:
        return []
    known, root = initial_files(brief), home / WORK
    found = (Path(entry.path).relative_to(root).as_posix() for entry in _entries(root, MAX_FILES))
    return [path for path in found if path not in known and brief.rules.matches(path) and not (root / path).is_dir()]


def _read_text(home: Path, name: str) -> str:
    content = _read(home, name, 4 * MAX_TEXT_CHARS)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8 text") from None
    if len(text) > MAX_TEXT_CHARS:
        raise ValueError(f"{name} has {len(text)} characters: at most {MAX_TEXT_CHARS} are read")
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


def list_changes(home: Path, before: Mapping[str, bytes], edited: Collection[str] = (FILE,)) -> list[str]:
    """List what was changed, removed or created besides the edited files and proposal.json; the first hundred."""
    if not _is_intact(home):
        return [f"replaced {WORK}"]
    changes = []
    for name in before.keys() - set(edited):
        with suppress(ValueError):
            if _read(home, name, len(before[name])) == before[name]:
                continue
        changes.append(f"{'changed' if os.path.lexists(home / WORK / name) else 'removed'} {name}")
    for entry in _entries(home / WORK, MAX_CHANGES + 10):
        name = str(Path(entry.path).relative_to(home / WORK))
        is_folder = any(known.startswith(f"{name}/") for known in before)
        if name not in {*before, ANSWER} and not is_folder and len(changes) <= MAX_CHANGES:
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
    return read_untrusted(home / WORK, name, max_bytes)


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
