"""Paths that a cell can read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.cells import run

from autoresearch.sandbox import landlock


def test_the_named_files_can_be_read_and_their_neighbours_not(tmp_path: Path) -> None:
    if not landlock.version():
        pytest.skip("no Landlock here")
    for name in ("given", "hidden"):
        (tmp_path / name).write_text(name)
    tmp_path.chmod(0o755)
    code = """
        import sys
        for name in ("given", "hidden"):
            try:
                print(open(f"{sys.argv[1]}/{name}").read())
            except PermissionError:
                print("refused")
    """
    assert run(code, str(tmp_path), read=[tmp_path / "given"]) == (0, "given\nrefused\n")


LIBRARY_READER = """
    import glob, importlib.util, os, sys
    import numpy
    library, *hidden = sys.argv[1:]
    places = {f"{library}/{name}" for name in hidden}
    for place in list(places):
        places.add(importlib.util.cache_from_source(place))
    for name in hidden:
        for pattern in ("/usr/lib/python3*", "/usr/local/lib/python3*", "/usr/lib/*/*/*/lib/python3*"):
            places.update(glob.glob(f"{pattern}/{name}"))
    for place in places:
        try:
            open(place, "rb").read()
            print("read", place)
        except OSError:
            pass
    print("done")
"""


@pytest.mark.slow
def test_parts_of_the_library_can_be_hidden_with_all_their_copies() -> None:
    if not landlock.version():
        pytest.skip("no Landlock here")
    library = Path(os.__file__).resolve().parent
    loaded = """import sys, numpy, glob, importlib.util
for module in list(sys.modules.values()): print(getattr(module, '__file__', ''))"""
    files = subprocess.check_output([sys.executable, "-I", "-c", loaded], text=True).split()
    needed = [Path(file).relative_to(library) for file in files if Path(file).is_relative_to(library)]
    needed += [path.relative_to(library) for path in (library / "encodings").glob("*.py")]
    hidden = ["antigravity.py", "turtle.py", "sched.py", "wave.py", "json/tool.py"]
    assert not set(hidden) & set(map(str, needed))
    status, log = run(LIBRARY_READER, str(library), *hidden, library=needed)
    assert log == "done\n" and status == 0
    status, log = run(LIBRARY_READER, str(library), *hidden)
    assert status == 0 and log.count("read ") >= len(hidden)
