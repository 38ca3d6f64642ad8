"""Settings of commands that measure: what belongs together, and the one line where it does not."""

from pathlib import Path

import pytest
from support.evaluators import open_referee
from support.repositories import git
from support.triplets import SEPARATE, YAML, make_separate, make_triplet

from autoresearch import config
from autoresearch.errors import Blocker, UsageError, UserError
from autoresearch.setup.command import read_command
from autoresearch.setup.project import open_project
from autoresearch.source_tree import SourceTree


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("edit: [a.py, b.py]\n", "the built-in trial measures one Python file"),
        ("edit: ['*.py']\n", "the built-in trial measures one Python file"),
        ("edit: [a.yaml]\n", "the built-in trial measures one Python file"),
        ("run: {command: x}\n", "`run` and `metric` in autoresearch.yaml belong together"),
        ("score: {command: x}\n", "belong together"),
        (YAML + "budget: 200steps\n", "write it as 60s, 5m, 60cpu or none"),
        (YAML.replace("settings.yaml]", "program.md]"), "program.md is yours"),
        (YAML.replace("{json: $.error.mean}", "{regex: 'x (\\d)', json: $.a}"), "only one of them"),
        (YAML.replace("{json: $.error.mean}", "{regex: 'x'}"), "needs one group"),
        (YAML.replace("{json: $.error.mean}", "{regex: '('}"), "not a regular expression"),
        (YAML.replace("{json: $.error.mean}", "{json: $.a, file: b.json}"), "none of `run.outputs`"),
        (YAML.replace("result.json", "../result.json"), "run.outputs"),
        (YAML.replace("src/model.py", "/etc/passwd"), "has to be a path in the repository"),
        (YAML + "holdout: {command: x}\n", "`holdout` needs `score`"),
        (SEPARATE.replace("  outputs: [pred.json]\n", ""), "`score` reads `run.outputs`"),
        (SEPARATE.replace("[labels.json]", "[../labels.json]"), "has to be a path in the repository"),
        (SEPARATE + "guard: 1\n", "there is no such setting"),
    ],
)
def test_settings_that_do_not_go_together(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / config.FILE).write_text(text)
    with pytest.raises(UsageError) as refused:
        config.load(tmp_path, {})
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_one_python_file_is_that_of_the_built_in_trial(tmp_path: Path) -> None:
    (tmp_path / config.FILE).write_text("edit: src/model.py\n")
    found = config.load(tmp_path, {})
    assert found.train == "src/model.py" and found.run is None


def test_a_command_is_read_with_what_it_locks(tmp_path: Path) -> None:
    root = make_separate(tmp_path / "repository")
    spec = read_command(root, config.load(root, {}))
    assert spec.run.command == ("python", "predict.py", "{seed}", "{out}") and spec.run.timeout_s == 60
    assert {"labels.json", "score.py"} <= spec.locked.keys() and "predict.py" not in spec.locked
    assert spec.private == ("labels.json", "data/sealed.json")
    assert spec.holdout is not None and dict(spec.holdout.read) == {"data/sealed.json": root / "data/sealed.json"}
    (root / "data/sealed.json").write_text("[]")
    assert read_command(root, config.load(root, {})).hash != spec.hash
    (root / "data/sealed.json").unlink()
    with pytest.raises(UserError, match=r"data/sealed\.json, which the commands of the settings read, does not exist"):
        read_command(root, config.load(root, {}))


def test_what_is_private_may_not_be_read_by_the_run(tmp_path: Path) -> None:
    root = make_separate(tmp_path / "repository")
    (root / config.FILE).write_text(SEPARATE.replace("  timeout: 60s\n", "  timeout: 60s\n  read: [data]\n"))
    with pytest.raises(UsageError, match="is private, and `read` lets `run` read it"):
        read_command(root, config.load(root, {}))


