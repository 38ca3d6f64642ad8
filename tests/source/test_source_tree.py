"""Versions of several files as one text, and what is asked of such texts, file by file."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.source import diff, fingerprint, lines, rebase, size
from autoresearch.source.contract import complaint
from autoresearch.source.scalars import scalars, with_scalars
from autoresearch.source_tree import EditRules, SourceTree, TreeLimits
from autoresearch.workspace.texts import merge_texts, run_git

MODEL = "RATE = 0.1\nWIDTH = 8\n\n\ndef predict(x):\n    return RATE * x\n"
PROMPT = "Answer in one word.\nBe kind.\n"
DATA = "steps: 100  # of the loop\nmodel: {rate: 0.5, name: '0.5'}\nsizes: [1, 2]\n"
BASE = {"src/model.py": MODEL, "prompts/a.md": PROMPT, "data.yaml": DATA}


def text_of(**changes: str) -> str:
    """The base, with changed files: `_` stands for a dot, `__` for a slash."""
    names = {name.replace("__", "/").replace("_", "."): text for name, text in changes.items()}
    return SourceTree(BASE | names).text


paths = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), min_size=1, max_size=12)
texts = st.text(max_size=60) | st.sampled_from(["", "==> a.py, 3 characters <==\nabc\n", "\r\n", "a\r"])


@given(st.dictionaries(paths, texts, min_size=1, max_size=4))
def test_the_text_of_a_version_has_its_files(files: dict[str, str]) -> None:
    text = SourceTree(files).text
    assert SourceTree.parse(text) == SourceTree(files)


@given(texts)
def test_any_other_text_is_that_of_train_py(text: str) -> None:
    tree = SourceTree.parse(text)
    assert tree.framed or (dict(tree.files) == {"train.py": text} and tree.text == text)


@pytest.mark.parametrize("cut", [1, 5, 40, -1])
def test_a_damaged_text_is_no_version_of_several_files(cut: int) -> None:
    assert not SourceTree.parse(SourceTree(BASE).text[:cut]).framed


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("src/*.py", "src/a.py", "src/deep/a.py"),
        ("src/**/*.py", "src/deep/er/a.py", "lib/a.py"),
        ("src/**", "src/deep/a.txt", "src2/a.txt"),
        ("[ab].md", "a.md", "c.md"),
        ("train.py", "train.py", "src/train.py"),
    ],
)
def test_patterns(pattern: str, inside: str, outside: str) -> None:
    rules = EditRules((pattern,))
    assert rules.matches(inside) and not rules.matches(outside)


@pytest.mark.parametrize("path", ["conftest.py", "a/sitecustomize.py", "a/b.pth", "pyproject.toml", "tox.ini"])
def test_files_that_programs_take_as_their_own_match_by_name_only(path: str) -> None:
    name = path.rpartition("/")[2]
    assert not EditRules(("**",)).matches(path)
    assert EditRules((f"**/{name}",)).matches(path) and EditRules((path,)).matches(path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"bench.py": "x"}, "`bench.py` is none of the files that may change"),
        ({"src/model.py": None}, "`src/model.py` is gone"),
        ({"prompts/../bench.md": "x"}, "cannot be the path of a file"),
        ({"prompts/.git/x.md": "x"}, "cannot be the path of a file"),
        ({"src/conftest.py": "x"}, "would be run or read without being asked for"),
        ({"src/setup.cfg": "x"}, "would be run or read without being asked for"),
        ({"src/lib/x.py": "x"}, "`src/lib/x.py` is in the way of `src/lib`"),
        ({"src/model.py": "a\0b"}, "is binary"),
    ],
)
def test_a_version_with_other_files_is_refused_with_the_reason(files: dict[str, str | None], words: str) -> None:
    rules = EditRules(("src/**/*.py", "prompts/**/*.md", "data.yaml"), create=True)
    limits = TreeLimits(rules, list(BASE), ["bench.py", "src/lib"])
    changed = {path: text for path, text in (BASE | files).items() if text is not None}
    assert words in str(limits.violation(SourceTree(changed).text))
    assert limits.violation(text_of(prompts__b_md="new\n")) is None
    assert "none of the files" in str(
        TreeLimits(EditRules(rules.patterns), list(BASE)).violation(text_of(src__n_py=""))
    )
    assert limits.violation("def train(trial): ...\n") is not None


def test_a_patch_of_several_files_applies(tmp_path: object) -> None:
    after = text_of(src__model_py=MODEL.replace("8", "9"), prompts__b_md="new\nfile\n")
    patch = diff.unified_diff(text_of(), after)
    assert "--- /dev/null\n+++ b/prompts/b.md\n" in patch and "data.yaml" not in patch
    assert diff.lines_changed(text_of(), after) == (3, 1)
    assert diff.summary(text_of(), after) == "prompts/b.md: +2 -0 lines; src/model.py: WIDTH 8 -> 9"
    assert diff.added_lines(text_of(), after) == ["new", "file", "WIDTH = 9"]
    for path, text in BASE.items():
        target = tmp_path / path  # type: ignore[operator]
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
    assert run_git(str(tmp_path), "apply", "-", stdin=patch.encode()).returncode == 0
    assert (tmp_path / "prompts/b.md").read_text() == "new\nfile\n"  # type: ignore[operator]


def test_programs_are_compared_as_programs_and_other_files_as_texts() -> None:
    base = fingerprint.fingerprint_without_seed(text_of())
    assert fingerprint.fingerprint_without_seed(text_of(src__model_py="# a comment\n" + MODEL)) == base
    assert fingerprint.fingerprint_without_seed(text_of(prompts__a_md=PROMPT + "\n")) != base
    assert fingerprint.fingerprint_without_seed(text_of(src__model_py=MODEL.replace("8", "9"))) != base
    shape, numbers = fingerprint.outline(text_of())
    moved = fingerprint.outline(text_of(data_yaml=DATA.replace("rate: 0.5", "rate: 0.7")))
    assert moved[0] == shape and moved[1] != numbers
    assert fingerprint.outline(text_of(data_yaml=DATA.replace("loop", "loops")))[0] != shape


def test_size_counts_programs_and_words() -> None:
    whole, less = size.size(text_of()), size.size(text_of(prompts__a_md="Answer in one word.\n"))
    assert less.is_smaller_than(whole)
    assert not size.size(text_of(src__model_py="# only\n" + MODEL)).is_smaller_than(whole)


def test_changes_are_merged_by_file() -> None:
    ours = text_of(src__model_py=MODEL.replace("WIDTH = 8", "WIDTH = 9"))
    theirs = text_of(src__model_py=MODEL.replace("RATE = 0.1", "RATE = 0.2"), prompts__a_md="Other.\n")
    both = rebase.rebase_change(merge_texts, text_of(), ours, theirs)
    wanted = MODEL.replace("WIDTH = 8", "WIDTH = 9").replace("RATE = 0.1", "RATE = 0.2")
    assert both == text_of(src__model_py=wanted, prompts__a_md="Other.\n")
    clash = text_of(prompts__a_md="Yet another.\n")
    assert rebase.rebase_change(merge_texts, text_of(), clash, theirs) is None


def test_line_ends_stay_those_of_each_file() -> None:
    original = text_of(prompts__a_md=PROMPT.replace("\n", "\r\n"))
    written = lines.written_like(original, text_of(prompts__a_md=PROMPT + "More.\n", prompts__n_md="a\r\nb\n"))
    files = SourceTree.parse(written).files
    assert files["prompts/a.md"] == "Answer in one word.\r\nBe kind.\r\nMore.\r\n"
    assert files["prompts/n.md"] == "a\r\nb\n" and files["src/model.py"] == MODEL


def test_only_a_file_that_could_be_read_before_must_be_readable() -> None:
    broken = MODEL + "def (\n"
    assert "src/model.py does not parse: line 7" in str(complaint(text_of(src__model_py=broken), text_of()))
    assert complaint(text_of(src__model_py=broken), text_of(src__model_py="def )\n")) is None
    assert "x.json does not parse" in str(complaint(text_of(x_json="{"), text_of()))


def test_scalars_of_programs_yaml_json_and_toml_can_be_moved() -> None:
    toml = 'rate = 0.001  # fast\nname = "3"\n[model.deep]\nwidth = 64\ntext = """\nrate = 5\n"""\n'
    text = text_of(c_toml=toml, c_json='{"a": {"b": 1e-3}, "list": [4]}\n')
    found = {each.name: each.value for each in scalars(text)}
    assert found == {
        "c.json:a.b": 0.001,
        "c.json:list.0": 4,
        "c.toml:model.deep.width": 64,
        "c.toml:rate": 0.001,
        "data.yaml:model.rate": 0.5,
        "data.yaml:sizes.0": 1,
        "data.yaml:sizes.1": 2,
        "data.yaml:steps": 100,
        "src/model.py:RATE": 0.1,
        "src/model.py:WIDTH": 8,
    }
    moved = {"c.toml:rate": 0.00002, "data.yaml:model.rate": 0.00001, "data.yaml:steps": 200, "src/model.py:WIDTH": 16}
    files = SourceTree.parse(with_scalars(text, moved)).files
    assert files["c.toml"] == toml.replace("rate = 0.001", "rate = 2.0e-5")
    assert yaml.safe_load(files["data.yaml"]) == {
        "steps": 200,
        "model": {"rate": 1e-5, "name": "0.5"},
        "sizes": [1, 2],
    }
    assert "# of the loop" in files["data.yaml"] and files["src/model.py"] == MODEL.replace("8", "16")
