"""Conversations with agents and their outcome, exported for fine-tuning."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.programs import autoresearch
from support.shapes import as_documented

from autoresearch.analysis.sft import conversations, entry
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.text import Trace

SECRET = "sk-ant-api03-abcdefghijklmnop"
KEY = "a-key-of-this-house-0123"


@pytest.fixture
def repository(finished: Path, tmp_path: Path) -> Path:
    """Copy a session with one keep, whose agent had no conversations."""
    return shutil.copytree(finished, tmp_path / "copy")


def leave(root: Path, n: int, entries: list[dict[str, Any]]) -> None:
    Artefacts(root / "runs" / "t" / str(n)).write_proposal("--- a/train.py\n-A = 1\n+A = 2\n", entries)


def export_sft(root: Path, env: dict[str, str]) -> list[dict[str, Any]]:
    done = autoresearch(root, "export", "--sft", "talk.jsonl", env=env)
    assert (done.returncode, done.stdout) == (0, "talk.jsonl\ntalk.pairs.jsonl\n"), done.stderr
    return [json.loads(line) for line in (root / "talk.jsonl").read_text().splitlines()]


def test_a_conversation_and_its_outcome(repository: Path, settings_of: dict[str, str]) -> None:
    talk = [
        {"kind": "brief", "text": "all of it"},
        {"kind": "prompt", "model": "m", "purpose": "propose", "text": "Lower it."},
        {"kind": "call", "cost_usd": 0.1},
        {"kind": "thoughts", "text": "hm"},
        {"kind": "reply", "text": "I try this.", "stop_reason": "tool_use"},
        {"kind": "tool", "name": "edit", "input": {"new": "A = 2"}, "result": "done", "error": False},
        {"kind": "reply", "text": "", "stop_reason": "tool_use"},
        {"kind": "tool", "name": "propose", "input": {"hypothesis": "better"}, "result": "taken", "error": False},
    ]
    leave(repository, 1, talk)
    (found,) = export_sft(repository, settings_of)
    assert as_documented("export --sft", found)
    assert found["messages"] == [
        {"role": "user", "content": "Lower it."},
        {
            "role": "assistant",
            "content": "I try this.",
            "tool_calls": [{"type": "function", "function": {"name": "edit", "arguments": {"new": "A = 2"}}}],
        },
        {"role": "tool", "name": "edit", "content": "done"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"type": "function", "function": {"name": "propose", "arguments": {"hypothesis": "better"}}}
            ],
        },
        {"role": "tool", "name": "propose", "content": "taken"},
    ]
    outcome = found["outcome"]
    assert (found["n"], found["session"], outcome["verdict"]) == (1, "t", "keep") and outcome["delta"] < 0 < outcome[
        "error"
    ]
    assert outcome["p_gain"] > 0.9 and outcome["sigma"] > 0 and outcome["trials"] == 2


def test_what_was_sent_back_is_a_conversation_of_its_own(repository: Path, settings_of: dict[str, str]) -> None:
    first = [
        {"kind": "prompt", "text": "Lower it."},
        {"kind": "reply", "text": "no"},
        {"kind": "sent back", "text": "duplicate: of 1"},
    ]
    leave(repository, 2, [*first, {"kind": "prompt", "text": "Again."}, {"kind": "reply", "text": "yes"}])
    refused, measured = export_sft(repository, settings_of)
    assert (
        refused["outcome"] == {"verdict": "refused", "reason": "duplicate: of 1"}
        and measured["outcome"]["verdict"] == "discard"
    )
    assert [each["messages"][1]["content"] for each in (refused, measured)] == ["no", "yes"]


def test_a_tool_that_leaves_only_a_file_answers_with_its_change() -> None:
    found = list(
        conversations([{"kind": "prompt", "text": "Lower it."}, {"kind": "command", "output": "noise"}], "A 1 -> 2")
    )
    assert found == [([{"role": "user", "content": "Lower it."}, {"role": "assistant", "content": "A 1 -> 2"}], None)]


def test_who_was_not_asked_has_no_line_and_damaged_entries_do_no_harm(
    repository: Path, settings_of: dict[str, str]
) -> None:
    leave(repository, 1, [])
    trace = Artefacts(repository / "runs" / "t" / "2").trace
    trace.write_text(
        '[1]\n{"kind": "prompt", "text": "x", "odd": NaN}\n{"no": "kind"}\n{"kind": "tool"}\n{"kind": "reply", "te'
    )
    (found,) = export_sft(repository, settings_of)
    assert [message["role"] for message in found["messages"]] == ["user", "assistant"]
    assert entry("[1]") == {"kind": "damaged", "text": "[1]"}


def test_secrets_do_not_leave_the_house(repository: Path, settings_of: dict[str, str]) -> None:
    words = f"my key is {SECRET}, the other {KEY}"
    trace = Trace([KEY])
    trace.add("reply", text=words)
    assert SECRET not in str(trace.entries) and KEY not in str(trace.entries)
    leave(repository, 1, [{"kind": "prompt", "text": words}, {"kind": "reply", "text": words}])
    (found,) = export_sft(repository, settings_of | {"SOME_API_KEY": KEY})
    assert [message["content"] for message in found["messages"]] == ["my key is [secret], the other [secret]"] * 2
