"""Propose changes that exist already: the edits of a folder, or a single one."""

import codecs
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import yaml

from autoresearch.agents.base import BadProposal, Exhausted, InstantAgent, Proposal
from autoresearch.errors import EXHAUSTED, UsageError, UserError
from autoresearch.files import JsonObject, read_untrusted
from autoresearch.ledger.categories import CATEGORIES
from autoresearch.ledger.rows import AGENT_EXHAUSTED
from autoresearch.source.lines import plain, plain_files
from autoresearch.source.rebase import rebase_change
from autoresearch.source_tree import SourceTree
from autoresearch.workspace.texts import merge_texts, run_git

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

MAX_FILE_BYTES = 4_000_000  # of a file that is patched
_KINDS = (".patch", ".py")  # files that are proposals, whatever their name
_NOTES: dict[str, tuple[type, ...]] = {"hypothesis": (str,), "category": (str,), "predicted": (int, float)}
_NUMBERED = re.compile(r"\d+-.")
_FILE_HEADER = re.compile(rb"^--- [^\n]*\n\+\+\+ [^\n]*\n(?=@@ )", re.MULTILINE)
_OLD_NAME = re.compile(rb"^--- a/([^\n\t]*)[^\n]*\n\+\+\+ ", re.MULTILINE)
_BOM_OF_LINE = re.compile(rb"^([-+ ])" + codecs.BOM_UTF8, re.MULTILINE)
_NEW_HEADER = b"--- a/train.py\n+++ b/train.py\n"


@dataclass(frozen=True)
class Edit:
    """One proposal of a folder: a patch, or the whole new text of the only file, and the content of its .yaml file."""

    file: Path
    notes: JsonObject


class FixedAgent(InstantAgent):
    """Return one proposal, once."""

    def __init__(self, name: str, proposal: Proposal) -> None:
        self.name = name
        self.proposals = [proposal]

    def propose(self, brief: "Brief") -> Proposal:
        """Return the change. Raises Exhausted after that."""
        if not self.proposals:
            raise Exhausted(AGENT_EXHAUSTED)
        return self.proposals.pop()


class Scripted(InstantAgent):
    """Propose the edits of a folder in the natural order of their names.

    The next one follows from the history alone, so that a resumed session skips none and repeats none. Raises
    UsageError for a folder that is missing, empty or ambiguous, UserError for an invalid .yaml file.
    """

    name = "scripted"

    def __init__(self, folder: Path) -> None:
        self.edits = _read_folder(folder)

    def propose(self, brief: "Brief") -> Proposal:
        """Return the first edit that is not in the history. Raises Exhausted when there is none left."""
        done = {past.params.get("script") for past in [*brief.history, *brief.pending] if past.arm == brief.arm}
        edit = next((edit for edit in self.edits if edit.file.stem not in done), None)
        if edit is None:
            raise Exhausted(AGENT_EXHAUSTED)
        params = {"script": edit.file.stem}
        try:
            text = _new_text(edit.file, brief.source, brief.base_source)
        except ValueError as error:
            raise BadProposal(f"{edit.file.name} {error}", params) from error
        title = re.sub(r"^\d+-", "", edit.file.stem).replace("-", " ")
        return Proposal(text, **{"hypothesis": title, **edit.notes}, params=params)


def _read_folder(folder: Path) -> list[Edit]:
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: `scripted:DIR` needs one with NN-name.patch files")
    files = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    edits: dict[str, Edit] = {}
    for file in sorted((f for f in files if _is_proposal(f)), key=lambda f: _natural_key(f.stem)):
        if not _NUMBERED.match(file.stem):
            raise UsageError(f"{file}: call it NN-name{file.suffix}, so that its place in the order is clear")
        if file.stem in edits:
            raise UsageError(f"{folder} has two proposals called {file.stem}: rename or remove one of them")
        edits[file.stem] = Edit(file, _read_notes(file))
    if not edits:
        raise UsageError(f"{folder} has no proposals: put NN-name.patch files there, or whole texts as NN-name.py")
    if unused := sorted(f.name for f in files if f.suffix == ".yaml" and f.stem not in edits):
        raise UsageError(f"{folder / unused[0]} belongs to no proposal: no other file has its name")
    return list(edits.values())


def _is_proposal(file: Path) -> bool:
    return file.suffix in _KINDS or (file.suffix not in ("", ".yaml") and bool(_NUMBERED.match(file.stem)))


