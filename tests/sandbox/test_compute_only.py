"""The second filter: what a cell may do before and after the text arrives."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.cells import NO_NAMESPACES, ROOT, spec, wait

from autoresearch.sandbox.cell import Cell

PREPARE = f"""
import array, mmap, os, socket, sys, threading, time, types
for name, folder in ("autoresearch", "{ROOT}/autoresearch"), ("autoresearch.sandbox", "{ROOT}/autoresearch/sandbox"):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [folder]
from autoresearch.sandbox import compute_only
referee = socket.socket(fileno=4)
def refused(call):
    try:
        call()
    except PermissionError:
        return True
    except OSError:
        return False
    return False
def listen():
    socket.send_fds(referee, [b"runs"], [compute_only.install()])
def tell(*words):
    referee.send(" ".join(map(str, words)).encode())
"""
LOOK = "lambda: os.stat('/usr/lib/nothing-of-this-name')"
MEGABYTES = 8


@contextmanager
def cell(
    code: str, *read: Path, off: frozenset[str] = frozenset(), gpu: bool = False
) -> Iterator[tuple[Cell, socket.socket]]:
    """Run a program that has installed the second filter, and listen to its calls."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = spec(PREPARE + code, fds={4: theirs.fileno()}, read=[ROOT / "autoresearch", *read], off=off, gpu=gpu)
    with ours, Cell.start(program) as running:
        theirs.close()
        ours.settimeout(20)
        _, fds, _, _ = socket.recv_fds(ours, 16, 1)
        assert fds, running.log()
        running.listen(fds[0])
        os.close(fds[0])
        yield running, ours


@pytest.mark.parametrize("off", [frozenset[str](), NO_NAMESPACES, frozenset({"landlock", "uid", "ns"})])
def test_every_call_goes_on_before_and_only_computing_after(off: frozenset[str]) -> None:
    code = f"""
listen()
inside = os.pipe()
tell(refused({LOOK}), refused(os.getpid))
referee.recv(1)
grown = bytearray(64 << 20)
thread = threading.Thread(target=lambda: grown.reverse()); thread.start(); thread.join()
os.write(inside[1], b"x"), time.sleep(0.01), print("this is seen", flush=True)
tell(refused({LOOK}), refused(os.pipe), refused(lambda: open(sys.executable)), os.read(inside[0], 1), refused(os.fork))
referee.recv(1)
"""
    with cell(code, off=off) as (running, ours):
        assert ours.recv(100) == b"False False"
        running.only_compute()
        ours.send(b"x")
        assert ours.recv(100) == b"True True True b'x' True"
        since = running.inspect()
        assert {"newfstatat", "pipe2", "openat", "clone"} <= set(since.refused)
        assert since.faults is not None and since.alone
        assert wait(lambda: "this is seen" in running.log())


def test_threads_of_before_and_descriptors_that_were_passed_are_covered() -> None:
    code = f"""
go, answers = threading.Event(), []
thread = threading.Thread(target=lambda: (go.wait(), answers.append(refused({LOOK})))); thread.start()
listen()
file = os.open(sys.executable, os.O_RDONLY)
one, other = socket.socketpair()
socket.send_fds(one, [b"x"], [file])
tell("ready")
referee.recv(1)
go.set(); thread.join()
received = socket.recv_fds(other, 1, 1)[1][0]
os.close(file)
tell(*answers, refused(lambda: os.pread(received, 1, 0)), refused(lambda: mmap.mmap(received, 1, prot=mmap.PROT_READ)))
referee.recv(1)
"""
    with cell(code) as (running, ours):
        assert ours.recv(100) == b"ready"
        running.only_compute()
        ours.send(b"x")
        assert ours.recv(100) == b"True True True"


NAME_A_SOCKET = """
listen()
named, (one, other) = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), socket.socketpair()
named.bind("\\0cuda-uvmfd-4026531836-1")
named.listen()
tell(named.getsockname().hex())
socket.send_fds(one, [b"x"], [named.fileno()])
named.close()
tell("kept by a message")
referee.recv(1)
later = refused(lambda: one.bind("\\0later"))
other.recv(1)  # drops the descriptor
tell(later)
referee.recv(1)
"""


