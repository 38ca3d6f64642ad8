"""Everything in a cell dies with it, and leaves nothing: daemons, re-forks, hostile folders."""

import os
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path

import pytest
from support.cells import NO_NAMESPACES, ROOT, carrying, run, spec, wait

from autoresearch.errors import require
from autoresearch.sandbox.cell import Cell, CellLost
from autoresearch.sandbox.cleanup import CELL_PREFIX, ENDED_PREFIX, hold, remove_leftovers
from autoresearch.sandbox.supervisor import DISK_IS_FULL

DAEMONS = """
    import os, signal, sys, time
    def leave():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                return True
            os._exit(0)
        os.wait()
        return False
    daemon = any(leave() for _ in range(8))
    if not daemon and os.fork() == 0:
        while True:  # a new process every 5 ms, its parent gone
            if os.fork():
                os._exit(0)
            os.setsid()
            time.sleep(0.005)
    if not daemon:
        print("ready", flush=True)
        if "end" in sys.argv:
            sys.exit(0)
    time.sleep(60)
"""


@pytest.mark.parametrize("off", [frozenset[str](), NO_NAMESPACES])
def test_daemons_and_their_children_die_with_the_cell(off: frozenset[str]) -> None:
    token = uuid.uuid4().hex
    with Cell.start(spec(DAEMONS, token, off=off)) as cell:
        assert wait(lambda: "ready" in cell.log())
        assert len(carrying(token)) >= 9
        cell.kill()
        assert not carrying(token)


@pytest.mark.parametrize("off", [frozenset[str](), NO_NAMESPACES])
def test_daemons_do_not_outlive_the_program(off: frozenset[str]) -> None:
    token = uuid.uuid4().hex
    with Cell.start(spec(DAEMONS, token, "end", off=off)) as cell:
        assert wait(lambda: not cell.is_running())
        assert cell.exit_status() == 0
        assert not carrying(token)


OWNER = """
    import os, sys, threading, time
    sys.path.insert(0, sys.argv[1])
    from autoresearch.sandbox.cell import Cell
    from autoresearch.sandbox.launch import CellSpec
    cells = []
    def start():
        off = frozenset(sys.argv[4].split())
        cells.append(Cell.start(CellSpec([sys.executable, "-I", "-c", sys.argv[2], sys.argv[3]], off=off)))
    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()  # a cell must outlive the thread that started it
    while any("ready" not in cell.log() for cell in cells):
        time.sleep(0.01)
    time.sleep(0.2)
    print(*(cell.tmp for cell in cells), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("off", ["", "ns"])
def test_nothing_is_left_when_the_owner_is_killed(off: str) -> None:
    token = uuid.uuid4().hex
    command = [sys.executable, "-c", textwrap.dedent(OWNER), str(ROOT), textwrap.dedent(DAEMONS), token, off]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folders = [Path(name) for name in owner.stdout.readline().split()]
        assert len(folders) == 2 and len(carrying(token)) >= 18
        owner.kill()
    assert wait(lambda: not carrying(token))
    assert wait(lambda: not any(folder.exists() for folder in folders))


def test_a_hostile_folder_is_removed() -> None:
    code = """
        import os
        for _ in range(1500):
            os.mkdir("deep" * 20)
            os.chdir("deep" * 20)
        os.chdir(os.environ["HOME"])
        os.makedirs("locked/in")
        os.symlink("/", "locked/link")
        os.mkdir("shut", 0)
    """
    with Cell.start(spec(code)) as cell:
        assert wait(lambda: not cell.is_running())
        assert cell.exit_status() == 0, cell.log()
    assert not cell.tmp.exists()
    assert Path("/etc").exists()


def test_cells_may_be_started_from_many_threads() -> None:
    results: list[tuple[int | None, str]] = []
    threads = [threading.Thread(target=lambda: results.append(run("print(1)"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(0, "1\n")] * 6


MANY_FOLDERS = """
    import os
    for k in range(10):
        os.makedirs(f"{k}/in")
        for name in range(1000):
            os.mkdir(f"{k}/in/{name}")
    print("ready", flush=True)
