"""The system-call numbers of the filter, compared with the kernel's headers where they are installed."""

import itertools
import re
import struct
from pathlib import Path

import pytest

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
        filters += [seccomp.build(threads_only, network, gpu, protect, network) for protect in (None, [1000, 1001])]
    for code in filters:
        assert code is not None
        steps = list(struct.iter_unpack("HBBI", code))
        assert len(steps) < 4096
        for place, (_, yes, no, _) in enumerate(steps[:-1]):
            assert place + 1 + max(yes, no) < len(steps)
        assert steps[-1][0] == 0x06  # return