def can_bind(name: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as named:
        try:
            named.bind(name)
        except OSError:
            return False
    return True


def test_no_name_of_a_socket_becomes_free_after_the_text_where_cells_share_names() -> None:
    with cell(NAME_A_SOCKET, off=NO_NAMESPACES, gpu=True) as (running, ours):
        name = bytes.fromhex(ours.recv(100).decode())
        assert name.startswith(b"\0") and b"cuda" not in name  # the cell did not choose it
        assert ours.recv(100) == b"kept by a message" and not can_bind(name)
        running.only_compute()
        ours.send(b"x")
        assert ours.recv(100) == b"True"
        assert not can_bind(name)
        running.kill()
        assert can_bind(name)


def test_a_cell_with_a_network_namespace_of_its_own_keeps_the_names_that_it_gives() -> None:
    with cell(NAME_A_SOCKET, gpu=True) as (running, ours):
        if "net" not in running.layers["ns"]:
            pytest.skip("no namespaces here")
        assert bytes.fromhex(ours.recv(100).decode()) == b"\0cuda-uvmfd-4026531836-1"


def test_other_processes_of_the_cell_are_stopped() -> None:
    code = """
import ctypes
def signal_by_thread(pid):
    return ctypes.CDLL(None).syscall(234 if os.uname().machine == "x86_64" else 131, pid, pid, 18)
listen()
shared = mmap.mmap(-1, 8)
child = os.fork()
if child == 0:
    while True:
        shared[0] = (shared[0] + 1) % 256
        time.sleep(0.001)
while shared[0] == 0: time.sleep(0.001)
tell("counts")
referee.recv(1)
before = shared[0]; time.sleep(0.1)
tell(shared[0] - before, refused(lambda: os.kill(child, 18)), signal_by_thread(child), signal_by_thread(os.getpid()))
referee.recv(1)
"""
    with cell(code) as (running, ours):
        assert ours.recv(100) == b"counts"
        running.only_compute()
        ours.send(b"x")
        assert ours.recv(100) == b"0 True -1 0"
        assert running.inspect().alone


def test_a_process_that_is_continued_by_the_death_of_its_parent_is_noticed() -> None:
    code = """
import ctypes
listen()
leave = threading.Event()
def fork():
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(1, 18, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGCONT
        tell("waits")
        while True: time.sleep(0.001)
    leave.wait()
thread = threading.Thread(target=fork); thread.start()
referee.recv(1)
leave.set(); thread.join(); time.sleep(0.1)
tell("left")
referee.recv(1)
"""
    with cell(code) as (running, ours):
        assert ours.recv(100) == b"waits"
        running.only_compute()
        ours.send(b"x")
        assert ours.recv(100) == b"left"
        assert not running.inspect().alone


def test_a_call_of_before_ends_when_the_text_arrives() -> None:
    code = """
file = os.open(sys.executable, os.O_RDONLY)
ours, theirs = socket.socketpair()
sent = []
def send():
    try:
        while True: sent.append(os.sendfile(theirs.fileno(), file, 0, 1 << 24))
    except PermissionError:
        sent.append("refused")
thread = threading.Thread(target=send); thread.start()
listen()
time.sleep(0.1)
tell("waits")
referee.recv(1)
thread.join(5)
tell(*sent[-1:])
referee.recv(1)
"""
    with cell(code) as (running, ours):
        assert ours.recv(100) == b"waits"
        running.only_compute()
        ours.send(b"x")
        assert ours.recv(100) == b"refused"


def test_a_file_does_not_tell_where_its_data_lies() -> None:
    code = """
listen()
file = os.open(sys.executable, os.O_RDONLY)
tell("ready")
referee.recv(1)
tell(refused(lambda: os.lseek(file, 0, os.SEEK_DATA)), os.lseek(file, 0, os.SEEK_END) > 0)
referee.recv(1)
"""
    with cell(code) as (running, ours):
        assert ours.recv(100) == b"ready"
        running.only_compute()
        ours.send(b"x")
        assert ours.recv(100) == b"True True"


def evict(path: Path) -> bool:
    """Remove a file's pages from memory; return whether that is possible here.

    A page that another core holds in a list of pages to be sorted is not removed at once: ask again for two seconds.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())

        def is_gone() -> bool:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            try:
                os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
            except BlockingIOError:
                return True
            except OSError:
                return False
            return False

        return wait(is_gone, 2)


TOUCHES = """
with open(sys.argv[1], "rb") as file:
    pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
pages.madvise(mmap.MADV_RANDOM)
listen()
referee.recv(1)
tell(sum(pages[place] for place in range(0, len(pages), 8 * mmap.PAGESIZE)))
referee.recv(1)
"""


@pytest.mark.parametrize("after", [False, True])
def test_pages_of_mapped_files_are_in_memory_and_others_are_counted(after: bool, tmp_path: Path) -> None:
    file = tmp_path / "library"
    file.write_bytes(os.urandom(1 << 20) * MEGABYTES)
    code = TOUCHES.replace("sys.argv[1]", repr(str(file)))
    with cell(code, file) as (running, ours):
        if not evict(file):
            pytest.skip("no page can be evicted on this file system")
        running.only_compute()
        if after and not evict(file):
            pytest.skip("its pages cannot be evicted again")
        ours.send(b"x")
        ours.recv(100)
        faults = running.inspect().faults
        assert faults is not None and (faults > 100 if after else faults < 5)


def test_what_was_refused_is_known_after_the_end() -> None:
    with cell("listen(); tell(1); referee.recv(1); refused(lambda: os.listdir('/usr'))") as (running, ours):
        assert ours.recv(100) == b"1"
        running.only_compute()
        ours.send(b"x")
        assert wait(lambda: not running.is_running())
        assert running.inspect().refused[:1] == ["openat"]


def test_the_faults_of_a_program_that_has_ended_are_unknown() -> None:
    with cell("listen(); referee.recv(1)") as (running, ours):
        running.only_compute()
        ours.send(b"x")
        assert wait(lambda: not running.is_running())
        assert running.inspect().faults is None
