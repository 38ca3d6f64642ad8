"""Export conversations with agents and their outcome as JSON lines, for fine-tuning.

Conversations come from the traces, and secrets are removed once more. Reasoning is left out.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from autoresearch import ledger as package
from autoresearch.files import JsonObject
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.text import Trace, secrets_of_environment

OUTCOME = ("verdict", "reason", "near_miss", "val_bpb", "delta", "sigma", "error", "p_gain", "trials")
ABOUT = ("n", "agent", "model", "category", "hypothesis", "predicted")


def lines(store: Ledger, session: Session, runs: Path) -> Iterator[str]:
    """Yield the conversations of a session as JSON lines, oldest first."""
    clean = Trace(secrets_of_environment()).clean
    for row in package.experiment_rows(store, session):
        files = Artefacts(runs / session.tag / str(row.n))
        if row.n == 0 or not files.trace.exists():
            continue
        known, change = row.as_json(), describe_change(row.hypothesis, files.read_patch())
        for messages, refusal in conversations(read_trace(files.trace), change):
            about = {name: known[name] for name in ABOUT}
            outcome = {name: known[name] for name in OUTCOME}
            if refusal is not None:
                outcome = {"verdict": "refused", "reason": refusal}
            line = {"session": session.tag, **about, "messages": messages, "outcome": outcome}
            yield json.dumps(clean(line), ensure_ascii=False) + "\n"


def read_trace(path: Path) -> list[JsonObject]:
    """Return the entries of a trace that are not damaged."""
    entries = (entry(line) for line in path.read_text("utf-8", "replace").splitlines())
    return [each for each in entries if each["kind"] != "damaged"]


def entry(line: str) -> JsonObject:
    """Parse an entry of a trace. Numbers that are not finite become null; incomplete lines become `damaged`."""
    try:
        value = json.loads(line, parse_constant=lambda name: None, parse_float=_finite)
    except (ValueError, RecursionError):
        return {"kind": "damaged", "text": line}
    return {"kind": "", **value} if isinstance(value, dict) else {"kind": "damaged", "text": line}


def _finite(spelling: str) -> float | None:
    return value if math.isfinite(value := float(spelling)) else None


def conversations(trace: Iterable[JsonObject], change: str) -> Iterator[tuple[list[JsonObject], str | None]]:
    """Yield conversations as messages, each with the reason of a refusal (None: measured).

    `change` is the answer of an agent that wrote no text but changed the file.
    """
    messages: list[JsonObject] = []
    for each in trace:
        if each["kind"] == "prompt":
            if messages:
                yield _ensure_answer(messages, change), None
            messages = [{"role": "user", "content": str(each.get("text", ""))}]
        elif each["kind"] == "sent back" and messages:
            yield messages, str(each.get("text", ""))
            messages = []
        elif messages:
            messages += _to_messages(each, messages)
    if messages:
        yield _ensure_answer(messages, change), None


def _to_messages(each: JsonObject, before: Sequence[JsonObject]) -> list[JsonObject]:
    """Convert a trace entry to messages; a tool call is added to the reply before it."""
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


def _ensure_answer(messages: list[JsonObject], change: str) -> list[JsonObject]:
    answered = any(message["role"] == "assistant" for message in messages)
    return messages if answered else [*messages, {"role": "assistant", "content": change}]


def describe_change(hypothesis: str | None, patch: str) -> str:
    """Return a change as the answer of an agent."""
    return f"{hypothesis or ''}\n\n```diff\n{patch}```\n"
