"""The text-editor tool for a version in memory: plain text, as in edits.py."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TypeGuard

from autoresearch.agents.edits import FILE, MAX_TEXT_CHARS, BadEdit, replace_once
from autoresearch.files import JsonObject
from autoresearch.source.lines import plain, split_lines
from autoresearch.source_tree import EditRules, SourceTree, is_plain_path

KEYS = {
    "view": ("view_range",),
    "create": ("file_text",),
    "str_replace": ("old_str", "new_str"),
    "insert": ("insert_line", "insert_text", "new_str"),
}  # of each command, beside `command` and `path`


class Editor:
    """The text-editor tool of the Messages API (view, create, str_replace, insert), for a version in memory.

    Of several files, each command names one; new ones can be made as `rules` allow.
    """

    def __init__(self, text: str, rules: EditRules | None = None) -> None:
        self._rules = rules
        self.text = text

    @property
    def text(self) -> str:
        return SourceTree(self._files, self.is_tree).text

    @text.setter
    def text(self, text: str) -> None:
        tree = SourceTree.parse(text).map(plain)
        self._files, self.is_tree = dict(tree.files), tree.framed
        self._path = FILE  # of the command that is executed

    @property
    def paths(self) -> list[str]:
        return sorted(self._files)

    def run(self, command: JsonObject) -> str:
        """Execute one command and return the answer for the model. Raises BadEdit."""
        name = str(command.get("command"))
        commands: dict[str, Callable[[JsonObject], str]] = {
            "view": self._view,
            "create": self._create,
            "str_replace": self._str_replace,
            "insert": self._insert,
        }
        if name not in commands:
            raise BadEdit(f"no command `{name}`: use {', '.join(commands)}")
        self._path = self._find(command, name == "create")
        _check_keys(name, command)
        return commands[name](command)

    def _find(self, command: JsonObject, creates: bool) -> str:
        """Return the path that a command names. Raises BadEdit if there is no such file, and may be none."""
        path = str(command.get("path") or FILE)
        if not self.is_tree:
            if PurePosixPath(path).name != FILE:
                raise BadEdit(f"there is only {FILE} here, no `{path[:80]}`")
            return FILE
        path = path.removeprefix("./").removeprefix("/")
        is_new = creates and self._rules is not None and self._rules.create and self._rules.matches(path)
        if path not in self._files and not (is_new and is_plain_path(path)):
            raise BadEdit(f"there is no `{path[:80]}` here: name one of {', '.join(self.paths)}")
        return path

    @property
    def _now(self) -> str:
        """Return the text of the file that a command is about."""
        return self._files.get(self._path, "")

    def _view(self, command: JsonObject) -> str:
        lines = split_lines(self._now) or [""]
        span = command.get("view_range") or [1, -1]
        if not isinstance(span, list) or len(span) != 2 or not all(map(_is_number, span)):
            raise BadEdit("`view_range` has to be two line numbers: [first, last]")
        first, last = max(span[0], 1), len(lines) if span[1] == -1 else min(span[1], len(lines))
        if first > last:
            raise BadEdit(f"{self._path} has {len(lines)} lines: {span} shows none")
        return "\n".join(f"{number:6}\t{lines[number - 1].rstrip(chr(10))}" for number in range(first, last + 1))

    def _create(self, command: JsonObject) -> str:
        return self._set(_string(command, "file_text"))

    def _str_replace(self, command: JsonObject) -> str:
        new = "" if command.get("new_str") is None else _string(command, "new_str")
        return f"done; {self._set(replace_once(self._now, _string(command, 'old_str'), new, self._path))}"

    def _insert(self, command: JsonObject) -> str:
        lines = split_lines(self._now)
        after = command.get("insert_line")
        if not _is_number(after) or not 0 <= after <= len(lines):
            raise BadEdit(f"`insert_line` has to be a line from 0 to {len(lines)}")
        if command.get("insert_text") and command.get("new_str"):
            raise BadEdit("`insert_text` and `new_str` are both given: give `insert_text` alone")
        new = plain(_string(command, "insert_text" if not command.get("new_str") else "new_str"))
        if after and not lines[after - 1].endswith("\n"):
            lines[after - 1] += "\n"
        text = "".join([*lines[:after], new if new.endswith("\n") else new + "\n", *lines[after:]])
        return f"done; {self._set(text)}"

    def _set(self, text: str) -> str:
        text = plain(text)
        if len(text) > MAX_TEXT_CHARS:
            raise BadEdit(f"{self._path} would have {len(text)} characters; the most is {MAX_TEXT_CHARS}")
        self._files[self._path] = text
        return f"{self._path} has {len(split_lines(text))} lines now"


def _check_keys(name: str, command: JsonObject) -> None:
    """Refuse what a command would ignore: a value under a wrong name may be the text to write."""
    known = ("command", "path", *KEYS[name])
    for key, value in command.items():
        if key not in known and value not in (None, "", []):
            raise BadEdit(f"`{name}` has no `{str(key)[:80]}`: use {', '.join(known)}")


def _string(command: JsonObject, name: str) -> str:
    value = command.get(name)
    if not isinstance(value, str):
        raise BadEdit(f"`{name}` is missing")
    return value


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
