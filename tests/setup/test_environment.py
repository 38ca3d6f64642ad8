"""The environment of commands: made once for each state of the lock files, read by trials, part of the identity."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.evaluators import make_evaluator, open_referee
from support.repositories import git

from autoresearch import config
from autoresearch.errors import UsageError, UserError
from autoresearch.measure.command_spec import CommandSpec
from autoresearch.setup.command import read_command
from autoresearch.setup.environment import prepare_environment

BENCH = """import sys

import model
import tool

try:
    open(tool.__file__, "a").write("x")
except OSError:
    print("read only")
print("seconds:", tool.SPEED + model.SPEED)
"""
YAML = """edit: [model.py]
setup: sh install.sh
run: {command: python bench.py, timeout: 60s}
metric: {name: seconds, from: {regex: '^seconds: (\\S+)$'}}
"""
INSTALL = """set -e
echo collecting tool
python -m venv --without-pip .venv
packages=$(echo .venv/lib/python*/site-packages)
mkdir $packages/tool-1.0.dist-info
cp requirements.txt $packages/tool.py
printf 'Metadata-Version: 2.1\\nName: tool\\nVersion: 1.0\\n' > $packages/tool-1.0.dist-info/METADATA
echo run >> "$COUNT"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    files = {"bench.py": BENCH, "model.py": "SPEED = 0.5\n", config.FILE: YAML, "install.sh": INSTALL}
    return make_evaluator(tmp_path / "repository", "in-process", files | {"requirements.txt": "SPEED = 2.0\n"})


def prepare(root: Path) -> CommandSpec:
    settings = config.load(root, {})
    prepare_environment(root, settings)
    return read_command(root, settings)


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "count").read_text().split())


def test_it_is_made_once_for_each_state_of_the_lock_files(
    project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = prepare(project)
    assert "  collecting tool" in capfd.readouterr().err
    assert prepare(project).hash == first.hash and runs(tmp_path) == 1
    assert first.python.startswith(str(tmp_path / "cache")) and not (project / ".venv").exists()
    with open_referee(project) as measured:
        result = measured.referee.measure(measured.base, 1)
    assert (result.outcome, result.val_bpb) == ("ok", 2.5), result.reason
    assert "read only" in result.log
    (project / "requirements.txt").write_text("SPEED = 3.0\n")
    git(project, "commit", "-qam", "a newer tool")
    second = prepare(project)
    assert runs(tmp_path) == 2 and second.hash != first.hash


def test_a_failure_says_which_package_and_changes_nothing(project: Path, tmp_path: Path) -> None:
    (project / "install.sh").write_text(
        "touch x\necho fine\necho 'ERROR: no matching distribution for tool' >&2\nexit 7\n"
    )
    git(project, "commit", "-qam", "broken")
    with pytest.raises(UserError) as failed:
        prepare(project)
    words = str(failed.value)
    assert "`setup` failed, and nothing was changed: status 7: ERROR: no matching distribution for tool" in words
    assert f"take `setup` out of autoresearch.yaml to use {sys.executable}" in words and "\n" not in words
    assert not [*(tmp_path / "cache/environments").glob("*/")] and not (project / "x").exists()
    (project / config.FILE).write_text(YAML.replace("sh install.sh", "no-such-program"))
    with pytest.raises(UserError, match="no-such-program: No such file"):
        prepare(project)


def test_a_project_that_is_installed_itself_follows_the_version(project: Path) -> None:
    files = {
        "install.sh": INSTALL + 'mkdir x && mv tool x 2>/dev/null || true; echo "$PWD/src" > $packages/own.pth\n',
        "bench.py": BENCH.replace("import model", "import own").replace("model.", "own."),
        config.FILE: YAML.replace("model.py", "src/own.py"),
    }
    (project / "src").mkdir()
    for name, text in (files | {"src/own.py": "SPEED = 0.5\n"}).items():
        (project / name).write_text(text)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "a package")
    prepare(project)
    with open_referee(project) as measured:
        assert measured.referee.measure(measured.base, 1).val_bpb == 2.5
        assert measured.referee.measure(measured.base.replace("0.5", "0.1"), 1).val_bpb == 2.1


def test_a_project_that_is_copied_into_its_environment_is_refused(project: Path) -> None:
    more = 'printf \'{"url": "file://%s", "dir_info": {}}\' "$PWD" > $packages/tool-1.0.dist-info/direct_url.json\n'
    (project / "install.sh").write_text(INSTALL + more)
    git(project, "commit", "-qam", "a copy")
    with pytest.raises(UserError, match=r"installs the project itself \(tool\).*--no-install-project"):
        prepare(project)


def test_the_python_is_that_of_the_settings_or_of_the_project(project: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    (project / config.FILE).write_text(YAML.replace("setup: sh install.sh\n", ""))
    own = read_command(project, config.load(project, {}))
    assert own.python == str(project / ".venv/bin/python")
    (project / config.FILE).write_text(YAML.replace("setup: sh install.sh", f"python: {sys.executable}"))
    chosen = read_command(project, config.load(project, {}))
    assert chosen.python == sys.executable and chosen.hash != own.hash
    (project / config.FILE).write_text(YAML.replace("setup: sh install.sh", "python: missing/python"))
    with pytest.raises(UsageError, match="missing/python does not exist"):
        read_command(project, config.load(project, {}))


def test_a_python_that_is_none_is_one_clear_line(project: Path) -> None:
    (project / config.FILE).write_text(YAML.replace("setup: sh install.sh", "python: /bin/true"))
    with pytest.raises(UserError, match=r"^/bin/true, the Python of the commands, does not list its packages: $"):
        read_command(project, config.load(project, {}))


def test_another_package_is_another_evaluator(project: Path) -> None:
    before = prepare(project)
    packages: Path = next(Path(before.python).parents[1].glob("lib/python*/site-packages"))
    shutil.copytree(packages / "tool-1.0.dist-info", packages / "more-2.0.dist-info")
    metadata = packages / "more-2.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text().replace("tool", "more"))
    assert prepare(project).hash != before.hash


def test_what_is_no_python_package_is_at_its_place_too(project: Path) -> None:
    (project / "install.sh").write_text("mkdir node_modules && echo 'SPEED = 4.0' > node_modules/tool.txt\n")
    (project / "bench.py").write_text("print('seconds:', open('node_modules/tool.txt').read().split()[-1])\n")
    git(project, "commit", "-qam", "another tool")
    spec = prepare(project)
    assert [*spec.made] == ["node_modules"] and spec.python == sys.executable
    with open_referee(project) as measured:
        assert measured.referee.measure(measured.base, 1).val_bpb == 4.0
    assert json.loads((Path(spec.made["node_modules"]).parents[1] / "made.json").read_text()) == ["node_modules"]
