"""Tools of a model that works on one proposal."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter

from autoresearch.agents import edits, rationale, trial_tools
from autoresearch.agents.editor import Editor
from autoresearch.agents.rationale import Rationale
from autoresearch.agents.services import Library, Tools
from autoresearch.agents.trial_tools import Role, define, read_number
from autoresearch.brief.tokens import quote
from autoresearch.files import JsonObject
from autoresearch.metric import VAL_BPB, Metric
from autoresearch.source import contract, diff
from autoresearch.source_tree import EditRules

EDITOR = "str_replace_based_edit_tool"
MAX_ANSWER_CHARS = 20_000  # of an answer other than the file itself
# a line between two in plain text, perhaps with a title: `## Proposal 2: less depth`
_NEXT_PROPOSAL = re.compile(r"^\W{0,9}proposal[ \t]+#?\d{1,2}(?:[*_`]*[ \t]*[^\w\s][^\n]*)?[ \t]*$", re.I | re.M)

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
_START_HELP = "Load train.py of another experiment into the editor. What was edited before is lost."

_TOOLS = [
    define(EDITOR, "View and edit train.py.", _EDITOR_INPUT, ["command", "path"]),
    define("check", trial_tools.CHECK_HELP, {}),
    define("done", "End your work: the change is written.", {}),
    define("history", _HISTORY_HELP, {"filter": {"type": "string"}}),
    define("show", "One past experiment: its change, trials and verdict.", {"n": {"type": "integer"}}, ["n"]),
    define("start_from", _START_HELP, {"n": {"type": "integer"}}, ["n"]),
]
TEST_TOOL = _TOOLS[0]  # part of the test of a connection
_PATH: JsonObject = {"type": "string", "description": "of a file, as the brief shows it"}
_CHECK_FILES_HELP = "Check whether the files as edited could be measured: they parse, are new, and may be changed."
_OF_SEVERAL_FILES = {  # tools that are described differently where there are several files
    EDITOR: define(EDITOR, "View and edit the files.", _EDITOR_INPUT | {"path": _PATH}, ["command", "path"]),
    "check": define("check", _CHECK_FILES_HELP, {}),
    "start_from": define("start_from", _START_HELP.replace("train.py", "the files"), {"n": {"type": "integer"}}, ["n"]),
}

DeliverText = Callable[[str, Rationale], str | None]  # takes a text and the record of its change as soon as it is made
_ONE_MORE = """proposed: {count} of up to {wanted}. {subject} again the incumbent's. Make another change, \
independent of this one, and propose it; or end your work with a reply without a tool call."""

_NO_CHANGE = "no change found: give SEARCH/REPLACE blocks or the whole file in a ```python fence"
_NO_CHANGE_OF_FILES = (
    "no change found: give SEARCH/REPLACE blocks or whole files, each in a fence after a line with its path"
)
_SEVERAL_AT_ONCE = (
    "there are several hypotheses in one proposal: begin each proposal with a line `Proposal 1` and so on"
)


