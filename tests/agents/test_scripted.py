import subprocess
from types import SimpleNamespace

import pytest

from autoresearch.agents.attempts import Attempts
from autoresearch.agents.base import BadProposal, Exhausted
from autoresearch.agents.registry import create
from autoresearch.agents.scripted import Scripted
from autoresearch.errors import UsageError, UserError
from autoresearch.source.diff import unified_diff
from autoresearch.source_tree import SourceTree

SOURCE = "".join(f"LINE_{i} = {i}  # größer\n" for i in range(30))
BETTER = SOURCE.replace("LINE_9 = 9", "LINE_9 = 99")


def brief(*done, source=SOURCE, base=SOURCE):
    history = [SimpleNamespace(params=params, arm=None) for params in ({}, *done)]
    return SimpleNamespace(
        n=len(history), seed=0, source=source, base_source=base, history=history, pending=[], feedback=[], arm=None
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "10-last.py").write_text("x = 1\n")
    (tmp_path / "9-raise-line-nine.patch").write_text(unified_diff(SOURCE, BETTER))
    (tmp_path / "01-whole.py").write_bytes("é = 1\r\n".encode())
    (tmp_path / "01-whole.yaml").write_text("hypothesis: start afresh\ncategory: simplification\npredicted: -0.01\n")
    (tmp_path / "README.md").write_text("not a proposal")
    return tmp_path


def test_edits_come_in_natural_order_and_then_no_more(folder):
    agent, done = create(f"scripted:{folder}"), []
    while True:
        try:
            done.append(agent.propose(brief(*done)).params)
        except Exhausted as end:
            assert str(end) == "agent exhausted"
            break
    assert [params["script"] for params in done] == ["01-whole", "9-raise-line-nine", "10-last"]


def test_whole_text_with_notes(folder):
    proposal = Scripted(folder).propose(brief())
    assert proposal.text == "é = 1\r\n"
    assert proposal.hypothesis == "start afresh"
    assert (proposal.category, proposal.predicted) == ("simplification", -0.01)
    assert proposal.params == {"script": "01-whole"}


def test_whole_text_of_the_only_file_of_a_tree(tmp_path):
    (tmp_path / "01-unrolled.c").write_text("int main() {}\n")
    (tmp_path / "02-of-python.py").write_text("x = 1\n")
    (tmp_path / "notes.c").write_text("not a proposal")
    agent, one = Scripted(tmp_path), SourceTree({"src/kernel.c": "int x;\n"}).text
    found = agent.propose(brief(source=one, base=one))
    assert SourceTree.parse(found.text).files == {"src/kernel.c": "int main() {}\n"}
    with pytest.raises(BadProposal, match=r"02-of-python.py has to be a patch, or the whole text of src/kernel.c"):
        agent.propose(brief({"script": "01-unrolled"}, source=one, base=one))
    two = SourceTree({"a.c": "", "b.c": ""}).text
    with pytest.raises(BadProposal, match=r"01-unrolled.c has to be a patch: there are several files"):
        agent.propose(brief(source=two, base=two))


def test_patch_is_applied_to_the_incumbent_as_it_is_now(folder):
    agent = Scripted(folder)
    moved = "# a new first line\n" + SOURCE.replace("LINE_20 = 20", "LINE_20 = 0")
    proposal = agent.propose(brief({"script": "01-whole"}, source=moved))
    assert proposal.text == moved.replace("LINE_9 = 9", "LINE_9 = 99")
    assert proposal.hypothesis == "raise line nine"


def test_a_patch_that_does_not_apply_is_a_bad_proposal_once(folder):
    agent = Scripted(folder)
    with pytest.raises(BadProposal, match=r"9-raise-line-nine.patch does not apply .*train.py:\d+") as bad:
        agent.propose(brief({"script": "01-whole"}, source="other = 1\n"))
    assert bad.value.params == {"script": "9-raise-line-nine"}
    assert agent.propose(brief({"script": "01-whole"}, bad.value.params)).params == {"script": "10-last"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("--- a/train.py\n+++ b/train.py\n", "--- train.py\t2026-01-01\n+++ /somewhere/new.py\t2026-01-02\n"),
        ("--- a/train.py", "diff --git a/train.py b/train.py\nindex 1234567..89abcde 100644\n--- a/train.py"),
        ("--- a/train.py", "From: somebody\nSubject: a mail\n\n---\n train.py | 2 +-\n\n--- a/train.py"),
        ("@@ -7,7 +7,7 @@", "@@ -17,5 +3,5 @@"),
    ],
)
def test_patches_of_many_makers(folder, old, new):
    file = folder / "9-raise-line-nine.patch"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    assert Scripted(folder).propose(brief({"script": "01-whole"})).text == BETTER


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("dress", [("", "\n"), ("", "\r\n"), ("\ufeff", "\n")], ids=repr)
def test_line_ends_and_marks_are_ignored_and_kept(tmp_path, mark, end, dress):
    incumbent = mark + SOURCE.replace("\n", end)
    patch = unified_diff("\ufeff" + SOURCE, "\ufeff" + SOURCE.replace("_0 = 0 ", "_0 = 3 "))
    (tmp_path / "1-first-line.patch").write_text(dress[0] + patch, newline=dress[1])
    proposal = Attempts().ask(Scripted(tmp_path), brief(source=incumbent))
    assert proposal.text == incumbent.replace("_0 = 0 ", "_0 = 3 ")


