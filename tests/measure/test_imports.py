"""A trial runs on any machine that has torch and numpy: nothing else is imported for it."""

import subprocess
import sys
import tomllib

from support.cells import ROOT

NEEDED = {"data", "data.dataset", "errors", "files", "hardware", "measure", "sandbox", "source_tree", "text"}
NEEDED |= {"source", "source.lines", "source.parsing", "source.prose", "source.script"}
PROGRAM = """
import importlib, sys, numpy.random, numpy.typing
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
for name in sys.argv[2:]:
    importlib.import_module(name)
print(*sorted(set(sys.modules) - before))
"""


def test_the_referee_and_the_sandbox_import_numpy_and_the_standard_library_only() -> None:
    files = [file for room in ("measure", "sandbox") for file in sorted((ROOT / "autoresearch" / room).glob("*.py"))]
    names = [f"autoresearch.{file.parent.name}.{file.stem}" for file in files if file.stem != "__init__"]
    command = [sys.executable, "-c", PROGRAM, str(ROOT), *names]
    loaded = subprocess.check_output(command, text=True).split()
    assert set(names) <= set(loaded) and "autoresearch.measure.referee" in loaded
    others = {name for name in loaded if name.split(".")[0] not in {*sys.stdlib_module_names, "numpy", "autoresearch"}}
    assert others == set()
    ours = {name.removeprefix("autoresearch.") for name in loaded if name.startswith("autoresearch.")}
    assert {name for name in ours if name.split(".")[0] not in ("measure", "sandbox")} <= NEEDED


def test_the_import_contract_says_so() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {each["name"]: each for each in settings["tool"]["importlinter"]["contracts"]}
    contract = contracts["a trial needs torch and numpy only"]
    assert set(contract["source_modules"]) == {"autoresearch.sandbox", "autoresearch.measure"}
    assert "autoresearch.config" in contract["forbidden_modules"]
