"""Library files that a trial needs, on a small made-up library."""

from pathlib import Path

import pytest

from autoresearch.data import stdlib


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """Make a library of 200 files that nothing needs, and a few that depend on each other."""
    monkeypatch.setattr(stdlib, "NEEDED_MODULES", ())
    texts = {f"alone{number}.py": b"import alone0\n" for number in range(200)}
    texts |= {
        "json/__init__.py": b"from . import scan\ntry:\n    import early\nexcept ImportError:\n    pass\n",
        "json/scan.py": b"from pack.part import thing\ndef f():\n    import late\n",
        "early.py": b"not python at all",
        "pack/__init__.py": b"from .sister import *\n",
        "pack/part.py": b"class A:\n    import inner\n",
        "pack/sister.py": b"",
        "pack/brother.py": b"",
        "inner.py": b"",
        "late.py": b"async def f():\n    from pack import brother\n",
    }
    return tmp_path, texts


NOW = {
    *("json/__init__.py", "json/scan.py", "early.py", "inner.py"),
    *("pack/__init__.py", "pack/part.py", "pack/sister.py"),
}


def test_imports_are_followed_into_functions(made_up):
    assert stdlib.needed_files(*made_up) == NOW | {"late.py", "pack/brother.py"}


def test_imports_in_functions_do_not_count_if_little_would_be_left(made_up, monkeypatch):
    monkeypatch.setattr(stdlib, "FEWEST_FREE", 201)
    assert stdlib.needed_files(*made_up) == NOW


def test_modules_that_are_loaded_count(monkeypatch):
    monkeypatch.setattr(stdlib, "NEEDED_MODULES", ("wave", "no_such_module"))
    texts = {"wave.py": b"", "turtle.py": b"", "os.py": b""}
    assert stdlib.needed_files(stdlib.library_root(), texts) == {"wave.py", "os.py"}


def test_the_code_of_cells_is_named_with_all_that_it_imports() -> None:
    package = Path(stdlib.__file__).parents[1]
    named = {path for pattern in stdlib.CELL_CODE for path in package.glob(pattern)}
    assert all(any(package.glob(pattern)) for pattern in stdlib.CELL_CODE)
    modules = {f"autoresearch.{stdlib._module(str(path.relative_to(package)))}": path for path in package.rglob("*.py")}
    imported = {
        modules[name] for path in named for name in stdlib._imports(path.name, path.read_bytes()).keys() & modules
    }
    assert {path for path in imported if path.name != "__init__.py"} <= named


def test_near_copies_in_installed_packages_are_found(tmp_path, monkeypatch):
    line = b"a line that is long enough to count, number %d\n"
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "parser.py").write_bytes(b"".join(line % n for n in range(10)))
    monkeypatch.setattr(stdlib.sysconfig, "get_path", lambda name: str(tmp_path))
    mostly = b"".join(line % n for n in range(3, 12))
    other = b"".join(line % n for n in range(8, 30))
    assert stdlib.copied_elsewhere({"deep/parser.py": mostly}) == {"deep/parser.py"}
    assert stdlib.copied_elsewhere({"parser.py": other, "reader.py": mostly}) == set()


def test_library_files_leave_out_tests_and_packages(tmp_path):
    for file in ("b.py", "a/__init__.py", "test/x.py", "a/tests/y.py", "site-packages/z.py", "a/data.txt"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
    assert stdlib.library_files(tmp_path) == ["a/__init__.py", "b.py"]
