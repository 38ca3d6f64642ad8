"""Assembler of seccomp filters in BPF, for x86-64 and aarch64: no library has to be trusted or installed."""

import errno
import struct
from collections.abc import Iterable

from autoresearch.sandbox import kernel
from autoresearch.sandbox.syscalls import number

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _AND, _JUMP_EQUAL, _JUMP_ANY_BIT, _JUMP_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x35, 0x06
_KILL = 0x80000000

ALLOW, NOTIFY, PRETEND = 0x7FFF0000, 0x7FC00000, 0x00050000  # PRETEND: report success and do nothing
REFUSE = PRETEND | errno.EPERM

Code = list[tuple[int, int, int, int]]


def fail(error: int) -> int:
    """Return the action that makes a call fail with an error of its own."""
    return PRETEND | error


def assemble(rules: Code, otherwise: int) -> bytes | None:
    """Return the filter of `rules`; None on an unknown processor."""
    if kernel.MACHINE not in _AUDIT_ARCH:
        return None
    code = [*_check_architecture(), *rules, *then(otherwise)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def is_known_machine() -> bool:
    """Return whether there are numbers of system calls for this processor."""
    return kernel.MACHINE in _AUDIT_ARCH


def answer_all(table: Iterable[str], action: int) -> Code:
    """Return the rule for all system calls of a table."""
    return when_in([number(name) for name in table if number(name) >= 0], action)


def rule(name: str, body: Code) -> Code:
    """Return the rule for one system call; `body` must end in an answer."""
    return branch(number(name), body)


def branch(value: int, body: Code) -> Code:
    """Return what to do if `value` was loaded; `body` must end in an answer."""
    return [(_JUMP_EQUAL, 0, len(body), value), *body]


def argument(index: int) -> Code:
    """Load an argument: its low half, for all inspected arguments but pointers are 32 bits wide."""
    return [(_LOAD, 0, 0, 16 + 8 * index)]


def high_half(index: int) -> Code:
    """Load the high half of an argument."""
    return [(_LOAD, 0, 0, 20 + 8 * index)]


def masked(bits: int) -> Code:
    """Keep some bits of what was loaded."""
    return [(_AND, 0, 0, bits)]


def when(value: int, action: int) -> Code:
    return [(_JUMP_EQUAL, 0, 1, value & 0xFFFFFFFF), (_RETURN, 0, 0, action)]


def when_in(values: Iterable[int], action: int) -> Code:
    return [step for value in values for step in when(value, action)]


def when_any(bits: int, action: int) -> Code:
    return [(_JUMP_ANY_BIT, 0, 1, bits), (_RETURN, 0, 0, action)]


def unless(value: int, action: int) -> Code:
    return [(_JUMP_EQUAL, 1, 0, value & 0xFFFFFFFF), (_RETURN, 0, 0, action)]


def then(action: int) -> Code:
    return [(_RETURN, 0, 0, action)]


def _check_architecture() -> Code:
    """Kill a process that uses another calling convention (i386, x32, 32-bit ARM), with other call numbers."""
    code = [(_LOAD, 0, 0, 4), (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[kernel.MACHINE]), *then(_KILL), (_LOAD, 0, 0, 0)]
    if kernel.MACHINE == "x86_64":
        code += [(_JUMP_AT_LEAST, 0, 1, 0x40000000), *then(_KILL)]
    return code
