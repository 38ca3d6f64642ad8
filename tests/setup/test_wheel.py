"""The wheel: what it holds, and that it works in an environment and a folder without a clone."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from autoresearch import __version__

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("hatchling")
pytestmark = pytest.mark.slow


def build(target: str, folder: Path) -> Path:
    """Build a distribution of this checkout; return its file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("autoresearch-*"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of a new environment with the wheel, which borrows what it needs from this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = ["install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    (Path(paths["purelib"]) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def call(scripts: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(scripts / "autoresearch"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_wheel_holds_the_package_and_the_templates_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"autoresearch", f"autoresearch-{__version__}.dist-info"}
    assert {"autoresearch/py.typed", "autoresearch/report/report.css", "autoresearch/ledger/schema.sql"} <= set(names)
    templates = {name for name in names if name.startswith("autoresearch/templates/")}
    assert templates == {"autoresearch/templates/train.py", "autoresearch/templates/program.md"}
    assert zipfile.ZipFile(wheel).read("autoresearch/templates/train.py") == (ROOT / "train.py").read_bytes()


def test_a_wheel_can_be_made_from_the_source_distribution(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"train.py", "program.md", "prepare.py", "README.md", "LICENSE", "autoresearch/py.typed"} <= names
    assert not any(name.startswith("runs/") and name != "runs/.gitkeep" for name in names)


def test_a_project_starts_from_the_wheel_in_an_empty_folder(scripts: Path, tmp_path: Path) -> None:
    shown = call(scripts, tmp_path, "--version")
    assert (shown.returncode, shown.stdout) == (0, f"{__version__}\n"), shown.stderr
    assert "no train.py here" in call(scripts, tmp_path, "status").stderr
    made = call(scripts, tmp_path, "init")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "train.py").read_bytes() == (ROOT / "train.py").read_bytes()
    assert (tmp_path / "program.md").read_bytes() == (ROOT / "program.md").read_bytes()
    assert "start one with `autoresearch run`" in call(scripts, tmp_path, "status").stderr


def test_no_module_beside_the_package_is_installed(scripts: Path, tmp_path: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('prepare', 'train') if u.find_spec(n)])"
    done = subprocess.run([str(scripts / "python"), "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_the_image_installs_the_torch_that_the_package_wants() -> None:
    wanted = next(line for line in (ROOT / "pyproject.toml").read_text().splitlines() if '"torch>' in line)
    assert wanted.strip().rstrip(",") in (ROOT / "Dockerfile").read_text()


def test_the_image_has_the_extras_of_the_readme() -> None:
    wanted = extras_in((ROOT / "README.md").read_text())
    assert {"parquet", "openai"} <= wanted <= extras_in((ROOT / "Dockerfile").read_text())


def extras_in(text: str) -> set[str]:
    """Return the extras of the first line that installs this package."""
    found = re.search(r'"(?:\.|/source)\[([\w,]+)\]"', text)
    assert found is not None
    return set(found[1].split(","))
