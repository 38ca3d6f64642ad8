"""The filters: numbers as in the kernel's headers, and answers by system call without and with a card."""

import itertools
import re
import struct
from pathlib import Path

import pytest
from support.filters import AARCH64, X86_64, answer

from autoresearch.sandbox import compute_only, kernel, seccomp, syscalls

HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h")),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"),),
}


def numbers_in(header: Path) -> dict[str, int]:
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    return {{"fstatat": "newfstatat"}.get(name, name): int(number) for name, number in found}


@pytest.mark.parametrize("machine", sorted(HEADERS))
def test_system_calls_have_the_kernels_numbers(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    header = next((path for path in HEADERS[machine] if path.exists()), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    official = numbers_in(header)
    monkeypatch.setattr(kernel, "MACHINE", machine)
    for name in syscalls.KNOWN:
        number = syscalls.number(name)
        if name in official:
            assert number == official[name], name
        else:
            assert number == -1 or number >= max(official.values()) or machine == "x86_64", name


def test_an_unknown_machine_gets_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MACHINE", "riscv64")
    assert seccomp.build(threads_only=True, network=False, gpu=False, protect=None) is None
    assert compute_only.build() is None


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_lands_inside_the_program(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MACHINE", machine)
    filters = [compute_only.build()]
    for threads_only, network, gpu in itertools.product((False, True), repeat=3):
        for protect, own_modes in itertools.product((None, [1000, 1001]), (False, True)):
            filters.append(seccomp.build(threads_only, network, gpu, protect, network, own_modes))
    for code in filters:
        assert code is not None
        steps = list(struct.iter_unpack("HBBI", code))
        assert len(steps) < 4096
        for place, (_, yes, no, _) in enumerate(steps[:-1]):
            assert place + 1 + max(yes, no) < len(steps)
        assert steps[-1][0] == 0x06  # return


UNIX, INET, NETLINK, STREAM, DATAGRAM, SEQPACKET = 1, 2, 16, 1, 2, 5
EPERM, CONNECTION_REFUSED, NO_SUCH_COMMAND, NO_SUCH_CALL = "1", "111", "25", "38"
CALLS = [  # name, arguments, answer without and with a card
    ("socket", (UNIX, SEQPACKET), "allow", "allow"),
    ("socket", (UNIX, STREAM), "allow", "allow"),
    ("socket", (UNIX, DATAGRAM), EPERM, EPERM),
    ("socket", (INET, STREAM), EPERM, EPERM),
    ("socket", (NETLINK, 3), EPERM, EPERM),
    ("socketpair", (UNIX, DATAGRAM), EPERM, EPERM),
    ("bind", (3,), EPERM, "allow"),
    ("listen", (3,), EPERM, "allow"),
    ("accept", (3,), EPERM, EPERM),
    ("accept4", (3,), EPERM, EPERM),
    ("connect", (3,), CONNECTION_REFUSED, CONNECTION_REFUSED),
    ("ioctl", (3, 0x5401), "allow", "allow"),  # TCGETS
    ("ioctl", (3, 0xC020462A), NO_SUCH_COMMAND, "allow"),  # NV_ESC_RM_CONTROL
    ("ioctl", (3, 0x30000001), NO_SUCH_COMMAND, "allow"),  # UVM_INITIALIZE
    ("ioctl", (3, 0x21), NO_SUCH_COMMAND, "allow"),  # UVM_MAP_EXTERNAL_ALLOCATION
    ("ioctl", (3, 0xC020660B), NO_SUCH_COMMAND, NO_SUCH_COMMAND),  # FS_IOC_FIEMAP
    ("ioctl", (3, 0x5412), NO_SUCH_COMMAND, NO_SUCH_COMMAND),  # TIOCSTI
    ("prctl", (15,), "allow", "allow"),  # PR_SET_NAME, of the threads of cuInit
    ("prctl", (1, 0), EPERM, EPERM),
    ("sched_setaffinity", (0,), "pretend", "pretend"),
    ("clone", (0x3D0F00,), "allow", "allow"),  # a thread
    ("clone", (0x10000000,), EPERM, EPERM),  # a user namespace
    ("clone3", (), NO_SUCH_CALL, NO_SUCH_CALL),
    ("mlock", (), "allow", "allow"),  # pinned memory
    ("ptrace", (), EPERM, EPERM),
    ("process_vm_readv", (), EPERM, EPERM),
    ("pidfd_getfd", (), EPERM, EPERM),
    ("io_uring_setup", (), EPERM, EPERM),
    ("shmget", (), EPERM, EPERM),
    ("mount", (), EPERM, EPERM),
    ("mincore", (), NO_SUCH_CALL, NO_SUCH_CALL),
]


@pytest.mark.parametrize("machine", sorted(HEADERS))
@pytest.mark.parametrize(("name", "arguments", "without", "with_card"), CALLS)
def test_what_a_cell_may_call_without_and_with_a_card(
    name: str, arguments: tuple[int, ...], without: str, with_card: str, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "MACHINE", machine)
    architecture = {"x86_64": X86_64, "aarch64": AARCH64}[machine]
    for gpu, expected in ((False, without), (True, with_card)):
        code = seccomp.build(threads_only=False, network=False, gpu=gpu, protect=None)
        assert code is not None
        assert answer(code, name, *arguments, machine=architecture) == expected


@pytest.mark.parametrize(("name", "before"), [("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2)])
def test_modes_are_pretended_or_set_but_never_special(name: str, before: int) -> None:
    codes = [
        seccomp.build(threads_only=False, network=False, gpu=False, protect=None, own_modes=own)
        for own in (False, True)
    ]
    modes = [(*range(before), mode) for mode in (0o755, 0o4755, 0o2711, 0o1777)]
    answers = [[code and answer(code, name, *arguments) for arguments in modes] for code in codes]
    assert answers == [["pretend"] * 4, ["allow", EPERM, EPERM, EPERM]]


def test_times_are_pretended_except_that_of_now_for_a_path() -> None:
    """Path.touch sets the time at first, and creates a file only if that fails."""
    calls = [("utimensat", (-100, 8, 16)), ("utimensat", (3, 0, 0)), ("utimensat", (-100, 8, 0)), ("utime", (8, 0))]
    codes = [
        seccomp.build(threads_only=False, network=False, gpu=False, protect=None, own_modes=own)
        for own in (False, True)
    ]
    answers = [[code and answer(code, name, *arguments) for name, arguments in calls] for code in codes]
    assert answers == [["pretend", "pretend", EPERM, "pretend"], ["allow"] * 4]


@pytest.mark.parametrize("name", ["listen", "accept", "accept4"])
def test_a_cell_with_a_network_that_others_see_serves_nobody_with_a_card_either(name: str) -> None:
    code = seccomp.build(threads_only=False, network=True, gpu=True, protect=None, tcp_only=True)
    assert code is not None and answer(code, name, 3) == EPERM


def test_after_the_text_arrived_the_supervisor_decides_on_names_of_sockets() -> None:
    code = compute_only.build()
    assert code is not None
    assert [answer(code, name, 3) for name in ("bind", "listen", "accept4", "connect", "socket")] == ["notify"] * 5
    assert answer(code, "recvmsg", 3) == "allow"
    private, locked = 0x22, 0x2022  # anonymous memory; pages that stay in memory would tell what was used
    assert [answer(code, "mmap", 0, 0, 0, flags) for flags in (private, locked)] == ["allow", "notify"]
