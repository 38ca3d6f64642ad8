"""Interpreter of seccomp filters: the answer to a system call, without making it."""

import struct

from autoresearch.sandbox import bpf, syscalls

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
ANSWERS = {bpf.ALLOW: "allow", bpf.NOTIFY: "notify", bpf.PRETEND: "pretend"}


def answer(code: bytes, name: str, *arguments: int, machine: int = X86_64) -> str:
    """Return what a filter answers to a call: allow, notify, pretend, kill, or the number of an error."""
    values = [*arguments, *[0] * (6 - len(arguments))]
    seen = struct.pack("=iIQ6Q", syscalls.number(name), machine, 0, *(value & (1 << 64) - 1 for value in values))
    action = _execute(list(struct.iter_unpack("HBBI", code)), seen)
    if action in ANSWERS:
        return ANSWERS[action]
    return str(action & 0xFFFF) if action & 0xFFFF0000 == bpf.PRETEND else "kill"


def _execute(steps: list[tuple[int, ...]], seen: bytes) -> int:
    place = accumulator = 0
    while True:
        operation, yes, no, value = steps[place]
        place += 1
        if operation == 0x06:
            return value
        if operation == 0x20:
            accumulator = int(struct.unpack_from("=I", seen, value)[0])
        elif operation == 0x54:
            accumulator &= value
        else:
            tests = {0x15: accumulator == value, 0x45: bool(accumulator & value), 0x35: accumulator >= value}
            place += yes if tests[operation] else no
