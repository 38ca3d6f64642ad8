"""The supervisor of one cell: a program of its own, executed by cell.py, that trusts nothing it starts.

It applies the layers, executes the untrusted program below itself, pumps its output into the capped log, and
kills the whole tree when that program ends, when the owner asks, or when the owner is gone: the control socket
is a lifeline, and its end-of-file arrives also after kill -9. Standard library only, no threads.

Messages to the owner: {"started": pid, "layers": {}}, then {"ended": status} when nothing is left alive; or
{"error": text}.
"""

import fcntl
import json
import os
import resource
import select
import signal
import time
from contextlib import suppress
from typing import Any, NoReturn

from autoresearch.measure import kernel
from autoresearch.measure.log import LogWriter
from autoresearch.measure.reaper import kill_below, wipe

GLANCE = 500  # ms between looks at whether the owner is still our parent
CHUNK = 1 << 16  # bytes
FILE_LIMIT = 16 << 30  # bytes of the largest file
SPARE_PROCESSES = 4096


def main(argv: list[str]) -> None:
    """`argv`: descriptors of the control socket, of the order (a JSON file) and of the log."""
    control, order_file, log = map(int, argv)
    order = json.loads(os.pread(order_file, os.fstat(order_file).st_size, 0))
    os.close(order_file)
    for fd in (control, log, *order["fds"].values()):
        os.set_inheritable(fd, False)
    Supervisor(order, control, log).run()


class Supervisor:
    """Starts one untrusted program and sees it to its end."""

    def __init__(self, order: dict[str, Any], control: int, log: int) -> None:
        self.order, self.control = order, control
        self.log = LogWriter(log, order["log_limit"])
        self.output, self.output_writer = os.pipe()
        self.wake, self.wake_writer = os.pipe()
        self.child = 0
        self.status: int | None = None

    def run(self) -> None:
        """The whole life of a cell; returns when everything is dead and its folder gone."""
        os.set_blocking(self.output, False)
        os.set_blocking(self.wake_writer, False)
        signal.set_wakeup_fd(self.wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        if self.launch():
            self.watch()
        self.end()
        self.wait_for_owner()
        wipe(self.order["tmp"])

    def launch(self) -> bool:
        """Start the program; whether it got as far as its first instruction."""
        reader, writer = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            become(self.order, self.output_writer, writer)
        os.close(writer)
        os.close(self.output_writer)
        for fd in set(self.order["fds"].values()):
            os.close(fd)
        reports = read_all(reader).splitlines() or [b'{"error": "it died before its program started"}']
        message = json.loads(reports[-1])
        os.close(reader)
        self.send(message if "error" in message else {"started": self.child, "layers": message["layers"]})
        return "error" not in message

    def watch(self) -> None:
        """Pump output until the program ends, or the owner asks or dies."""
        poller = select.poll()
        for fd in (self.control, self.output, self.wake):
            poller.register(fd, select.POLLIN)
        while self.status is None and os.getppid() == self.order["owner"]:
            ready = {fd for fd, _ in poller.poll(GLANCE)}
            if self.control in ready:
                return
            if self.output in ready and not self.pump():
                poller.unregister(self.output)
            if self.wake in ready:
                os.read(self.wake, CHUNK)
            self.reap()

    def pump(self) -> bool:
        """Move some output into the log; whether there may be more."""
        try:
            data = os.read(self.output, CHUNK)
        except BlockingIOError:
            return False
        self.log.write(data)
        return bool(data)

    def reap(self) -> bool:
        """Collect the dead; whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.child:
                self.status = os.waitstatus_to_exitcode(status)

    def end(self) -> None:
        """Kill until nothing is left (orphans become our children), then say so."""
        while self.reap():
            kill_below(os.getpid())
            time.sleep(0.002)
        while self.pump():
            pass
        self.send({"ended": self.status})

    def wait_for_owner(self) -> None:
        """Keep the private folder until the owner hangs up."""
        while os.getppid() == self.order["owner"]:
            if select.select([self.control], [], [], GLANCE / 1000)[0]:
                return

    def send(self, message: dict[str, Any]) -> None:
        with suppress(OSError):  # the owner has gone: nobody to tell
            os.write(self.control, json.dumps(message).encode())


def become(order: dict[str, Any], output: int, report: int) -> NoReturn:
    """In the forked child: turn into the untrusted program. Reports the layers, or why it failed."""
    try:
        report = arrange_descriptors(order, output, report)
        forget_parent(order)
        layers = apply_layers(order)
        os.write(report, json.dumps({"layers": layers}).encode() + b"\n")
        os.execve(order["program"][0], order["program"], order["environment"])
    except (OSError, ValueError) as error:
        os.write(report, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
    os._exit(127)


def arrange_descriptors(order: dict[str, Any], output: int, report: int) -> int:
    """Put the descriptors where the order wants them; all others close on exec. Returns the new `report`."""
    sources = {int(inside): here for inside, here in order["fds"].items()}
    sources.update({0: os.open(os.devnull, os.O_RDONLY), 1: output, 2: output})
    above = max(sources) + 1
    aside = {inside: fcntl.fcntl(here, fcntl.F_DUPFD_CLOEXEC, above) for inside, here in sources.items()}
    report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, above)
    for inside, here in aside.items():
        os.dup2(here, inside, inheritable=True)
    return report


def forget_parent(order: dict[str, Any]) -> None:
    """A session, folder and signals of its own."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    os.chdir(order["tmp"])
    if order["cores"] is not None:
        os.sched_setaffinity(0, order["cores"])


def apply_layers(order: dict[str, Any]) -> dict[str, Any]:
    """Apply what can be applied, and say what that was."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    rlimits = "rlimits" not in order["off"] and limit(order)
    return {
        "landlock": 0,
        "seccomp": False,
        "nnp": False,
        "caps": None,
        "ns": [],
        "uid": None,
        "shm": "shared",
        "rlimits": rlimits,
        "reaper": True,
    }


def limit(order: dict[str, Any]) -> bool:
    """Bounds on memory, files and processes; if memory runs out all the same, this process dies first."""
    with open("/proc/loadavg") as file:
        threads = int(file.read().split()[3].split("/")[1])  # on the whole machine
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, FILE_LIMIT)
    lower(resource.RLIMIT_NPROC, threads + SPARE_PROCESSES)
    if order["memory"] is not None:
        lower(resource.RLIMIT_DATA, order["memory"])
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")
    return True


def lower(kind: int, value: int) -> None:
    """Set a limit, soft and hard, unless it is lower already."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def read_all(fd: int) -> bytes:
    """Everything up to the end of the file."""
    parts = []
    while data := os.read(fd, CHUNK):
        parts.append(data)
    return b"".join(parts)
