"""Supervisor of one cell: a separate program, executed by cell.py, that trusts nothing it starts.

It applies the layers, executes the untrusted program below itself, copies its output into the capped log, and kills the
whole tree when that program ends, when the owner asks, or when the owner dies: the end-of-file of the control socket
arrives also after kill -9. Standard library only, no threads.

Messages to the owner: {"started": pid, "layers": {}}, then {"ended": status, "seconds": of the program, "refused":
calls, "full": whether it was killed since it nearly filled the disk} when nothing is left alive; or {"error": text}.
The owner may ask to "listen" to the calls of a second filter, whose listener comes with the message; to let the cell
"only_compute" from now on; and to "inspect" what it did since. Each is answered with its name.
"""

import fcntl
import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import NoReturn

from autoresearch.sandbox import doors, kernel, layers, listener, namespaces
from autoresearch.sandbox.cleanup import clean, descendants, hold, kill_below, set_aside, signal_quietly
from autoresearch.sandbox.layers import Order
from autoresearch.sandbox.output_log import LogWriter

POLL_MS = 500  # between checks that the owner is still our parent, and of the disk
LEFT_SHARE = 0.1  # of the free bytes and files of the disk at the start that a cell has to leave
CHUNK_BYTES = 1 << 16
DISK_IS_FULL = "it was ended since it nearly filled the disk: a tenth of the free space has to be left"
SERIAL_COMPILATION = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}


def main(argv: list[str]) -> None:
    """Run a cell; `argv` are the descriptors of the control socket, the order (a JSON file), and the log."""
    control, order_file, log = map(int, argv)
    order = json.loads(os.pread(order_file, os.fstat(order_file).st_size, 0))
    os.close(order_file)
    for fd in (control, log, *order["fds"].values()):
        os.set_inheritable(fd, False)
    Supervisor(order, control, log).run()
    os._exit(0)  # at once: the owner waits, and nothing is left to clean up


