"""The tools on a model's desk while it works on one proposal, and what lies on the desk when it is done."""

from collections.abc import Callable
from typing import Any

from autoresearch.agents import edits, rationale
from autoresearch.agents.claude.prompts import Role
from autoresearch.agents.rationale import Record
from autoresearch.agents.services import Library
from autoresearch.brief.tokens import quote
from autoresearch.source import contract, diff

EDITOR = "str_replace_based_edit_tool"
LONGEST_ANSWER = 20_000  # characters of one answer that is not the file itself

_EDITOR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
        "path": {"type": "string", "description": f"always {edits.FILE}"},
        "old_str": {"type": "string", "description": "str_replace: exact text that occurs once"},
        "new_str": {"type": "string", "description": "str_replace: what takes its place"},
        "file_text": {"type": "string", "description": "create: the whole new file"},
        "insert_line": {"type": "integer", "description": "insert: after this line; 0 is the top"},
        "insert_text": {"type": "string", "description": "insert: the new lines"},
        "view_range": {"type": "array", "items": {"type": "integer"}, "description": "view: [first, last]"},
    },
    "required": ["command", "path"],
}
_NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
_READING: list[dict[str, Any]] = [
    {
        "name": "history",
        "description": "Past experiments, one line each. `filter`: words that a line must contain, such as"
        " `crash`, `keep`, `optimiser`, `MATRIX_LR`; empty for the newest.",
        "input_schema": {"type": "object", "properties": {"filter": {"type": "string"}}},
    },
    {
        "name": "show",
        "description": "One past experiment: its change, trials and verdict.",
        "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    },
]
_EDITING = {"name": EDITOR, "description": "View and edit train.py.", "input_schema": _EDITOR_SCHEMA}
_CHECK = {"name": "check", "description": "Whether train.py as edited could be measured.", "input_schema": _NOTHING}
_DONE = {"name": "done", "description": "The change is written.", "input_schema": _NOTHING}


class EditSession:
    """One proposal in the making. `finished` once it is complete: `text` and `record` (or `idea`) then hold it."""

    def __init__(self, role: Role, text: str, library: Library) -> None:
        self.role, self.before, self.library = role, text, library
        self.editor = edits.Editor(text)
        self.record: Record | None = None
        self.idea = ""
        self.finished = False
        self._tools = self._tools_of(role)

    @property
    def text(self) -> str:
        """train.py as it stands now."""
        return self.editor.text

    def definitions(self) -> list[dict[str, Any]]:
        """The tools as a request lists them."""
        known = {tool["name"]: tool for tool in (_EDITING, _CHECK, _DONE, *_READING, self._proposing())}
        return [known[name] for name in sorted(self._tools)]

    def use(self, name: str, values: Any) -> tuple[str, bool]:
        """Answer a tool call; and whether the answer is an error."""
        if name not in self._tools:
            return f"there is no tool `{name}`: use {', '.join(sorted(self._tools))}", True
        if not isinstance(values, dict):
            return "the input has to be a JSON object", True
        try:
            return self._tools[name](values), False
        except (ValueError, SyntaxError) as error:
            return str(error), True

    def read(self, reply: str) -> None:
        """Take the proposal from a plain-text reply. Raises ValueError with what is wrong."""
        reply = edits.without_thoughts(reply)
        if self.role != "code":
            self.record = rationale.find(reply)
        if self.role == "idea":
            self.idea, self.finished = reply, True
            return
        text = edits.find(reply, self.before)
        if text is None:
            raise ValueError("no change found: give SEARCH/REPLACE blocks or the whole file in a ```python fence")
        self.editor.text = text
        try:
            self._check({})
        except ValueError:
            self.editor.text = self.before
            raise
        self.finished = True

    def _tools_of(self, role: Role) -> dict[str, Callable[[dict[str, Any]], str]]:
        reading: dict[str, Callable[[dict[str, Any]], str]] = {"history": self._history, "show": self._show}
        editing: dict[str, Callable[[dict[str, Any]], str]] = {EDITOR: self._edit, "check": self._check}
        if role == "code":
            return {**editing, "done": self._done}
        return {**reading, **(editing if role == "propose" else {}), "propose": self._propose}

    def _proposing(self) -> dict[str, Any]:
        schema = rationale.SCHEMA
        if self.role == "idea":
            idea = {"type": "string", "description": "exactly what to change, for the programmer"}
            properties = {**schema["properties"], "idea": idea}
            schema = {"type": "object", "properties": properties, "required": [*schema["required"], "idea"]}
        what = "Ends your work: why the change should help, and how sure you are."
        return {"name": "propose", "description": what, "input_schema": schema}

    def _edit(self, values: dict[str, Any]) -> str:
        return self.editor.run(values)

    def _history(self, values: dict[str, Any]) -> str:
        return quote("ledger", self.library.history(str(values.get("filter") or "")), LONGEST_ANSWER)

    def _show(self, values: dict[str, Any]) -> str:
        try:
            n = int(values.get("n", ""))
        except (TypeError, ValueError):
            raise ValueError("`n` has to be the number of an experiment") from None
        found = self.library.show(n)
        if found is None:
            raise ValueError(f"there is no experiment {n}")
        return quote("ledger", found, LONGEST_ANSWER)

    def _check(self, values: dict[str, Any]) -> str:
        """Raises ValueError with the reason why train.py as it stands would be refused."""
        if self.text == self.before:
            raise ValueError("train.py is unchanged")
        if found := contract.complaint(self.text):
            raise ValueError(found)
        if twin := self.library.twin(self.text):
            raise ValueError(f"{twin}: change something else")
        added, removed = diff.lines_changed(self.before, self.text)
        return f"ok: it parses and is new (+{added} -{removed} lines)"

    def _propose(self, values: dict[str, Any]) -> str:
        said = rationale.read(values)
        if self.role == "idea":
            self.idea = str(values.get("idea") or "").strip()
            if not self.idea:
                raise ValueError("`idea` is missing: say exactly what to change")
        else:
            self._check({})
        self.record, self.finished = said, True
        return "proposed"

    def _done(self, values: dict[str, Any]) -> str:
        self._check({})
        self.finished = True
        return "done"
