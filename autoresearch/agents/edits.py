"""Edit one text in memory: commands of the text-editor tool, and edits in a plain-text reply."""

import difflib
import re
from collections.abc import Callable
from itertools import accumulate
from pathlib import PurePosixPath

from autoresearch.files import JsonObject
from autoresearch.source.parsing import MAX_CHARS, parse

FILE = "train.py"
MAX_TEXT_CHARS = MAX_CHARS
MAX_HINT_CHARS = 160  # of a line that is shown, and of lines that are compared with it

_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.S | re.I)
_THOUGHTS_CUT = re.compile(r"\A.*?</(think|thinking|reasoning)>", re.S | re.I)
_BLOCK = re.compile(r"^<{5,9}[^\n]*\n(.*?)^={5,9}[^\n]*\n(.*?)^>{5,9}[^\n]*$", re.S | re.M)
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.S | re.M)


class BadEdit(ValueError):
    """An edit that cannot be made; the text tells the model how to correct it."""


class Editor:
    """The text-editor tool of the Messages API (view, create, str_replace, insert), for one text in memory."""

    def __init__(self, text: str) -> None:
        self.text = text

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
        path = str(command.get("path") or FILE)
        if PurePosixPath(path).name != FILE:
            raise BadEdit(f"there is only {FILE} here, no `{path[:80]}`")
        return commands[name](command)

    def _view(self, command: JsonObject) -> str:
        lines = self.text.split("\n")
        span = command.get("view_range") or [1, -1]
        if not isinstance(span, list) or len(span) != 2 or not all(isinstance(each, int) for each in span):
            raise BadEdit("`view_range` has to be two line numbers: [first, last]")
        first, last = max(span[0], 1), len(lines) if span[1] == -1 else min(span[1], len(lines))
        if first > last:
            raise BadEdit(f"{FILE} has {len(lines)} lines: {span} shows none")
        return "\n".join(f"{number:6}\t{lines[number - 1]}" for number in range(first, last + 1))

    def _create(self, command: JsonObject) -> str:
        return self._set(_string(command, "file_text"))

    def _str_replace(self, command: JsonObject) -> str:
        new = command.get("new_str")
        text = replace_once(self.text, _string(command, "old_str"), new if isinstance(new, str) else "")
        return f"done; {self._set(text)}"

    def _insert(self, command: JsonObject) -> str:
        lines = self.text.splitlines(keepends=True)
        after = command.get("insert_line")
        if not isinstance(after, int) or not 0 <= after <= len(lines):
            raise BadEdit(f"`insert_line` has to be a line from 0 to {len(lines)}")
        new = _string(command, "insert_text" if "insert_text" in command else "new_str")
        if after and not lines[after - 1].endswith("\n"):
            lines[after - 1] += "\n"
        text = "".join([*lines[:after], new if new.endswith("\n") else new + "\n", *lines[after:]])
        return f"done; {self._set(text)}"

    def _set(self, text: str) -> str:
        if len(text) > MAX_TEXT_CHARS:
            raise BadEdit(f"{FILE} would have {len(text)} characters; the most is {MAX_TEXT_CHARS}")
        self.text = text
        return f"{FILE} has {len(text.splitlines())} lines now"


def apply_reply(reply: str, current: str) -> str | None:
    """Apply the edit in a plain-text reply: SEARCH/REPLACE blocks, or a whole file in a code fence.

    Returns None if the reply has no edit. Raises BadEdit for an edit that cannot be made.
    """
    answer = strip_thoughts(reply)
    blocks = _BLOCK.findall(answer)
    if blocks:
        for old, new in blocks:
            current = replace_once(current, old, new)
        return current
    files = [body for _, body in _FENCE.findall(answer) if re.search(r"^def train\b", body, re.M)]
    if not files and re.search(r"^def train\b", answer, re.M) and _is_python(answer):
        files = [answer]
    return max(files, key=len) if files else None


def strip_thoughts(reply: str) -> str:
    """Remove thoughts in tags from a reply; some servers omit the opening tag."""
    return _THOUGHTS_CUT.sub("", _THOUGHTS.sub("", reply.replace("\r\n", "\n")))


def replace_once(text: str, old: str, new: str) -> str:
    """Replace the only occurrence of `old`; blanks and newlines at the ends of lines may differ.

    Raises BadEdit if there is none, or more than one.
    """
    if not old.strip():
        raise BadEdit("the text to replace is empty: quote the lines to change exactly as they stand")
    count = text.count(old)
    if count == 1:
        return text.replace(old, new)
    if count > 1:
        raise BadEdit(f"the text to replace occurs {count} times: quote more lines around it")
    if found := _match_lines(text, old):
        new = new if new.endswith("\n") or not new else new + "\n"
    else:  # the line may continue, for example with a comment
        inside = rf"(?<![\w.]){re.escape(old.strip(chr(10)))}(?![\w.])"
        found, new = [match.span() for match in re.finditer(inside, text)], new.strip("\n")
    if len(found) != 1:
        raise BadEdit("the text to replace occurs more than once" if found else _no_match(text, old))
    start, end = found[0]
    return text[:start] + new + text[end:]


def _match_lines(text: str, old: str) -> list[tuple[int, int]]:
    """Return the positions (start, end) of whole lines that are equal except for blanks at their ends."""
    lines = text.splitlines(keepends=True)
    wanted = [line.rstrip() for line in old.strip("\n").split("\n")]
    plain = [line.rstrip() for line in lines]
    starts = list(accumulate(map(len, lines), initial=0))
    size = len(wanted)
    return [(starts[i], starts[i + size]) for i in range(len(lines) - size + 1) if plain[i : i + size] == wanted]


def _no_match(text: str, old: str) -> str:
    first = next(line for line in old.split("\n") if line.strip())
    lines = [line for line in text.split("\n") if len(line) <= MAX_HINT_CHARS]
    near = difflib.get_close_matches(first[:MAX_HINT_CHARS], lines, n=1, cutoff=0.6)
    hint = f"; the nearest line is `{near[0].strip()}`" if near and near[0] != first else ""
    return f"the text to replace does not occur in {FILE}: quote it exactly, with its indentation{hint}"


def _string(command: JsonObject, name: str) -> str:
    value = command.get(name)
    if not isinstance(value, str):
        raise BadEdit(f"`{name}` is missing")
    return value


def _is_python(text: str) -> bool:
    try:
        parse(text)
    except SyntaxError:
        return False
    return True
