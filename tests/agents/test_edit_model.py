"""Any edit of any text does what a plain model of it does, or is refused and changes nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.agents.attempts import Attempts
from autoresearch.agents.base import Proposal
from autoresearch.agents.editor import Editor
from autoresearch.agents.edits import BadEdit, apply_reply
from autoresearch.agents.scripted import FixedAgent
from autoresearch.brief.brief import Brief
from autoresearch.source.lines import BOM, plain, split_lines

WORDS = [
    "A = 1",
    "A = 10",
    "    A = 1",
    "A = 1  # a",
    "B = 2  ",
    "=====",
    "=======",
    "=========",
    "",
    "x\fy",
    "\u2028",
    "\x85",
]
LINES = st.lists(st.sampled_from(WORDS) | st.text("A= 1#\f\x1c", max_size=4), max_size=6)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def files(draw: st.DrawFn) -> str:
    """Return a text with any line ends, also mixed ones, with or without a mark and a last line end."""
    lines = draw(LINES)
    ends = [draw(ENDS)] * len(lines) if draw(st.booleans()) else [draw(ENDS) for _ in lines]
    text = "".join(line + end for line, end in zip(lines, ends, strict=True))
    return (BOM if draw(st.booleans()) else "") + text + draw(st.sampled_from(["", "last"]))


def lines_of(text: str) -> list[str]:
    return plain(text).split("\n")[: len(split_lines(plain(text)))]


def written(before: str, after: str) -> str:
    """Return what a session stores of a change."""
    brief = Brief(1, 0, "", before, 0, 1.0, 0.1, [])
    return Attempts().ask(FixedAgent("fixed", Proposal(after, "a change")), brief).text


def count(text: str, part: str) -> int:
    """Count occurrences, also those that overlap."""
    return sum(text.startswith(part, k) for k in range(len(text) + 1))


def require_same_dress(before: str, stored: str, first: int) -> None:
    """Require the mark and the line ends of the text before the change, each of those before line `first`."""
    old, new = (split_lines(text.removeprefix(BOM)) for text in (before, stored))
    assert stored.startswith(BOM) == before.startswith(BOM)
    assert new[:first] == old[:first]
    assert line_ends(stored) <= (line_ends(before) or {"\n"})


def line_ends(text: str) -> set[str]:
    return {line[len(line.rstrip("\r\n")) :] for line in split_lines(text)} - {""}


@settings(max_examples=60, deadline=None)
@given(files(), LINES, st.data())
def test_insert(text: str, new: list[str], data: st.DataObject) -> None:
    editor, lines = Editor(text), lines_of(text)
    shown = editor.run({"command": "view"}).split("\n")
    assert [line.partition("\t")[2] for line in shown] == (lines or [""])
    after = data.draw(st.integers(0, len(lines)))
    editor.run({"command": "insert", "insert_line": after, "insert_text": "\n".join(new)})
    assert lines_of(editor.text) == lines[:after] + (new or [""]) + lines[after:] or new[-1:] == [""]


@settings(max_examples=100, deadline=None)
@given(files(), st.text("A =1\n\f", max_size=4), st.data())
def test_str_replace(text: str, new: str, data: st.DataObject) -> None:
    editor, before = Editor(text), plain(text)
    start = data.draw(st.integers(0, len(before)))
    old = before[start : data.draw(st.integers(start, len(before)))]
    try:
        editor.run({"command": "str_replace", "old_str": data.draw(ENDS).join(old.split("\n")), "new_str": new})
    except BadEdit:
        assert count(before, old) != 1 or not old.strip()
        assert editor.text == before
    else:
        assert count(before, old) == 1
        assert editor.text == before[:start] + new + before[start + len(old) :]


@settings(max_examples=100, deadline=None)
@given(files(), LINES, st.integers(5, 9), ENDS, st.data())
def test_blocks(text: str, new: list[str], signs: int, end: str, data: st.DataObject) -> None:
    lines = lines_of(text)
    first = data.draw(st.integers(0, len(lines)))
    last = data.draw(st.integers(first, len(lines)))
    old = lines[first:last]
    marks = ["<" * signs + " SEARCH", "=" * signs, ">" * signs + " REPLACE"]
    reply = end.join(["Hypothesis: x", marks[0], *old, marks[1], *new, marks[2]])
    places = [k for k in range(len(lines) - len(old) + 1) if lines[k : k + len(old)] == old]
    try:
        after = apply_reply(reply, text)
    except BadEdit:
        clear = not {marks[1]} & {line.rstrip() for line in (*old, *new)}
        assert not clear or len(places) != 1 or not "".join(old).strip()
        return
    assert after is not None
    assert places == [first]
    expected = lines[:first] + new + lines[last:]
    assert lines_of(after) == (
        expected if plain(text).endswith("\n") or last < len(lines) else lines_of("\n".join(expected))
    )
    stored = written(text, after)
    assert plain(stored) == after
    require_same_dress(text, stored, first)