def test_an_output_with_the_number_is_named_where_there_are_several(tmp_path: Path) -> None:
    root = make_triplet(tmp_path / "repository")
    assert read_command(root, config.load(root, {})).file == "result.json"
    (root / config.FILE).write_text(YAML.replace("[result.json]", "[result.json, other.json]"))
    assert read_command(root, config.load(root, {})).file is None  # then it is in a line that is printed
    git(root, "checkout", config.FILE)


def test_a_pattern_that_would_need_a_name_says_so(tmp_path: Path) -> None:
    root = make_triplet(tmp_path / "repository")
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "settings of a tool")
    (root / config.FILE).write_text(YAML.replace("src/model.py", '"*.toml"'))
    with pytest.raises(Blocker, match=r"has to name pyproject.toml itself"):
        read_command(root, config.load(root, {}))


def test_no_version_has_files_where_the_users_own_are_put(tmp_path: Path) -> None:
    root = make_separate(tmp_path / "repository")
    settings = SEPARATE.replace("predict.py]", "predict.py, 'data/*.py', 'src/*.py']\ncreate: true")
    (root / config.FILE).write_text(settings.replace("  timeout: 60s\n", "  timeout: 60s\n  read: [./src/more.py]\n"))
    (root / "src/more.py").touch()
    (root / "data/own.py").touch()
    git(root, "add", "data/own.py")
    git(root, "commit", "-qm", "more")
    with open_referee(root) as measured:
        files = dict(SourceTree.parse(measured.base).files)
        refusal = measured.limits.violation(SourceTree(files | {"src/more.py": ""}).text)
        assert refusal == "`src/more.py` is in the way of `src/more.py`"
        assert measured.limits.violation(SourceTree(files | {"data/new.py": ""}).text) is None


@pytest.mark.parametrize(("old", "new"), [("[data/sealed.json]", "[src]"), ("timeout: 60s", "read: [settings.yaml]")])
def test_what_may_change_is_neither_private_nor_read_from_elsewhere(tmp_path: Path, old: str, new: str) -> None:
    root = make_separate(tmp_path / "repository")
    (root / config.FILE).write_text(SEPARATE.replace(old, new))
    with pytest.raises(UsageError, match=r"may change, and .* is `private` or in `read`"):
        read_command(root, config.load(root, {}))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"


def make_large_files(tmp_path: Path) -> Path:
    """Return a repository with two files in git LFS, of which the working tree has the contents."""
    root = make_separate(tmp_path / "repository")
    names = ["models/a.bin", "labels.json"]
    (root / ".gitattributes").write_text("*.bin filter=lfs\nlabels.json filter=lfs\n")
    contents = {name: (root / name).read_text() if (root / name).exists() else "weights" for name in names}
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(POINTER)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "large files")
    for name, content in contents.items():
        (root / name).write_text(content)
    return root


def test_a_file_in_git_lfs_has_to_be_read_from_the_working_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    root = make_large_files(tmp_path)
    with pytest.raises(Blocker, match=r"models/a\.bin is in git LFS, .* under `read` of `run`"):
        open_project({"device": "cpu"}, root)
    run = "command: python predict.py {seed} {out}"
    loads = "assert open('models/a.bin').read() == 'weights'\n"
    (root / "predict.py").write_text(loads + (root / "predict.py").read_text())
    git(root, "commit", "-qm", "loads", "predict.py")
    (root / config.FILE).write_text(SEPARATE.replace(run, f"{run}\n  read: [models]"))
    assert open_project({"device": "cpu"}, root).command is not None
    with open_referee(root) as measured:
        result = measured.referee.measure(measured.base, 1)
    assert (result.outcome, result.reason) == ("ok", "")  # `score` has the private labels, which are in LFS too
    (root / config.FILE).write_text(SEPARATE)
    (root / "models/a.bin").write_text(POINTER)  # not fetched: what the command gets outside of a trial, too
    assert open_project({"device": "cpu"}, root).command is not None
