"""Find the files of Python's library that a trial may need.

A cell must be able to read them, so validation text must not come from them (source `stdlib`).
"""

import ast
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from autoresearch.errors import UserError

NEEDED_MODULES = (
    *("numpy", "numpy.testing", "safetensors.numpy", "safetensors.torch", "torch", "torch._dynamo"),
    *("torch._inductor.compile_fx", "torch.nn.attention.flex_attention", "torch.profiler"),
    *("torch.utils.cpp_extension", "triton", "triton.compiler", "triton.backends.nvidia.compiler"),
    "triton.backends.nvidia.driver",
)
NEEDED_PACKAGES = {
    *("asyncio", "collections", "concurrent", "ctypes", "email", "encodings", "importlib", "json", "logging"),
    *("multiprocessing", "re", "subprocess", "unittest", "urllib"),
}
NOT_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"}
FEWEST_FREE = 150
CELL_CODE = (
    *("sandbox/*.py", "measure/*.py", "data/dataset.py", "data/stdlib.py"),
    *("source/prose.py", "source/parsing.py", "source/lines.py", "hardware.py", "files.py", "text.py", "errors.py"),
    *("source_tree.py", "source/script.py", "metric.py"),
)

# Print the files of all loaded modules, and the names that modules outside the library import, lazily too.
PROBE = r"""
import importlib, json, re, sys
library, *modules = sys.argv[1:]
for module in modules:
    try:
        importlib.import_module(module)
    except Exception:  # not installed, or not for this machine
        pass
files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
names = set()
for file in files:
    if file.endswith(".py") and file[0] == "/" and ("-packages/" in file or not file.startswith(library)):
        text = open(file, errors="ignore").read()
        names.update(re.findall(r"^[ \t]*from[ \t]+([\w.]+)", text, re.M))
        for several in re.findall(r"^[ \t]*import[ \t]+([\w., \t]+)", text, re.M):
            names.update(one.split()[0] for one in several.split(",") if one.strip())
print("\n" + json.dumps([sorted(files), sorted(names)]))
"""


def library_root() -> Path:
    return Path(sysconfig.get_path("stdlib")).resolve()


def library_files(root: Path) -> list[str]:
    """List the library's .py files, relative to `root`, without tests and installed packages."""
    paths = []
    for folder, folders, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if name not in NOT_LIBRARY and not name.startswith("config-")]
        paths += [str(inside / name) for name in files if name.endswith(".py")]
    return sorted(paths)


def needed_files(root: Path, texts: dict[str, bytes]) -> set[str]:
    """Return the files of `texts` that Python, torch, numpy and our cells load or may load.

    Imports inside functions count, unless that would leave fewer than FEWEST_FREE files. Takes seconds, because it
    starts an interpreter. Raises UserError if that fails.
    """
    command = [sys.executable, "-I", "-c", PROBE, f"{root}/", *NEEDED_MODULES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as probe:
        try:  # the probe runs while the library is parsed
            imports = {file: _imports(file, text) for file, text in texts.items()}
            answer, _ = probe.communicate()
        finally:
            probe.kill()
    if probe.returncode != 0:
        raise UserError(f"{sys.executable} -I ends with exit code {probe.returncode}: check this Python")
    loaded, names = json.loads(answer.splitlines()[-1])
    modules = {_module(file): file for file in texts}
    start = _always(texts) | {os.path.relpath(file, root) for file in loaded if file.startswith(f"{root}/")}
    start |= {file for name in [*names, *_our_imports()] for file in _with_parents(name, modules)}
    needed = _closure(start & texts.keys(), imports, modules, lazy=True)
    if len(texts) - len(needed) < FEWEST_FREE:
        needed = _closure(start & texts.keys(), imports, modules, lazy=False)
    return needed


def copied_elsewhere(texts: dict[str, bytes]) -> set[str]:
    """Return the files of `texts` (file: content) with a near copy in an installed package."""
    copies = set()
    installed = _find_installed({Path(file).name for file in texts})
    for file, text in texts.items():
        lines = _long_lines(text)
        for path in installed.get(Path(file).name, []):
            if 2 * len(lines & _long_lines(path.read_bytes())) > len(lines):
                copies.add(file)
    return copies


def _find_installed(names: set[str]) -> dict[str, list[Path]]:
    paths: dict[str, list[Path]] = {}
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for folder, _, files in os.walk(site):
            for name in names.intersection(files):
                if not name.startswith("__"):
                    paths.setdefault(name, []).append(Path(folder, name))
    return paths


def _long_lines(text: bytes) -> set[bytes]:
    return {line for line in map(bytes.strip, text.splitlines()) if len(line) > 20}


def _always(files: Iterable[str]) -> set[str]:
    """Return files that are always needed; _sysconfigdata is imported under a computed name."""
    tops = {file: file.split("/")[0].removesuffix(".py") for file in files}
    return {file for file, top in tops.items() if top in NEEDED_PACKAGES or top.startswith("_sysconfigdata")}


def _our_imports() -> Iterator[str]:
    """Yield the imports of all code that runs in cells."""
    package = Path(__file__).resolve().parents[1]
    for path in sorted(found for pattern in CELL_CODE for found in package.glob(pattern)):
        yield from _imports(path.name, path.read_bytes())


def _closure(
    start: Iterable[str], imports: dict[str, dict[str, bool]], modules: dict[str, str], lazy: bool
) -> set[str]:
    reached: set[str] = set()
    todo = list(start)
    while todo:
        file = todo.pop()
        if file not in reached:
            reached.add(file)
            names = (name for name, top in imports[file].items() if top or lazy)
            todo += [found for name in names for found in _with_parents(name, modules)]
    return reached


def _with_parents(name: str, modules: dict[str, str]) -> list[str]:
    """Return the library files of a module and of its parent packages."""
    parts = name.split(".")
    names = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return [modules[name] for name in names if name in modules]


def _module(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def _imports(file: str, text: bytes) -> dict[str, bool]:
    """Return the names that a source file imports; True: when it is loaded, not later."""
    package = file.removesuffix(".py").split("/")[:-1]
    names: dict[str, bool] = {}
    with suppress(SyntaxError):
        for node, top in _statements(ast.parse(text), True):
            for name in _imported_names(node, package):
                names[name] = names.get(name, False) or top
    return names


def _statements(node: ast.AST, top: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Yield all statements below `node`; True: it runs when the module is loaded."""
    top = top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        children = getattr(node, block, None)
        for child in children if isinstance(children, list) else ():
            yield child, top
            yield from _statements(child, top)


def _imported_names(node: ast.AST, package: list[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = package[: len(package) + 1 - node.level] if node.level else []
    module = ".".join([*base, *([node.module] if node.module else [])])
    return [module, *(f"{module}.{alias.name}" for alias in node.names)]
