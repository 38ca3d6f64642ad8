import pytest

from autoresearch.agents import edits, rationale
from autoresearch.agents.edits import BadEdit, Editor

SOURCE = """import numpy as np

LR = 0.1  # per step
LRS = 0.1


def train(trial):
    x = 1
    return x


def load(state, config, device):
    return None
"""


def test_view_numbers_lines() -> None:
    editor = Editor(SOURCE)
    assert (
        editor.run({"command": "view", "path": "train.py", "view_range": [3, 4]})
        == "     3\tLR = 0.1  # per step\n     4\tLRS = 0.1"
    )
    assert editor.run({"command": "view", "path": "/repo/train.py"}).count("\n") == SOURCE.count("\n")
    assert editor.run({"command": "view", "view_range": [14, -1]}).startswith("    14\t")
    for wrong in ([99, 100], [5, 3], "3-4", [1]):
        with pytest.raises(BadEdit):
            editor.run({"command": "view", "view_range": wrong})


@pytest.mark.parametrize("command", [None, "undo", ["view"], 3])
def test_an_unknown_command_is_a_bad_edit(command: object) -> None:
    with pytest.raises(BadEdit, match="no command"):
        Editor(SOURCE).run({"command": command, "path": "train.py"})


def test_insert_create_replace() -> None:
    editor = Editor("a\nb")
    editor.run({"command": "insert", "path": "train.py", "insert_line": 2, "insert_text": "c"})
    assert editor.text == "a\nb\nc\n"
    editor.run({"command": "insert", "path": "train.py", "insert_line": 0, "new_str": "0\n"})
    editor.run({"command": "str_replace", "path": "train.py", "old_str": "b\n"})
    assert editor.text == "0\na\nc\n"
    editor.run({"command": "create", "path": "train.py", "file_text": "new"})
    assert editor.text == "new"
    with pytest.raises(BadEdit, match="characters"):
        editor.run({"command": "create", "path": "train.py", "file_text": "x" * 500_000})
    assert editor.text == "new"


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("LR = 0.1  # per step\n", "LR = 0.2\n", "LR = 0.2\n"),
        ("LR = 0.1\n", "LR = 0.2\n", "LR = 0.2  # per step\n"),
        (
            "def train(trial):   \n    x = 1  \n",
            "def train(trial):\n    x = 2",
            "def train(trial):\n    x = 2\n    return x",
        ),
        ("    x = 1\n", "", "def train(trial):\n    return x\n"),
    ],
)
def test_replace_forgives_blanks_and_ends_of_lines(old: str, new: str, changed: str) -> None:
    assert changed in edits.replace_once(SOURCE, old, new)


@pytest.mark.parametrize(
    ("old", "complaint"),
    [
        ("LR", "occurs"),
        ("x", "occurs"),
        (" \n", "empty"),
        ("    x = 3\n", "nearest line is `x = 1`"),
        ("LR = 0\n", "does not occur"),
    ],
)
def test_replace_refuses_what_is_not_clear(old: str, complaint: str) -> None:
    with pytest.raises(BadEdit, match=complaint):
        edits.replace_once(SOURCE, old, "y")


def block(old: str, new: str, marks: str = "<<<<<<< SEARCH|=======|>>>>>>> REPLACE") -> str:
    start, middle, end = marks.split("|")
    return f"{start}\n{old}\n{middle}\n{new}\n{end}\n"


def test_blocks_in_every_dress() -> None:
    wanted = SOURCE.replace("LR = 0.1  #", "LR = 0.3  #")
    plain = block("LR = 0.1  # per step", "LR = 0.3  # per step")
    for reply in (
        plain,
        f"Sure!\n```python\n{plain}```\nThat is it.",
        plain.replace("\n", "\r\n"),
        f"<think>{block('LRS = 0.1', 'LRS = 9')}</think>{plain}",
        f"lost its tag {block('LRS = 0.1', 'LRS = 9')}</think>\n{plain}",
        block("LR = 0.1  # per step", "LR = 0.3  # per step", "<<<<<<|======|>>>>>>"),
    ):
        assert edits.apply_reply(reply, SOURCE) == wanted
    both = plain + block("    x = 1", "    x = 2")
    assert edits.apply_reply(both, SOURCE) == wanted.replace("x = 1", "x = 2")
    removal = "<<<<<<< SEARCH\n    x = 1\n=======\n>>>>>>> REPLACE"
    assert edits.apply_reply(removal, SOURCE) == SOURCE.replace("    x = 1\n", "")


def test_whole_file_in_a_fence_or_bare() -> None:
    whole = SOURCE.replace("0.1", "0.2")
    for reply in (
        f"For example `LR`:\n```\nLR = 3\n```\nso:\n```python\n{whole}```\nDone.",
        f"~~~py\n{whole}~~~",
        f"```python\n{whole}",
        whole,
    ):
        assert edits.apply_reply(reply, SOURCE) == whole


def test_no_edit_is_none_and_a_bad_one_is_told() -> None:
    assert edits.apply_reply("I am done.", SOURCE) is None
    assert edits.apply_reply("<think>endless " + block("LR = 0.1", "x"), SOURCE) is None
    with pytest.raises(BadEdit):
        edits.apply_reply(block("nope", "x"), SOURCE)


@pytest.mark.parametrize(
    "reply",
    [
        "Hypothesis: wider\nCategory: architecture\nPredicted: -0.003\nConfidence: 60%\nSource: note",
        "**Hypothesis:** wider\n**Category**: Architecture.\n- **Predicted delta:** about \u22120.003 bpb\n"
        "* Confidence = 0.6\n> Source: note",
        '```json\n{"hypothesis": "wider", "category": "architecture", "predicted_delta": -0.003, '
        '"confidence": 0.6, "source": "note"}\n```',
    ],
)
def test_record_is_found_in_text(reply: str) -> None:
    assert rationale.find_in_reply(reply) == rationale.Rationale("wider", "architecture", -0.003, 0.6, "note")


def test_record_forgives_all_but_the_hypothesis() -> None:
    found = rationale.read(
        {"hypothesis": " a \n b ", "category": "magic", "predicted_delta": "nan", "confidence": 7000, "source": 3}
    )
    assert found == rationale.Rationale("a b", "other", None, 1.0, None)
    assert (
        rationale.read({"hypothesis": "x", "category": "Data Order", "predicted_delta": True}).category == "data-order"
    )
    for wrong in ({}, {"hypothesis": ""}, {"hypothesis": 3}):
        with pytest.raises(ValueError, match="hypothesis"):
            rationale.read(wrong)
