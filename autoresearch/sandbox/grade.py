"""Weaknesses of a cell by the layers that were applied; a cell without any is STRONG, else WEAK."""

from autoresearch.files import JsonObject

_LANDLOCK = (
    "files of this user can be read from inside a trial, validation data included: use a kernel with "
    "Landlock (Linux 5.13 or newer, `landlock` in /sys/kernel/security/lsm), or run as root with a Python that every "
    "user can read (not below a private home folder)"
)
_LIBRARY = (
    "the validation text comes from Python's own library, which trials can read without Landlock: use a "
    "kernel with it (Linux 5.13 or newer), or validate on another text"
)
_SECCOMP = (
    "system calls are not filtered, so a trial can reach the network and other processes: use a kernel and a "
    "container profile that allow seccomp filters, on x86-64 or aarch64"
)
_NETWORK = (
    "a coding agent can reach services of this machine and of its network, such as the metadata of a cloud: use a "
    "kernel that allows namespaces, or one with Landlock for TCP (Linux 6.7 or newer)"
)
_PRIVILEGES = "a trial could gain privileges (no_new_privs is off)"
_CAPABILITIES = "a trial keeps capabilities of root: run as an ordinary user, or allow CAP_SETPCAP to drop them"
SECOND_FILTER = (
    "a cell that has seen validation text can leave marks in the kernel's caches of names and pages, which a later "
    "cell reads: use Linux 5.7 or newer, and a container profile that allows seccomp's user notification"
)
_LIMITS = "a trial's memory, files and processes are not limited"


def weaknesses(layers: JsonObject, library_restricted: bool) -> list[str]:
    """Return what is not protected, each with its remedy; empty for a STRONG cell.

    Files are hidden by Landlock, or, if they are private to our user, by a separate user of the cell. The latter does
    not hide Python's library, which every user may read. Namespaces are an additional layer and never required: a
    default container does not have them.
    """
    checks = {
        _LANDLOCK: layers["landlock"] or layers["uid"] is not None,
        _LIBRARY: layers["landlock"] or layers["uid"] is None or not library_restricted,
        _SECCOMP: layers["seccomp"],
        _NETWORK: layers["network"] != "open",
        _PRIVILEGES: layers["nnp"],
        _CAPABILITIES: not layers["caps"],
        _LIMITS: layers["rlimits"],
    }
    return [weakness for weakness, is_protected in checks.items() if not is_protected]


def describe(layers: JsonObject) -> str:
    """Describe the layers on one line, for `doctor` and `run`."""
    parts = [
        f"landlock {layers['landlock'] or '-'}",
        "seccomp" if layers["seccomp"] else "no seccomp",
        f"caps {layers['caps']}",
        f"ns {','.join(layers['ns']) or '-'}",
        f"uid {layers['uid'] or '-'}",
    ]
    return " | ".join(parts)
