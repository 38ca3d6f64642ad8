"""Agents that edit several files: the editing tool, replies in plain text, patches, and a command in its folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.triplets import MODEL, SETTINGS

from autoresearch.agents.command import workdir
from autoresearch.agents.editor import Editor
from autoresearch.agents.edits import BadEdit, apply_reply
from autoresearch.agents.llm.prompts import system
from autoresearch.agents.llm.tools import EDITOR, EditSession
from autoresearch.agents.lookup import BriefLibrary
from autoresearch.brief.brief import CONTRACT, Brief
from autoresearch.brief.source_code import show_source
from autoresearch.source_tree import EditRules, SourceTree

FILES = {"src/model.py": MODEL, "settings.yaml": SETTINGS, "prompts/a.md": "Be kind.\n"}
TEXT = SourceTree(FILES).text
RULES = EditRules((*FILES, "prompts/*.md"), create=True)


def brief_of(text: str = TEXT, **fields: Any) -> Brief:
    given = {"n": 1, "seed": 0, "program": "", "source": text, "incumbent": 0, "incumbent_score": 1.0, "sigma": 0.1}
    return Brief(**{**given, "history": [], "task": "Lower the error.", "rules": RULES, **fields})


def changed(**files: str) -> str:
    return SourceTree(FILES | {name.replace("__", "/") + ".md": text for name, text in files.items()}).text


def test_a_command_of_the_editor_names_its_file() -> None:
    editor = Editor(TEXT, RULES)
    assert editor.run({"command": "view", "path": "prompts/a.md"}) == "     1\tBe kind."
    edit = {"command": "str_replace", "path": "./src/model.py", "old_str": "SLOPE = 1.0", "new_str": "SLOPE = 2.0"}
    assert editor.run(edit) == "done; src/model.py has 7 lines now"
    editor.run({"command": "insert", "path": "settings.yaml", "insert_line": 0, "insert_text": "x: 1"})
    editor.run({"command": "create", "path": "prompts/b.md", "file_text": "New.\n"})
    files = SourceTree.parse(editor.text).files
    assert "SLOPE = 2.0" in files["src/model.py"] and files["settings.yaml"].startswith("x: 1\n")
    assert files["prompts/b.md"] == "New.\n" and files["prompts/a.md"] == "Be kind.\n"


@pytest.mark.parametrize(
    "command",
    [
        {"command": "view"},
        {"command": "view", "path": "bench.py"},
        {"command": "create", "path": "bench.py", "file_text": "x"},
        {"command": "create", "path": "prompts/../bench.md", "file_text": "x"},
        {"command": "str_replace", "path": "prompts/new.md", "old_str": "a", "new_str": "b"},
    ],
)
def test_a_command_without_a_file_that_may_change_is_refused(command: dict[str, str]) -> None:
    editor = Editor(TEXT, RULES)
    with pytest.raises(BadEdit, match=r"name one of prompts/a\.md, settings\.yaml, src/model\.py"):
        editor.run(command)
    assert editor.text == TEXT


def test_no_new_file_without_create() -> None:
    with pytest.raises(BadEdit, match=r"there is no `prompts/b\.md`"):
        Editor(TEXT, EditRules(RULES.patterns)).run({"command": "create", "path": "prompts/b.md", "file_text": "x"})


BLOCK = "<<<<<<< SEARCH\n{}\n=======\n{}\n>>>>>>> REPLACE\n"


@pytest.mark.parametrize(
    "reply",
    [
        "prompts/a.md\n" + BLOCK.format("Be kind.", "Be brief."),
        "### `prompts/a.md`\n\n```\n" + BLOCK.format("Be kind.", "Be brief.") + "```\n",
        BLOCK.format("Be kind.", "Be brief."),  # no other file has these lines
        "The prompt:\n\nprompts/a.md\n```md\nBe brief.\n```\n",
    ],
)
def test_an_edit_in_plain_text_names_its_file(reply: str) -> None:
    assert apply_reply(reply, TEXT) == changed(prompts__a="Be brief.\n")


def test_blocks_of_two_files_and_of_an_unknown_one() -> None:
    two = BLOCK.format("Be kind.", "Be brief.") + "settings.yaml\n" + BLOCK.format("  offset: 0.5", "  offset: 1")
    files = SourceTree.parse(apply_reply(two, TEXT) or "").files
    assert files["prompts/a.md"] == "Be brief.\n" and "offset: 1\n" in files["settings.yaml"]
    with pytest.raises(BadEdit, match="path of its file"):
        apply_reply(BLOCK.format("nowhere", "x"), TEXT)
    assert apply_reply("no change", TEXT) is None


def test_blocks_and_whole_files_go_together() -> None:
    block, whole = "src/model.py\n" + BLOCK.format("SLOPE = 1.0", "SLOPE = 2.0"), "```md\nBe brief.\n```\n"
    new = "prompts/b.md\n\n```md\nAsk:\n\n    prompts/a.md\n```\n"
    for reply in (f"{block}\nprompts/a.md\n{whole}{new}", f"{new}prompts/a.md\n{whole}src/model.py\n```\n{block}```\n"):
        files = SourceTree.parse(apply_reply(reply, TEXT, RULES) or "").files
        assert files["prompts/a.md"] == "Be brief.\n" and "SLOPE = 2.0" in files["src/model.py"]
        assert files["prompts/b.md"].startswith("Ask:\n") and files["settings.yaml"] == SETTINGS
    with pytest.raises(BadEdit, match=r"two edits of prompts/a\.md"):
        apply_reply("prompts/a.md\n" + BLOCK.format("Be kind.", "Be good.") + f"\nprompts/a.md\n{whole}", TEXT)


@pytest.mark.parametrize("path", ["prompts/b.md", "bench.py", "Change", "prompts/../bench.md"])
def test_a_fence_creates_no_file_that_the_rules_do_not_allow(path: str) -> None:
    rules = EditRules(RULES.patterns, create=path != "prompts/b.md")
    assert apply_reply(f"{path}:\n```\nx\n```\n", TEXT, rules) is None


def test_a_fence_without_a_path_is_told_to_name_one() -> None:
    one = SourceTree({"prompts/a.md": "Be kind.\n"}).text
    session = EditSession("propose", one, BriefLibrary(brief_of(one)), rules=RULES, task="Be good.")
    with pytest.raises(ValueError, match="a line with its path"):
        session.read("Hypothesis: brevity\n\n```md\nBe brief.\n```\n")


def test_a_model_edits_two_files_and_proposes() -> None:
    brief = brief_of()
    session = EditSession("propose", brief.source, BriefLibrary(brief), None, 1, brief.rules, brief.task)
    tools = {tool["name"]: tool for tool in session.definitions()}
    assert "train.py" not in json.dumps([tools[name] for name in (EDITOR, "check", "start_from")])
    assert session.use("check", {}) == ("the files are unchanged", True)
    edit = {"command": "str_replace", "path": "src/model.py", "old_str": "1.0", "new_str": "2.0"}
    assert not session.use(EDITOR, edit)[1]
    assert not session.use(EDITOR, edit | {"path": "settings.yaml", "old_str": "0.5", "new_str": "0.2"})[1]
    assert session.use("check", {}) == ("ok: it parses and is new (+2 -2 lines)", False)
    broken = edit | {"old_str": "def predict", "new_str": "def def"}
    session.use(EDITOR, broken)
    assert "src/model.py does not parse" in session.use("check", {})[0]


def test_the_tools_and_words_for_train_py_are_as_before() -> None:
    session = EditSession("propose", "A = 1\n", BriefLibrary(brief_of("A = 1\n", task=None, rules=None)))
    tools = {tool["name"]: tool for tool in session.definitions()}
    assert tools[EDITOR]["input_schema"]["properties"]["path"]["description"] == "always train.py"
    assert system("propose", "tools").startswith(f"{CONTRACT}\n\nWork with the tools: edit train.py with")
    words = system("propose", "text", "The task.")
    assert words.startswith("The task.") and "train.py" not in words


def test_a_brief_shows_files_by_path_and_says_what_it_leaves_out() -> None:
    code = brief_of().stable[1]
    assert code.startswith(
        "# The files, the incumbent\n\n## prompts/a.md\n\n```markdown\nBe kind.\n```\n\n## settings.yaml"
    )
    short = show_source(SourceTree(FILES | {"big.txt": "word " * 3000 + "\n"}).text, "", 500)
    assert "## big.txt\n\nLeft out for its length: 1 lines." in short and "Be kind." in short
    fenced = show_source(SourceTree({"a.md": "```\nx\n```\n"}).text, "")
    assert "````markdown\n```\nx\n```\n````" in fenced


def home_of(tmp_path: Path, brief: Brief) -> Path:
    for name, content in workdir.initial_files(brief).items():
        (tmp_path / workdir.WORK / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / workdir.WORK / name).write_bytes(content)
    return tmp_path


def test_the_folder_of_a_command_holds_the_files(tmp_path: Path) -> None:
    brief = brief_of(versions={3: changed(prompts__a="Old.\n")})
    home = home_of(tmp_path, brief)
    assert (home / "work/version-3/prompts/a.md").read_text() == "Old.\n"
    head = (home / "work/BRIEF.md").read_text()
    assert "`settings.yaml`, `src/model.py`: the files that may change" in head and "train.py" not in head
    (home / "work/prompts/a.md").write_text("Be brief.\n")
    (home / "work/prompts/b.md").write_text("New.\n")
    (home / "work/other.txt").write_text("not taken\n")
    assert workdir.read_version(home, brief) == changed(prompts__a="Be brief.\n", prompts__b="New.\n")
    known = workdir.initial_files(brief)
    assert workdir.list_changes(home, known, FILES.keys()) == ["new other.txt", "new prompts/b.md"]


def test_a_folder_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    brief = brief_of()
    home = home_of(tmp_path / "home", brief)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "model.py").write_text("SECRET = 1\n")
    (home / "work/src/model.py").unlink()
    (home / "work/src").rmdir()
    (home / "work/src").symlink_to(outside)
    with pytest.raises(ValueError, match="no plain file"):
        workdir.read_version(home, brief)