class EditSession:
    """The work on one proposal, or on up to `wanted` that are independent of each other.

    Each is delivered as soon as it is made, and `made` holds its text, unless `deliver` returns why it is refused.
    Where one role has the idea and another one writes the code, `record` and `idea` are the idea, `text` is the code.
    `before` is the text that is changed: the given one, or that of experiment `start`. `rules` are those of several
    files; then `task` stands for the contract of train.py.
    """

    def __init__(
        self,
        role: Role,
        text: str,
        library: Library,
        tools: Tools | None = None,
        wanted: int = 1,
        deliver: DeliverText = lambda text, record: None,
        rules: EditRules | None = None,
        task: str | None = None,
        metric: Metric = VAL_BPB,
    ) -> None:
        self.role, self.library, self.tools, self.wanted, self.deliver = role, library, tools, wanted, deliver
        self.rules, self.task, self.metric = rules, task, metric
        self.made: list[str] = []
        self.editor = Editor(text, rules)
        self.given = self.before = self.editor.text
        self.start: int | None = None
        self.record: Rationale | None = None
        self.idea = ""
        self.finished = False
        self._tools = self._tools_of(role)

    @property
    def text(self) -> str:
        return self.editor.text

    def definitions(self) -> list[JsonObject]:
        """Return the tools of this role, always in the same order."""
        tools = [
            tool for tool in (*_TOOLS, *trial_tools.DEFINITIONS, self._propose_tool()) if tool["name"] in self._tools
        ]
        if self.editor.is_tree:
            tools = [_OF_SEVERAL_FILES.get(tool["name"], tool) for tool in tools]
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
            self._read_idea(reply)
            return
        wrong: ValueError | None = None
        for part in [reply] if self.role == "code" else _split_proposals(reply):
            if self.finished:
                break
            try:
                self._read_change(part)
            except ValueError as error:
                wrong = wrong or error
        if wrong is not None and not self.made:
            raise wrong
        self.finished = True

    def _read_idea(self, reply: str) -> None:
        record = rationale.find_in_reply(reply)
        if record.start_from is not None:
            self._load(record.start_from)
        self.record, self.idea, self.finished = replace(record, start_from=self.start), reply, True

    def _read_change(self, reply: str) -> None:
        """Read one new text from a plain-text reply. Raises ValueError, and then leaves the edits as they were."""
        record = None if self.role == "code" else rationale.find_in_reply(reply)
        if record is not None and rationale.count_in_reply(edits.strip_code(reply)) > 1:
            raise ValueError(_SEVERAL_AT_ONCE)
        edited = self.editor, self.editor.text, self.before, self.start
        try:
            if record is not None and record.start_from is not None:
                self._load(record.start_from)
            text = edits.apply_reply(reply, self.before, self.rules)
            if text is None:
                raise ValueError(_NO_CHANGE_OF_FILES if self.editor.is_tree else _NO_CHANGE)
            self.editor.text = text
            self._check({})
            if record is not None:
                self._add(record)
        except ValueError:
            self.editor, self.editor.text, self.before, self.start = edited
            raise

    def _add(self, record: Rationale) -> str:
        """Deliver the text as it is now; return the answer. Raises ValueError if it is refused."""
        if reason := self.deliver(self.text, replace(record, start_from=self.start)):
            raise ValueError(reason)
        self.made.append(self.text)
        self.finished = len(self.made) >= self.wanted
        if self.finished:
            return "proposed"
        self.editor, self.before, self.start = Editor(self.given, self.rules), self.given, None
        subject = "The files are" if self.editor.is_tree else "train.py is"
        return _ONE_MORE.format(count=len(self.made), wanted=self.wanted, subject=subject)

    def _tools_of(self, role: Role) -> dict[str, Callable[[JsonObject], str]]:
        reading: dict[str, Callable[[JsonObject], str]] = {
            "history": self._history,
            "show": self._show,
            "start_from": self._start_from,
        }
        editing: dict[str, Callable[[JsonObject], str]] = {EDITOR: self._edit, "check": self._try}
        trying = trial_tools.calls(self.tools, role, lambda: self.text) if self.tools else {}
        if role == "code":
            return {**editing, **trying, "done": self._finish}
        return {**reading, **trying, **(editing if role == "propose" else {}), "propose": self._propose}

    def _propose_tool(self) -> JsonObject:
        properties = rationale.properties(self.metric)
        if self.role == "idea":
            idea = {"type": "string", "description": "exactly what to change, for the programmer"}
            properties = {**properties, "idea": idea}
        description = "End your work on a change: say why it should help, and how sure you are."
        return define("propose", description, properties, list(properties))

    def _history(self, values: JsonObject) -> str:
        return quote("ledger", self.library.history(str(values.get("filter") or "")), MAX_ANSWER_CHARS)

    def _show(self, values: JsonObject) -> str:
        n = read_number(values.get("n"))
        found = self.library.show(n)
        if found is None:
            raise ValueError(f"there is no experiment {n}")
        return quote("ledger", found, MAX_ANSWER_CHARS)

    def _start_from(self, values: JsonObject) -> str:
        n = read_number(values.get("n"))
        self._load(n)
        if self.editor.is_tree:
            return f"the files are those of experiment {n} now: `view` shows them"
        return f"{edits.FILE} is that of experiment {n} now: {self.text.count(chr(10))} lines; `view` shows it"

    def _load(self, n: int) -> None:
        """Begin again with the text of an experiment. Raises ValueError if there is none."""
        if (text := self.library.text(n)) is None:
            raise ValueError(f"there is no version {n} to start from")
        self.editor, self.start = Editor(text, self.rules), n
        self.before = self.editor.text

    def _edit(self, values: JsonObject) -> str:
        return self.editor.run(values)  # of the editor as it is now: `start_from` makes another one

    def _try(self, values: JsonObject) -> str:
        """Answer whether train.py would be accepted, and what happens when it runs. Raises ValueError."""
        return self._check(values) + trial_tools.try_version(self.tools, self.text)

    def _check(self, values: JsonObject) -> str:
        """Answer that train.py would be accepted. Raises ValueError with the reason if it would be refused."""
        if self.text == self.given:
            raise ValueError("the files are unchanged" if self.editor.is_tree else "train.py is unchanged")
        if self.text in self.made:
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
            self.record, self.finished = replace(record, start_from=self.start), True
            return "proposed"
        self._check({})
        return self._add(record)

    def _finish(self, values: JsonObject) -> str:
        self._check({})
        self.finished = True
        return "done"


def _split_proposals(reply: str) -> list[str]:
    """Return the proposals of a plain-text reply: parts under headings, each with a hypothesis of its own."""
    starts = [heading.start() for heading in _NEXT_PROPOSAL.finditer(reply)]
    parts = [""]
    for start, end in pairwise([0, *starts, len(reply)]):
        if rationale.count_in_reply(parts[-1]) and rationale.count_in_reply(reply[start:end]):
            parts.append("")
        parts[-1] += reply[start:end]
    return parts
