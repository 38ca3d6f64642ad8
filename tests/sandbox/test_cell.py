"""Cells: what a program in one has, and what it does not have."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.cells import END_TIMEOUT_S, NO_NAMESPACES, ROOT, run, spec, wait

from autoresearch.sandbox import kernel, landlock
from autoresearch.sandbox.cell import Cell, CellError, protect_self, reopen
from autoresearch.sandbox.launch import CellSpec


def test_a_program_runs_and_its_output_is_kept() -> None:
    assert run("import sys; print('out', flush=True); print('err', file=sys.stderr)") == (0, "out\nerr\n")
    assert run("raise SystemExit(3)") == (3, "")


@pytest.mark.parametrize("off", [frozenset[str](), NO_NAMESPACES])
def test_a_signal_is_a_negative_exit_status(off: frozenset[str]) -> None:
    assert run("import os; os.abort()", off=off)[0] == -signal.SIGABRT


def test_a_program_that_does_not_exist_is_one_clear_error() -> None:
    with pytest.raises(CellError, match="could not be started: FileNotFoundError"):
        Cell.start(CellSpec(["/nonexistent"]))


def test_kill_ends_a_sleeper_and_may_be_repeated() -> None:
    cell = Cell.start(spec("import time; print('here', flush=True); time.sleep(100)"))
    assert wait(lambda: "here" in cell.log())
    assert cell.is_running() and cell.exit_status() is None and cell.tmp.is_dir()
    seconds = cell.kill()
    assert seconds < END_TIMEOUT_S
    assert cell.kill() == seconds
    assert not cell.is_running() and cell.exit_status() == -9
    assert cell.log() == "here\n"
    assert not cell.tmp.exists()


def test_the_environment_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    cell = Cell.start(spec(code, environment={"OMP_NUM_THREADS": "2"}))
    with cell:
        assert wait(lambda: not cell.is_running())
    environment: dict[str, str] = eval(cell.log())
    assert "secret" not in cell.log() and "PYTHONPATH" not in environment
    assert environment["HOME"] == environment["TMPDIR"] == str(cell.tmp)
    caches = ("XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH")
    assert all(environment[name].startswith(str(cell.tmp)) for name in caches)
    assert environment["OMP_NUM_THREADS"] == "2"


def test_only_the_named_descriptors_are_inherited() -> None:
    reader, writer = os.pipe()
    extra = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(extra, True)
    os.write(writer, b"through")
    code = """
        import os
        print(os.read(7, 10), os.read(0, 10))
        for number in os.listdir("/proc/self/fd"):
            try:
                print(number, os.readlink(f"/proc/self/fd/{number}"))
            except OSError:
                pass
    """
    try:
        status, log = run(code, fds={7: reader})
    finally:
        for fd in (reader, writer, extra):
            os.close(fd)
    assert status == 0 and log.startswith("b'through' b''\n")
    links = dict(line.split(" ", 1) for line in log.splitlines()[1:])
    beyond = {number: link for number, link in links.items() if number not in ("0", "1", "2", "7")}
    ours = ("/task", *(f"/{name}" for name in landlock.OWN_PROCESS))  # see landlock.allow_own_process
    assert all(re.fullmatch(r"/proc/\d+/\w+", link) and link.endswith(ours) for link in beyond.values())


def test_descriptors_may_trade_places() -> None:
    one, other = os.memfd_create("one"), os.memfd_create("other")
    low, high = sorted((one, other))
    try:
        os.pwrite(low, b"low", 0)
        os.pwrite(high, b"high", 0)
        code = f"import os; print(os.pread({low}, 9, 0), os.pread({high}, 9, 0))"
        assert run(code, fds={low: high, high: low}) == (0, "b'high' b'low'\n")
    finally:
        os.close(one)
        os.close(other)


def test_reopened_descriptors_do_not_share_their_offset() -> None:
    fd = os.memfd_create("file")
    os.write(fd, b"content")
    os.lseek(fd, 0, os.SEEK_SET)
    again = reopen(fd)
    try:
        assert os.read(again, 3) == b"con"
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    finally:
        os.close(fd)
        os.close(again)


def test_the_log_is_capped() -> None:
    with Cell.start(spec("while True: print('spam' * 1000)", log_limit=10_000)) as cell:
        assert wait(lambda: "bytes cut" in cell.log())
        assert len(cell.log()) < 11_000
        assert cell.kill() < END_TIMEOUT_S


def test_the_pid_is_that_of_the_program_whose_cpu_clock_runs() -> None:
    with Cell.start(spec("while True: pass", threads_only=True)) as cell:
        clock = (~cell.pid << 3) | 2
        assert wait(lambda: time.clock_gettime(clock) > 0.05)
        assert Path(f"/proc/{cell.pid}/cmdline").read_bytes().endswith(b"while True: pass\0")


def test_limits_hold() -> None:
    status, log = run("bytearray(1 << 30)", memory=256 << 20)
    assert status == 1 and "MemoryError" in log
    core = min(os.sched_getaffinity(0))
    assert run("import os; print(os.sched_getaffinity(0))", cores=[core]) == (0, f"{{{core}}}\n")


def test_a_numpy_program_starts() -> None:
    assert run("import numpy") == (0, "")


@pytest.mark.slow
@pytest.mark.torch
def test_torch_trains_with_threads_only() -> None:
    code = """
        import threading, torch
        torch.set_num_threads(2)
        model = torch.nn.Linear(64, 64)
        optimizer = torch.optim.AdamW(model.parameters())
        model(torch.randn(256, 64)).square().mean().backward()
        optimizer.step()
        open(f"/proc/self/task/{threading.get_native_id()}/comm", "w").write("trainer")  # as CUDA does
        print("trained")
    """
    assert run(code, threads_only=True, seconds=60) == (0, "trained\n")


def test_threads_only_refuses_processes() -> None:
    code = """
        import os, subprocess, threading
        thread = threading.Thread(target=print, args=("thread",))
        thread.start()
        thread.join()
        spawn = lambda: os.posix_spawn("/bin/true", ["true"], {})
        for make in (os.fork, lambda: subprocess.run(["true"]), spawn):
            try:
                make()
            except PermissionError:
                print("refused")
    """
    assert run(code, threads_only=True) == (0, "thread\n" + "refused\n" * 3)


def test_a_network_has_no_sockets_on_paths(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        address = str(tmp_path / "socket")
        unix.bind(address)
        unix.listen()
        code = """
            import socket, sys
            try:
                socket.socket(socket.AF_UNIX).connect(sys.argv[1])
                print("connected")
            except OSError:
                print("refused")
        """
        assert run(code, address, network=True) == (0, "refused\n")


def test_a_protected_program_cannot_be_dumped() -> None:
    before = kernel.prctl(3)
    code = "import sys; sys.path.insert(0, sys.argv[1])\n"
    code += "from autoresearch.sandbox import cell, kernel; cell.protect_self(); print(kernel.prctl(3))"
    out = subprocess.check_output([sys.executable, "-c", code, str(ROOT)], text=True)
    assert out == "0\n"
    assert protect_self.__doc__ and kernel.prctl(3) == before  # not this process


def test_files_lie_in_the_private_folder_from_the_start() -> None:
    code = "import os; print(open('a/b').read(), os.nice(0)); open('a/b', 'w').write('changed'); os.mkdir('a/c')"
    with Cell.start(spec(code, files={"a/b": b"content"}, nice=3)) as cell:
        assert wait(lambda: not cell.is_running())
        assert cell.log() == f"content {min(os.nice(0) + 3, 19)}\n"
        assert (cell.tmp / "a" / "b").read_text() == "changed"  # until it is left


SERVE = """
import os, socket
UNIX, PACKETS = socket.AF_UNIX, socket.SOCK_SEQPACKET
server, client = socket.socket(UNIX, PACKETS), socket.socket(UNIX, PACKETS)
name = f"\\0cuda-uvmfd-4026531836-{os.getpid()}"
server.setblocking(False)
for step in (lambda: server.bind(name), server.listen, lambda: client.connect(name), server.accept):
    try:
        step()
        print("done")
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.mark.parametrize("off", [frozenset[str](), NO_NAMESPACES])
def test_the_driver_of_a_card_may_listen_on_an_abstract_socket_and_nobody_connects(off: frozenset[str]) -> None:
    refused = ["PermissionError", "PermissionError", "ConnectionRefusedError", "PermissionError"]
    assert run(SERVE, off=off)[1].split() == refused
    assert run(SERVE, off=off, gpu=True)[1].split() == ["done", "done", *refused[2:]]


def test_inductor_compiles_in_one_process_where_processes_cannot_share_memory() -> None:
    code = "import os; print(os.environ.get('TORCHINDUCTOR_COMPILE_THREADS'))"
    for off in (frozenset[str](), NO_NAMESPACES):
        with Cell.start(spec(code, off=off)) as cell:
            assert wait(lambda: not cell.is_running())
            assert cell.log() == ("1\n" if cell.layers["shm"] == "denied" else "None\n")
    chosen = {"TORCHINDUCTOR_COMPILE_THREADS": "3"}
    assert run(code, off=NO_NAMESPACES, environment=chosen)[1] == "3\n"