def _natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts 9-b before 10-a."""
    parts = [part for part in re.split(r"(\d+)", name) if part]
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _read_notes(proposal: Path) -> JsonObject:
    file = proposal.with_suffix(".yaml")
    try:
        notes = yaml.safe_load(file.read_text(encoding="utf-8") if file.exists() else "")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if notes is None:
        return {}
    if not isinstance(notes, dict):
        raise UserError(f"{file} has to be a list of `key: value` lines: {', '.join(_NOTES)}")
    for key, value in notes.items():
        _check_note(file, key, value)
    return notes


def _check_note(file: Path, key: object, value: object) -> None:
    if key not in _NOTES:
        raise UserError(f"{file}: unknown key `{key}`; known are {', '.join(_NOTES)}")
    if not isinstance(value, _NOTES[str(key)]) or isinstance(value, bool):
        kind = "a number" if key == "predicted" else "text"
        raise UserError(f"{file}: `{key}` has to be {kind}, not `{value}`")
    if key == "category" and value not in CATEGORIES:
        raise UserError(f"{file}: no category `{value}`; known are {', '.join(CATEGORIES)}")


def _new_text(file: Path, incumbent: str, base: str | None) -> str:
    """Return the text that a file proposes. Raises ValueError: the end of a sentence that begins with its name."""
    try:
        content = file.read_bytes()
        if file.suffix == ".patch":
            return _patched(content, incumbent, base)
        return _replaced(content.decode(), file.suffix, SourceTree.parse(incumbent))
    except OSError as error:
        if error.errno in EXHAUSTED:  # the edit is not the cause
            raise
        raise ValueError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text") from error


def _replaced(text: str, suffix: str, incumbent: SourceTree) -> str:
    """Return the version whose only file has another text. Raises ValueError."""
    if len(incumbent.files) > 1:
        raise ValueError("has to be a patch: there are several files")
    (path,) = incumbent.files
    if PurePosixPath(path).suffix != suffix:
        raise ValueError(f"has to be a patch, or the whole text of {path} under its suffix")
    return SourceTree({path: text}, incumbent.framed).text


def _patched(patch: bytes, incumbent: str, base: str | None) -> str:
    """Apply a patch to the incumbent or, if a keep has changed its context, make its change of the base there.

    Raises ValueError.
    """
    try:
        return _apply(incumbent, patch)
    except ValueError:
        if base is None or base == incumbent:
            raise
        with suppress(ValueError):
            changed = _apply(base, patch)
            if (merged := rebase_change(merge_texts, plain_files(base), changed, plain_files(incumbent))) is not None:
                return merged
        raise


def _apply(incumbent: str, patch: bytes) -> str:
    """Apply a patch to a version as plain text. Raises ValueError."""
    if SourceTree.parse(incumbent).framed:
        return _apply_to_files(incumbent, patch)
    return _apply_patch(incumbent, patch).decode()


def _apply_to_files(incumbent: str, patch: bytes) -> str:
    """Apply a patch to the files that it names; its line numbers may be wrong. Raises ValueError."""
    patch = patch.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    files = SourceTree.parse(plain_files(incumbent)).files
    if locked := [each for each in map(bytes.decode, _OLD_NAME.findall(patch)) if each not in files]:
        raise ValueError(f"changes {locked[0]}, which is none of the files that may change")
    with tempfile.TemporaryDirectory(prefix="autoresearch-") as name:
        folder = Path(name).resolve()
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(text.encode())
        error = _git_apply(patch, name) and _git_apply(patch, name, "--recount", "--unidiff-zero")
        if error:
            raise ValueError(f"does not apply to the incumbent ({error})")
        paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()]
        return SourceTree({path: read_untrusted(folder, path, MAX_FILE_BYTES).decode() for path in paths}).text


def _apply_patch(incumbent: str, patch: bytes) -> bytes:
    """Apply a patch to the incumbent as plain text; its file names are ignored, its line numbers may be wrong."""
    patch = patch.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    headers = list(_FILE_HEADER.finditer(patch))
    if len(headers) != 1:
        what = "no change" if not headers else f"changes to {len(headers)} files"
        raise ValueError(f"has to be a unified diff of train.py alone, but holds {what}")
    patch = _NEW_HEADER + _BOM_OF_LINE.sub(rb"\1", patch[headers[0].end() :])
    with tempfile.TemporaryDirectory(prefix="autoresearch-") as folder:
        target = Path(folder, "train.py")
        target.write_bytes(plain(incumbent).encode())
        error = _git_apply(patch, folder) and _git_apply(patch, folder, "--recount", "--unidiff-zero")
        if error:
            raise ValueError(f"does not apply to the incumbent train.py ({error})")
        if not target.exists() or not target.stat().st_size:
            raise ValueError("removes the whole of train.py")
        return target.read_bytes()


def _git_apply(patch: bytes, folder: str, *options: str) -> str:
    """Apply a patch as a whole or not at all, and return git's error message, empty if there is none."""
    process = run_git(folder, "apply", "--whitespace=nowarn", *options, "-", stdin=patch)
    if process.returncode == 0:
        return ""
    first = process.stderr.decode(errors="replace").strip().split("\n")[0]
    return first.removeprefix("error: ") or f"git apply ended with {process.returncode}"
