"""Tools of a model that works on one proposal."""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter

from autoresearch.agents import edits, rationale
from autoresearch.agents.claude.prompts import Role
from autoresearch.agents.rationale import Rationale
from autoresearch.agents.services import Library
from autoresearch.brief.tokens import quote
from autoresearch.files import JsonObject
from autoresearch.source import contract, diff

EDITOR = "str_replace_based_edit_tool"
MAX_ANSWER_CHARS = 20_000  # of an answer other than the file itself
_NEXT_PROPOSAL = re.compile(r"^\W{0,9}proposal[ \t]+\d\W{0,9}$", re.I | re.M)  # a line between two in plain text

_EDITOR_INPUT: JsonObject = {
    "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
    "path": {"type": "string", "description": f"always {edits.FILE}"},
    "old_str": {"type": "string", "description": "str_replace: exact text that occurs once"},
    "new_str": {"type": "string", "description": "str_replace: what takes its place"},
    "file_text": {"type": "string", "description": "create: the whole new file"},
    "insert_line": {"type": "integer", "description": "insert: after this line; 0 is the top"},
    "insert_text": {"type": "string", "description": "insert: the new lines"},
    "view_range": {"type": "array", "items": {"type": "integer"}, "description": "view: [first, last]"},
}
_HISTORY_HELP = """Past experiments, one line each. `filter`: words that a line must contain, such as `crash`, `keep`, \
`optimiser`, `MATRIX_LR`; empty for the newest."""


def _define(name: str, description: str, properties: JsonObject, required: Sequence[str] = ()) -> JsonObject:
    """Return a tool as a request lists it."""
    schema = {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}
    return {"name": name, "description": description, "input_schema": schema}


_TOOLS = [
    _define(EDITOR, "View and edit train.py.", _EDITOR_INPUT, ["command", "path"]),
    _define("check", "Check whether train.py as edited could be measured.", {}),
    _define("done", "End your work: the change is written.", {}),
    _define("history", _HISTORY_HELP, {"filter": {"type": "string"}}),
    _define("show", "One past experiment: its change, trials and verdict.", {"n": {"type": "integer"}}, ["n"]),
]


Made = tuple[str, Rationale]  # a new text, and the record of its change
_ONE_MORE = """proposed: {count} of up to {wanted}. train.py is again as it was. Make another change, independent of \
this one, and propose it; or end your work with a reply without a tool call."""


class EditSession:
    """The work on one proposal, or on up to `wanted`, which all change the same text.

    Once it is `finished`, `made` holds the proposals; `text` is the code and `idea` the idea of a session for that.
    """

    def __init__(self, role: Role, text: str, library: Library, wanted: int = 1) -> None:
        self.role, self.library, self.wanted = role, library, wanted
        self.made: list[Made] = []
        self.editor = edits.Editor(text)
        self.before = self.editor.text
        self.record: Rationale | None = None
        self.idea = ""
        self.finished = False
        self._tools = self._tools_of(role)

    @property
    def text(self) -> str:
        return self.editor.text

    def definitions(self) -> list[JsonObject]:
        """Return the tools as a request lists them."""
        tools = [tool for tool in (*_TOOLS, self._propose_tool()) if tool["name"] in self._tools]
        return sorted(tools, key=itemgetter("name"))

    def use(self, name: str, values: object) -> tuple[str, bool]:
        """Execute a tool call; return the answer, and True if it is an error."""
        if name not in self._tools:
            return f"there is no tool `{name}`: use {', '.join(sorted(self._tools))}", True
        if not isinstance(values, dict):
            return "the input has to be a JSON object", True
        try:
            return self._tools[name](values), False
        except (ValueError, SyntaxError) as error:
            return str(error), True

    def read(self, reply: str) -> None:
        """Read the proposal from a plain-text reply. Raises ValueError."""
        reply = edits.strip_thoughts(reply)
        if self.role == "idea":
            self.record = rationale.find_in_reply(reply)
            self.idea, self.finished = reply, True
            return
        parts = [part for part in _NEXT_PROPOSAL.split(reply) if part.strip()] if self.wanted > 1 else [reply]
        wrong: ValueError | None = None
        for part in parts[: self.wanted] or [reply]:
            try:
                self._read_change(part)
            except ValueError as error:
                wrong = wrong or error
        if wrong is not None and not self.made:
            raise wrong
        self.finished = True

    def _read_change(self, reply: str) -> None:
        record = rationale.find_in_reply(reply) if self.role != "code" else None
        self._take_change(reply)
        if record is not None:
            self._add(record)

    def _take_change(self, reply: str) -> None:
        text = edits.apply_reply(reply, self.before)
        if text is None:
            raise ValueError("no change found: give SEARCH/REPLACE blocks or the whole file in a ```python fence")
        self.editor.text = text
        try:
            self._check({})
        except ValueError:
            self.editor.text = self.before
            raise

    def _add(self, record: Rationale) -> str:
        """Add a proposal of the text as it is now; return the answer."""
        self.made.append((self.text, record))
        self.finished = len(self.made) >= self.wanted
        if self.finished:
            return "proposed"
        self.editor.text = self.before
        return _ONE_MORE.format(count=len(self.made), wanted=self.wanted)

    def _tools_of(self, role: Role) -> dict[str, Callable[[JsonObject], str]]:
        reading: dict[str, Callable[[JsonObject], str]] = {"history": self._history, "show": self._show}
        editing: dict[str, Callable[[JsonObject], str]] = {EDITOR: self.editor.run, "check": self._check}
        if role == "code":
            return {**editing, "done": self._finish}
        return {**reading, **(editing if role == "propose" else {}), "propose": self._propose}

    def _propose_tool(self) -> JsonObject:
        properties = rationale.PROPERTIES
        if self.role == "idea":
            idea = {"type": "string", "description": "exactly what to change, for the programmer"}
            properties = {**properties, "idea": idea}
        description = "End your work on a change: say why it should help, and how sure you are."
        return _define("propose", description, properties, list(properties))

    def _history(self, values: JsonObject) -> str:
        return quote("ledger", self.library.history(str(values.get("filter") or "")), MAX_ANSWER_CHARS)

    def _show(self, values: JsonObject) -> str:
        try:
            n = int(values.get("n", ""))
        except (TypeError, ValueError):
            raise ValueError("`n` has to be the number of an experiment") from None
        found = self.library.show(n)
        if found is None:
            raise ValueError(f"there is no experiment {n}")
        return quote("ledger", found, MAX_ANSWER_CHARS)

    def _check(self, values: JsonObject) -> str:
        """Answer that train.py would be accepted. Raises ValueError with the reason if it would be refused."""
        if self.text == self.before:
            raise ValueError("train.py is unchanged")
        if self.text in (text for text, _ in self.made):
            raise ValueError("you have proposed this version already: change something else")
        if found := contract.complaint(self.text, self.before):
            raise ValueError(found)
        if duplicate := self.library.find_duplicate(self.text):
            raise ValueError(f"{duplicate}: change something else")
        added, removed = diff.lines_changed(self.before, self.text)
        return f"ok: it parses and is new (+{added} -{removed} lines)"

    def _propose(self, values: JsonObject) -> str:
        record = rationale.read(values)
        if self.role == "idea":
            self.idea = str(values.get("idea") or "").strip()
            if not self.idea:
                raise ValueError("`idea` is missing: say exactly what to change")
            self.record, self.finished = record, True
            return "proposed"
        self._check({})
        return self._add(record)

    def _finish(self, values: JsonObject) -> str:
        self._check({})
        self.finished = True
        return "done"
