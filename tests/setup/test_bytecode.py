"""Packages that an installer left without bytecode are compiled once, where cells look for it."""

import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from autoresearch.setup import bytecode


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two packages, one of which holds a file that is no Python."""
    for name in ("heavy_package", "its_neighbour"):
        (tmp_path / "site" / name).mkdir(parents=True)
        (tmp_path / "site" / name / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (tmp_path / "site" / "its_neighbour" / "template.py").write_text("print {{ value }}\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def compiled(site: Path) -> set[str]:
    return {path.parent.parent.name for path in site.rglob("*.pyc")}


def test_packages_without_bytecode_are_compiled_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(site / "elsewhere"))  # cells do not have it
    said: list[str] = []
    assert not bytecode.has_bytecode("heavy_package")
    bytecode.compile_packages("heavy_package", said.append)
    assert bytecode.has_bytecode("heavy_package")
    assert compiled(site) == {"heavy_package", "its_neighbour"}
    assert not (site / "elsewhere").exists()
    bytecode.compile_packages("heavy_package", said.append)
    assert len(said) == 1 and said[0].startswith("compiling the Python files of heavy_package")


def test_nothing_is_compiled_where_it_is_not_needed(site: Path) -> None:
    said: list[str] = []
    py_compile.compile(str(site / "heavy_package" / "__init__.py"))
    bytecode.compile_packages("heavy_package", said.append)
    bytecode.compile_packages("a_package_that_is_missing", said.append)
    assert not said and compiled(site) == {"heavy_package"}


def test_a_cell_reads_this_bytecode() -> None:
    """The interpreter of a cell runs with -I: it finds torch, and bytecode, where this one does."""
    code = "import importlib.util as u; s = u.find_spec('torch'); print(u.cache_from_source(s.origin))"
    shown = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    folder = bytecode.find_folder("torch")
    assert folder is not None and Path(shown.strip()).parent == folder / "__pycache__"