class Supervisor:
    """Start one untrusted program and supervise it to its end."""

    def __init__(self, order: Order, control: int, log: int) -> None:
        self.order, self.control = order, control
        order["control"] = control
        self.log = LogWriter(log, order["log_limit"])
        self.output, self.output_writer = os.pipe()
        self.wake, self.wake_writer = os.pipe()
        self.child = self.program = 0  # the program itself is below `child` if there is a process namespace
        self.listener: listener.Listener | None = None
        self.faults = 0  # major page faults of the program when it began to compute only
        self.files: list[str] = []  # that it mapped then
        self.others: dict[int, list[bytes]] = {}  # what other processes of the cell had done then
        self.is_alone = True
        self.room: list[int] = []  # that the disk of its folder had at the start
        self.is_disk_full = False
        self.status: int | None = None
        self.began = self.seconds = 0.0  # when the program reached its first instruction, and how long it ran
        self.inner_status = -1  # where process 1 of a namespace writes the exit status of the program

    def run(self) -> None:
        """Run the cell; return when all is dead, and its folder and what its user left elsewhere are removed.

        The owner waits for the first only: removing a large folder can take minutes.
        """
        self.hold = hold(self.order["tmp"])
        self.room = free_room(self.order["tmp"])
        os.set_blocking(self.output, False)
        os.set_blocking(self.wake_writer, False)
        signal.set_wakeup_fd(self.wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.choose_layers()
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        if self.launch():
            self.watch()
        self.end()
        while os.getppid() == self.order["owner"]:  # until it closes its socket, it may use the private folder
            if select.select([self.control], [], [], POLL_MS / 1000)[0]:
                break
        clean(set_aside(self.order["tmp"]), self.order["uid"])

    def choose_layers(self) -> None:
        """Find out which namespaces and user are available, and enter the outer namespaces."""
        order, off = self.order, self.order["off"]
        order["protect"] = [order["owner"], os.getpid()]
        order["namespaces"] = [] if "ns" in off else namespaces.choose()
        order["uid"] = None
        if "uid" not in off and "user" not in order["namespaces"]:
            order["uid"] = layers.choose_uid(order["must_reach"], order["must_use"])
        # the driver of a card maps memory after the text arrived, which is decided by its descriptor (listener.py)
        if order["uid"] is not None and order["gpu"] and not layers.can_inspect(order["uid"]):
            order["uid"] = None
        if order["uid"] is not None:
            change_owner(order["tmp"], order["uid"])
        if order["namespaces"]:  # last: what is forked next is process 1 of the new namespace
            namespaces.enter_outer(order["namespaces"])

    def launch(self) -> bool:
        """Start the program; return whether it reached its first instruction."""
        reader, writer = os.pipe()
        self.inner_status, status = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            start_program(self.order, self.output_writer, writer, status)
        for fd in {writer, status, self.output_writer, *self.order["fds"].values()}:
            os.close(fd)
        with open(reader, "rb") as file:
            reports = file.read().splitlines() or [b'{"error": "it died before its program started"}']
        message = json.loads(reports[-1])
        self.began = time.monotonic()
        if "started" in message:
            self.program = message["started"] = self.outer_pid(message["started"])
        self.send(message)
        return "started" in message

    def outer_pid(self, pid: int) -> int:
        """Return the pid outside the cell of a process whose own pid is `pid`."""
        if "pid" not in self.order["namespaces"]:
            return pid
        return namespaces.find_process(pid, descendants(self.child)) or self.child

    def watch(self) -> None:
        """Copy output until the program ends or nearly fills the disk, or the owner asks for its end or dies."""
        poller = select.poll()
        for fd in (self.control, self.output, self.wake):
            poller.register(fd, select.POLLIN)
        while self.status is None and not self.is_disk_full and os.getppid() == self.order["owner"]:
            ready = dict(poller.poll(POLL_MS))
            if self.control in ready and not self.take_message(poller):
                return
            if self.listener is not None and ready.get(self.listener.fd, 0) & select.POLLIN:
                self.listener.handle()
            if self.output in ready and not self.pump():
                poller.unregister(self.output)
            if self.wake in ready:
                os.read(self.wake, CHUNK_BYTES)
            left = zip(free_room(self.order["tmp"]), self.room, strict=True)
            self.is_disk_full = any(now < LEFT_SHARE * then for now, then in left)
            self.reap()

    def take_message(self, poller: "select.poll") -> bool:
        """Do what the owner asks for; return False if that is the end, or if it has hung up."""
        with socket.socket(fileno=os.dup(self.control)) as control:
            data, fds, _, _ = socket.recv_fds(control, CHUNK_BYTES, 1)
        if not data:
            return False
        request = json.loads(data)["ask"]
        if request == "end":
            return False
        if request == "listen":
            self.listener = listener.Listener(fds[0], sees_others="net" not in self.order["namespaces"])
            poller.register(self.listener.fd, select.POLLIN)
        if request == "only_compute":
            self.restrict()
        inspected = request == "inspect" and self.listener is not None
        self.send({request: self.inspect() if inspected else {}})
        return True

    def restrict(self) -> None:
        """From now on the program may only compute, and is alone."""
        assert self.listener is not None
        self.listener.only_computes = True
        try:
            listener.stop(self.program)
            used = kernel.cpu_seconds(self.program) or 0.0
            self.others = listener.stop_others(self.program, {self.child})
        except TimeoutError:
            self.is_alone, used = False, 0.0
        self.files = listener.mapped_files(self.program)
        listener.populate(self.files, self.order["tmp"])
        self.faults = listener.major_faults(self.program) or 0
        # its own timer, or another process, may have continued it: no clock of the referee counts this time
        self.is_alone &= (kernel.cpu_seconds(self.program) or 0.0) - used < listener.STOPPING_S
        signal_quietly(self.program, signal.SIGCONT)

    def inspect(self) -> dict[str, object]:
        """Stop the program; return the calls that were refused since `restrict`, its page faults, and if it was alone.

        The faults are None if the program is gone.
        """
        assert self.listener is not None
        try:
            listener.stop(self.program)
        except TimeoutError:
            self.is_alone = False
        faults = listener.major_faults(self.program)
        since = None if faults is None else faults - self.faults
        is_alone = self.is_alone and listener.have_stood_still(self.others)
        return {"refused": self.listener.refused, "faults": since, "alone": is_alone}

    def pump(self) -> bool:
        """Copy some output into the log; return whether there may be more."""
        try:
            data = os.read(self.output, CHUNK_BYTES)
        except BlockingIOError:
            return False
        self.log.write(data)
        return bool(data)

    def reap(self) -> bool:
        """Collect dead children; return whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.child:
                self.seconds = time.monotonic() - self.began
                inner = namespaces.read_status(self.inner_status)
                self.status = os.waitstatus_to_exitcode(status) if inner is None else inner

    def end(self) -> None:
        """Kill until nothing is left (orphans become our children), then report the end."""
        while self.reap():
            kill_below(os.getpid())
            time.sleep(0.002)
        while self.pump():
            pass
        if self.is_disk_full:
            self.log.write(f"\n{DISK_IS_FULL}\n".encode())
        if self.listener is not None:
            self.listener.forget_names()
        listener.populate(listener.evicted(self.files), self.order["tmp"])  # which pages are left tells what was used
        refused = self.listener.refused if self.listener else []
        self.send({"ended": self.status, "seconds": self.seconds, "refused": refused, "full": self.is_disk_full})

    def send(self, message: dict[str, object]) -> None:
        with suppress(OSError):  # the owner is dead
            os.write(self.control, json.dumps(message).encode())


def free_room(folder: str) -> list[int]:
    """Return the free bytes and the free files of a folder's disk; 0 files where they are not counted."""
    found = os.statvfs(folder)
    return [found.f_bavail * found.f_frsize, found.f_favail]


def change_owner(root: str, uid: int) -> None:
    """Make the user of the cell the owner of a folder and its content."""
    os.chown(root, uid, uid)
    for parent, folders, files in os.walk(root):
        for name in [*folders, *files]:
            os.chown(f"{parent}/{name}", uid, uid)


def start_program(order: Order, output: int, report: int, status: int) -> NoReturn:
    """Become, in the forked child, the untrusted program, below a process 1 if there is a namespace."""
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        kinds = order["namespaces"]
        mounted = namespaces.enter_inner(kinds, order["tmp"]) if kinds else {}
        if "net" in kinds and order["doors"]:
            doors.open_inside(order["control"], order["doors"])
        if "pid" in kinds:
            namespaces.run_as_init(lambda: execute(order, output, report, mounted), status)
    except OSError as error:
        add_report(report, error=f"{type(error).__name__}: {error}")
        os._exit(127)
    execute(order, output, report, mounted)


def execute(order: Order, output: int, report: int, mounted: dict[str, object]) -> NoReturn:
    """Apply the layers, report them or the failure, and execute the program."""
    try:
        report = arrange_descriptors(order, output, report)
        detach(order)
        applied = layers.apply(order, mounted)
        add_report(report, layers=applied, started=os.getpid())
        os.execve(order["program"][0], order["program"], choose_environment(order["environment"], applied))
    except (OSError, ValueError) as error:
        add_report(report, error=f"{type(error).__name__}: {error}")
    os._exit(127)


def choose_environment(environment: dict[str, str], applied: dict[str, object]) -> dict[str, str]:
    """Return the environment of the program; Inductor's processes wait for ever where they cannot share memory."""
    return {**(SERIAL_COMPILATION if applied["shm"] == "denied" else {}), **environment}


def add_report(report: int, **fields: object) -> None:
    """Append a line to the report; its last line counts."""
    os.write(report, json.dumps(fields).encode() + b"\n")


def arrange_descriptors(order: Order, output: int, report: int) -> int:
    """Move descriptors to the numbers of the order; all others close on exec. Return the new `report`."""
    sources = {int(inside): here for inside, here in order["fds"].items()}
    sources.update({0: os.open(os.devnull, os.O_RDONLY), 1: output, 2: output})
    above = max(sources) + 1
    aside = {inside: fcntl.fcntl(here, fcntl.F_DUPFD_CLOEXEC, above) for inside, here in sources.items()}
    report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, above)
    for inside, here in aside.items():
        os.dup2(here, inside, inheritable=True)
    return report


def detach(order: Order) -> None:
    """Leave the parent's session, folder, signal handlers, cores and priority."""
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.setsid()
    os.chdir(order["tmp"])
    if order["cores"] is not None:
        os.sched_setaffinity(0, order["cores"])
    if order["nice"]:  # of the process, and of its session: a kernel with autogroups uses the latter
        os.nice(order["nice"])
        with suppress(OSError), open("/proc/self/autogroup", "w") as file:
            file.write(str(order["nice"]))