"""


@pytest.mark.slow
def test_a_cell_with_very_many_folders_is_dead_at_once_and_cleaned_later() -> None:
    cell = Cell.start(spec(MANY_FOLDERS))
    assert wait(lambda: "ready" in cell.log(), 60)
    started = time.monotonic()
    cell.kill()
    assert time.monotonic() - started < 4
    assert not cell.tmp.exists()
    aside = cell.tmp.with_name(cell.tmp.name.replace(CELL_PREFIX, ENDED_PREFIX))
    with Cell.start(spec("print(1)")) as other:  # it removes no folder that another supervisor is at work on
        assert wait(lambda: not other.is_running())
    assert wait(lambda: not aside.exists(), 250)  # many seconds of work for a slow disk


def test_what_a_killed_supervisor_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    left, held, foreign = (tmp_path / f"{prefix}{8 * 'x'}" for prefix in (CELL_PREFIX, ENDED_PREFIX, "cell-"))
    target = tmp_path / "target"
    for folder in (left, held, foreign, target):
        (folder / "in").mkdir(parents=True)
    (left / "link").symlink_to(target)
    link = tmp_path / f"{CELL_PREFIX}{8 * 'y'}"
    link.symlink_to(target)
    longer = tmp_path / f"{CELL_PREFIX}{8 * 'z'}.backup"
    longer.mkdir()
    fd = hold(str(held))
    remove_leftovers(str(tmp_path))  # all of them are new
    assert left.exists()
    remove_leftovers(str(tmp_path), min_age_s=0)
    assert not left.exists()
    assert all(path.exists() for path in (held, foreign, longer, target / "in", link))
    os.close(fd)
    remove_leftovers(str(tmp_path), min_age_s=0)
    assert not held.exists()


def test_a_cell_that_does_not_die_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CellLost, match="did not die"), Cell.start(spec("import time; time.sleep(600)")) as cell:
        monkeypatch.setattr("autoresearch.sandbox.cell.DEATH_TIMEOUT_S", 0.0)
        cell.kill()
    assert wait(lambda: not list(cell.tmp.parent.glob(cell.tmp.name)))


FILLS_DISK = """
    import pathlib, sys
    with pathlib.Path("full").open("wb", buffering=0) as file:
        for k in range(int(sys.argv[1])):
            file.write(bytes(1 << 16))
    for k in range(int(sys.argv[2])):
        pathlib.Path(str(k)).touch()
    print("done", flush=True)
    import time; time.sleep(60)
"""


@pytest.mark.parametrize(
    ("blocks", "files", "is_ended"), [("800", "0", False), ("960", "0", True), ("0", "3900", True)]
)
def test_a_cell_may_not_fill_the_disk(small_disk: None, blocks: str, files: str, is_ended: bool) -> None:
    with Cell.start(spec(FILLS_DISK, blocks, files)) as cell:
        assert wait(lambda: not cell.is_running() or (not is_ended and "done" in cell.log())), cell.log()
        assert (cell.has_filled_disk, DISK_IS_FULL in cell.log()) == (is_ended, is_ended)


def test_the_next_cell_waits_until_there_is_room(small_disk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoresearch.sandbox.cell.CLEANING_WAIT_S", 0.0)
    with Cell.start(spec("import pathlib\nfor k in range(9999): pathlib.Path(str(k)).touch()")) as cell:
        assert wait(lambda: not cell.is_running())  # at once: no file is left for the next one
    assert run("print('it runs')") == (0, "it runs\n")


HOLDER = """
import time
from autoresearch.sandbox.held_folder import held_folder
with held_folder() as folder:
    (folder / "tree").mkdir()
    (folder / "tree/link").symlink_to("/etc")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_held_folder_is_removed_once_its_program_is_killed(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as program:
        folder = Path(require(program.stdout).readline().strip())
        remove_leftovers(str(tmp_path), min_age_s=0)
        assert (folder / "tree").exists()
        program.kill()
    remove_leftovers(str(tmp_path), min_age_s=0)
    assert not folder.exists()