def test_a_temporary_folder_inside_a_repository_does_not_matter(folder, tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert Scripted(folder).propose(brief({"script": "01-whole"})).text == BETTER


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (b"", "no change"),
        (unified_diff(SOURCE, BETTER).encode() * 2, "changes to 2 files"),
        (unified_diff(SOURCE, "").encode(), "whole of train.py"),
        (unified_diff(SOURCE, SOURCE + "x").encode() + b"\xff\n", None),
        (unified_diff(SOURCE, "x\n" + SOURCE).encode().replace(b"+x", b"+\xff"), "not UTF-8"),
    ],
)
def test_broken_patches(tmp_path, patch, words):
    (tmp_path / "1-a.patch").write_bytes(patch)
    if words is None:
        assert Scripted(tmp_path).propose(brief()).text == SOURCE + "x"
        return
    with pytest.raises(BadProposal, match=rf"1-a\.patch .*{words}"):
        Scripted(tmp_path).propose(brief())


def test_a_file_that_went_away_is_a_bad_proposal(folder):
    agent = Scripted(folder)
    (folder / "01-whole.py").unlink()
    with pytest.raises(BadProposal, match="cannot be read"):
        agent.propose(brief())


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ("hypotesis: x", "unknown key `hypotesis`"),
        ("category: magic", "no category `magic`"),
        ("predicted: better", "has to be a number"),
        ("predicted: true", "has to be a number"),
        ("hypothesis: 3", "has to be text"),
        ("- a\n- b", "key: value"),
        ("a: [", "is not YAML"),
    ],
)
def test_notes_that_cannot_be_used(folder, notes, words):
    (folder / "01-whole.yaml").write_text(notes)
    with pytest.raises(UserError, match=f"01-whole.yaml.*{words}"):
        Scripted(folder)


def test_empty_notes(folder):
    (folder / "01-whole.yaml").write_text("# later\n")
    assert Scripted(folder).propose(brief()).hypothesis == "whole"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("01-whole.patch", "two proposals called 01-whole"),
        ("x.py", "NN-name.py"),
        ("3-b.yaml", "no proposal"),
    ],
)
def test_folders_that_are_not_clear(folder, name, words):
    (folder / name).write_text("hypothesis: x")
    with pytest.raises(UsageError, match=words):
        Scripted(folder)


def test_no_folder_and_nothing_in_it(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        Scripted(tmp_path / "nope")
    with pytest.raises(UsageError, match="has no proposals"):
        Scripted(tmp_path)


@pytest.mark.parametrize("spec", ["", "scripted", "scripted:", "magic", "sweep:x"])
def test_unknown_agents(spec):
    with pytest.raises(UsageError, match=r"use `auto`, `sweep`, .*`scripted:DIR`"):
        create(spec)


def test_a_patch_whose_context_a_keep_has_changed_is_merged(folder):
    kept = SOURCE.replace("LINE_8 = 8", "LINE_8 = 80").replace("LINE_10 = 10", "LINE_10 = 100")
    proposal = Scripted(folder).propose(brief({"script": "01-whole"}, source=kept))
    assert proposal.text == kept.replace("LINE_9 = 9", "LINE_9 = 99")


def test_a_patch_of_lines_whose_context_a_keep_has_changed_is_merged(folder):
    changed = SOURCE.replace("LINE_9 = 9  # größer\n", "LINE_9 = 9  # größer\nprint(LINE_9)\n")
    (folder / "9-raise-line-nine.patch").write_text(unified_diff(SOURCE, changed))
    kept = SOURCE.replace("LINE_7 = 7  # größer\n", "")
    proposal = Scripted(folder).propose(brief({"script": "01-whole"}, source=kept))
    assert proposal.text == kept.replace("LINE_9 = 9  # größer\n", "LINE_9 = 9  # größer\nprint(LINE_9)\n")


def test_a_patch_of_what_a_keep_has_changed_conflicts(folder):
    kept = SOURCE.replace("LINE_9 = 9 ", "LINE_9 = 90 ")
    with pytest.raises(BadProposal, match=r"9-raise-line-nine\.patch does not apply"):
        Scripted(folder).propose(brief({"script": "01-whole"}, source=kept))
