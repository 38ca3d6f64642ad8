"""A cell that may make programs of its own files, as compilers do, changes no other file."""

from pathlib import Path

import pytest
from support.cells import NO_NAMESPACES, run

from autoresearch.sandbox import namespaces

MAKE = """
import os, subprocess, sys
from pathlib import Path
program = Path(os.environ["TMPDIR"], "program")
program.write_text("#!/bin/sh\\necho it runs\\n")
program.chmod(0o755)
try:
    sys.stdout.write(subprocess.run([program], capture_output=True, text=True).stdout)
except OSError as error:
    print(type(error).__name__)
"""
CHANGE = """
import os, sys
for mode in (0o777, 0o4755):
    try:
        os.chmod(sys.argv[1], mode)
        print("done")
    except OSError as error:
        print(type(error).__name__)
"""

TOUCH = """
import os, sys
from pathlib import Path
Path("new").touch()
Path("new").touch()
os.utime("new", (5, 5))
print(Path("new").exists(), os.stat("new").st_mtime == 5)
for path in sys.argv[1:]:
    before = os.stat(path).st_mtime_ns
    try:
        os.utime(path, (5, 5))
    except OSError:
        pass
    print(os.stat(path).st_mtime_ns == before)
"""

needs_mounts = pytest.mark.skipif("mnt" not in namespaces.choose(), reason="no mount namespaces here")


@needs_mounts
@pytest.mark.parametrize(("executes", "said"), [(True, "it runs\n"), (False, "PermissionError\n")])
def test_only_cells_that_may_run_what_they_wrote(executes: bool, said: str) -> None:
    assert run(MAKE, executes=executes) == (0, said)


def test_where_other_files_could_be_changed_nothing_is() -> None:
    assert run(MAKE, executes=True, off=NO_NAMESPACES) == (0, "PermissionError\n")


@needs_mounts
def test_files_outside_keep_their_modes(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    tmp_path.chmod(0o755)
    before = victim.stat().st_mode
    status, said = run(CHANGE, str(victim), executes=True, read=[victim])
    assert status == 0 and "done" not in said and victim.stat().st_mode == before


@needs_mounts
def test_no_file_becomes_setuid() -> None:
    code = CHANGE.replace("import os, sys", "import os, sys\nopen(sys.argv[1], 'w').close()")
    status, said = run(code, "own", executes=True)
    assert status == 0 and said == "done\nPermissionError\n"


@needs_mounts
@pytest.mark.parametrize("executes", [False, True])
def test_files_are_made_by_touch_and_only_own_ones_change_their_times(tmp_path: Path, executes: bool) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    tmp_path.chmod(0o755)
    paths = str(victim), "/dev/null", "/etc/hostname"
    status, said = run(TOUCH, *paths, executes=executes, read=[victim, Path("/etc/hostname")])
    assert (status, said) == (0, f"True {executes}\nTrue\nTrue\nTrue\n")
