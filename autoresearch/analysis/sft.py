"""What agents were asked, what they answered, and what came of it: one JSON object a line, to learn from.

Conversations are as the traces have them, cleaned of secrets once more. Thoughts are left out.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autoresearch import ledger as package
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.text import Trace, secrets_of_environment

Entry = dict[str, Any]
OUTCOME = ("verdict", "reason", "near_miss", "val_bpb", "delta", "sigma", "error", "p_gain", "trials")
ABOUT = ("n", "agent", "model", "category", "hypothesis", "predicted")


def lines(store: Ledger, session: Session, runs: Path) -> Iterator[str]:
    """Every conversation of a session, oldest first; experiments that nobody was asked for have none."""
    clean = Trace(secrets_of_environment()).clean
    for row in package.log_rows(store, session):
        files = Artefacts(runs / session.tag / str(row["n"]))
        if row["n"] == 0 or not files.trace.exists():
            continue
        patch = files.patch.read_text(errors="replace") if files.patch.exists() else ""
        for messages, refused in conversations(read(files.trace), _change(row, patch)):
            sent_back = {"verdict": "refused", "reason": refused}
            found = {"session": session.tag, **{name: row[name] for name in ABOUT}, "messages": messages}
            found["outcome"] = {name: row[name] for name in OUTCOME} if refused is None else sent_back
            yield json.dumps(clean(found), ensure_ascii=False) + "\n"


def read(path: Path) -> list[Entry]:
    """The entries of a trace; what is damaged, or not as JSON has it, is left out."""
    found = (entry(line) for line in path.read_text(errors="replace").splitlines())
    return [each for each in found if each["kind"] != "damaged"]


def entry(line: str) -> Entry:
    """An entry of a trace; JSON for others has no NaN, and a killed program may have left half a line."""
    try:
        found = json.loads(line, parse_constant=lambda name: None)
    except ValueError:
        return {"kind": "damaged", "text": line}
    return {"kind": "", **found} if isinstance(found, dict) else {"kind": "damaged", "text": line}


def conversations(trace: Iterable[Entry], change: str) -> Iterator[tuple[list[Entry], str | None]]:
    """Each conversation as messages, and why nothing came of it (None for what was measured).

    `change` stands for the answer of who left no words, but a changed file.
    """
    messages: list[Entry] = []
    for each in trace:
        if each["kind"] == "prompt":
            if messages:
                yield _whole(messages, change), None
            messages = [{"role": "user", "content": str(each.get("text", ""))}]
        elif each["kind"] == "sent back" and messages:
            yield messages, str(each.get("text", ""))
            messages = []
        elif messages:
            messages += _messages(each, messages)
    if messages:
        yield _whole(messages, change), None


def _messages(each: Entry, before: Sequence[Entry]) -> list[Entry]:
    """What an entry adds. A call of a tool belongs to the reply before it."""
    if each["kind"] == "reply":
        return [{"role": "assistant", "content": str(each.get("text", ""))}]
    if each["kind"] != "tool":
        return []
    caller = next((message for message in reversed(before) if message["role"] == "assistant"), None)
    if caller is None:
        return []
    call = {"name": each.get("name"), "arguments": each.get("input")}
    caller.setdefault("tool_calls", []).append({"type": "function", "function": call})
    return [{"role": "tool", "name": each.get("name"), "content": str(each.get("result", ""))}]


def _whole(messages: list[Entry], change: str) -> list[Entry]:
    answered = any(message["role"] == "assistant" for message in messages)
    return messages if answered else [*messages, {"role": "assistant", "content": change}]


def _change(row: Entry, patch: str) -> str:
    return f"{row['hypothesis'] or ''}\n\n```diff\n{patch}```\n"
