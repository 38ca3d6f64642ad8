import pytest

from autoresearch.agents import edits, rationale
from autoresearch.agents.editor import Editor
from autoresearch.agents.edits import BadEdit

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
    assert editor.run({"command": "view", "path": "/repo/train.py"}).count("\n") == SOURCE.count("\n") - 1
    assert editor.run({"command": "view", "view_range": [13, -1]}).startswith("    13\t")
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


ODD = "\f\v\x1c\x85\u2028\r"


@pytest.mark.parametrize("sign", ODD)
def test_insert_counts_lines_as_view_does(sign: str) -> None:
    editor = Editor(f"NOTE = 'one{sign}two'\nA = 1\nB = 2\n")
    shown = editor.run({"command": "view", "path": "train.py"}).split("\n")
    number = next(int(line.split("\t")[0]) for line in shown if line.endswith("A = 1"))
    editor.run({"command": "insert", "path": "train.py", "insert_line": number, "insert_text": "C = 3"})
    assert editor.text.endswith("two'\nA = 1\nC = 3\nB = 2\n")


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ({"command": "str_replace", "old_str": "    x = 1\n", "new_text": "    x = 2\n"}, "no `new_text`: use command"),
        ({"command": "str_replace", "old_str": "    x = 1\n", "insert_text": "    x = 2\n"}, "no `insert_text`"),
        ({"command": "str_replace", "old_str": "    x = 1\n", "new_str": 2}, "`new_str` is missing"),
        ({"command": "create", "file_text": "a", "insert_line": 3}, "no `insert_line`"),
        ({"command": "insert", "insert_line": True, "insert_text": "a"}, "a line from 0"),
        ({"command": "insert", "insert_line": 1, "insert_text": "a", "new_str": "b"}, "both given"),
    ],
)
def test_what_a_command_would_ignore_is_refused(command: dict[str, object], complaint: str) -> None:
    editor = Editor(SOURCE)
    with pytest.raises(BadEdit, match=complaint):
        editor.run(command)
    assert editor.text == SOURCE


def test_empty_values_of_other_commands_are_no_mistake() -> None:
    editor = Editor(SOURCE)
    insert = {
        "command": "insert",
        "insert_line": 0,
        "insert_text": "",
        "new_str": "# a",
        "old_str": "",
        "view_range": [],
    }
    editor.run(insert)
    assert editor.text == "# a\n" + SOURCE


def test_occurrences_that_overlap_are_two() -> None:
    with pytest.raises(BadEdit, match="occurs"):
        edits.replace_once("=====\n", "===", "x")


@pytest.mark.parametrize(
    "reply",
    [
        block("LR = 0.1  # per step", "LR = 1\n=======\n"),
        block("LR = 0.1  # per step\n=======", "LR = 1"),
        block("LR = 0.1  # per step", "LR = 1") + "<<<<<<< SEARCH\n    x = 1\n=======\n    x = 2\n",
        block("LR = 0.1  # per step", "LR = 1") + ">>>>>>> REPLACE\n",
        block("LR = 0.1  # per step", "LR = 1\n>>>>>>> a"),
        block("LR = 0.1  # per step", "LR = 1", "<<<<<<< SEARCH|=====|>>>>>>> REPLACE"),
        block("LR = 0.1  # per step\n<<<<<<< SEARCH", "LR = 1"),
    ],
)
def test_a_block_that_can_be_read_in_two_ways_is_sent_back(reply: str) -> None:
    with pytest.raises(BadEdit, match="signs in all three"):
        edits.apply_reply(reply, SOURCE)


@pytest.mark.parametrize("row", ["=====", "======", "========", "==============", "======= x", " ======="])
def test_a_row_of_signs_belongs_to_the_text(row: str) -> None:
    text = SOURCE.replace("\nLR", f"\n'''Title\n{row}\n'''\nLR", 1)
    old, new = f"'''Title\n{row}", f"'''Other title\n{row}\n{row}"
    assert edits.apply_reply(block(old, new), text) == text.replace(old, new)
    added = f"LRS = '''\n{row}\n'''"
    assert edits.apply_reply(block("LRS = 0.1", added), SOURCE) == SOURCE.replace("LRS = 0.1", added)


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        ("BATCH = 80", "BATCH = 8", "BATCH = 16"),
        ("MAX_LR = 1", "LR = 1", "LR = 2"),
        ("LR = 1 + BASE", "LR = 1", "LR = 2"),
        ("    y = 1  # deep", "y = 1", "y = 2\nz = 3"),
        ("    y = 1  # deep", "    y = 1", "        y = 1"),
    ],
)
def test_a_block_changes_no_part_of_another_line(line: str, old: str, new: str) -> None:
    with pytest.raises(BadEdit, match="does not occur"):
        edits.apply_reply(block(old, new), f"{SOURCE}{line}\n")


def test_a_block_whose_line_is_also_a_part_of_another_is_clear() -> None:
    text = f"{SOURCE}MAX_LRS = 0.1\n"
    assert edits.apply_reply(block("LRS = 0.1", "LRS = 3"), text) == text.replace("\nLRS = 0.1", "\nLRS = 3")


def test_tags_within_a_program_are_no_thoughts() -> None:
    text = SOURCE.replace("LRS = 0.1", 'LRS = "<think>"')
    assert edits.apply_reply(f"```python\n{text}```", SOURCE) == text


def test_two_whole_files_are_sent_back_unless_one_is_the_file_as_it_is() -> None:
    first, second = (f"```python\n{SOURCE.replace('0.1', value)}```\n" for value in ("0.2", "0.3"))
    with pytest.raises(BadEdit, match="2 fences"):
        edits.apply_reply(first + second, SOURCE)
    before = f"Before:\n```python\n{SOURCE}```\nAfter:\n"
    assert edits.apply_reply(before + first, SOURCE) == SOURCE.replace("0.1", "0.2")


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


SCRIPT = """from prepare import evaluate_bpb

LR = 0.1
print(evaluate_bpb(None, None, 1))
"""


@pytest.mark.parametrize("form", ["Hypothesis: more\n\n```python\n{}```\n", "{}"])
def test_a_whole_script_takes_the_place_of_a_script(form: str) -> None:
    new = SCRIPT.replace("0.1", "0.2")
    assert edits.apply_reply(form.format(new), SCRIPT) == new
    assert edits.apply_reply(form.format(SOURCE), SCRIPT) is None
    assert edits.apply_reply(form.format(new), SOURCE) is None
