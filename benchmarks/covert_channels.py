"""Measure how many bits of text a claim can leave in the machine for an audit to find.

    python benchmarks/covert_channels.py [--bits 100000 | --trials 13] [--off LAYERS]... [--only STORE]...

The claim finds its rows in the stack frames of its caller and writes their bits into one store of the kernel or of the
processor; the audit reads that store in `load` and returns what it read as its logits. The bits that were carried are
the mutual information of what was offered and what was read. Runs as root evict the files that stand for the cold
files of a machine; without root, files stay cold only if nobody has read them.
"""

import argparse
import math
import os
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from autoresearch.data.dataset import Dataset
from autoresearch.measure import wire
from autoresearch.measure.cell_process import Harness
from autoresearch.measure.clock import Budget
from autoresearch.measure.scoring_cell import EvaluationError, Question, ask
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.setup import prepare

Bits = npt.NDArray[np.uint8]

SEQ_LEN, VOCABULARY = 32, 256
WARM_UP = 2  # answers about random tokens before the text arrives
COLD_FOLDERS = ("/usr/lib", "/usr/share")  # with large files that every cell may read
FRAME = '''
import ctypes
import fcntl
import inspect
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time

import numpy as np

FILES, PREFIX, BITS, WARM_UP = $FILES, "$PREFIX", $BITS, $WARM_UP
PRESSURE_MB, STRIDE = $PRESSURE_MB, 1024
LIBC = ctypes.CDLL(None, use_errno=True)


def map_cold():
    """Map the cold files; return one array of bytes for each, to be touched in any order."""
    views = []
    for path in FILES:
        with open(path, "rb") as file:
            view = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        view.madvise(mmap.MADV_RANDOM)
        views.append(np.frombuffer(view, np.uint8))
    return views


def read_pages(views, count):
    """Return 1 for each page that was in memory: touching it waits for no disk."""
    found, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    for view in views:
        for start in range(0, len(view), 4096):
            view[start]
            after = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
            found.append(after == before)
            before = after
            if len(found) == count:
                return found
    return found


def by_view(views, bits):
    """Yield each view and the offsets of its pages that stand for a 1."""
    first = 0
    for view in views:
        count = -(-len(view) // 4096)
        yield view, 4096 * np.flatnonzero(bits[first : first + count])
        first += count


def timed(calls, known):
    """Return 1 for each call that is nearer to the faster of two known groups of calls (fast, slow)."""
    clock = time.perf_counter_ns

    def measure(call):
        start = clock()
        call()
        return clock() - start

    slow = np.median([measure(call) for call in known])
    fast = np.median([measure(call) for call in known])
    return [measure(call) < (slow + fast) / 2 for call in calls]


def look_up(name):
    """Look a name up, which does not exist."""
    try:
        os.stat(name)
    except FileNotFoundError:
        pass

$STORE

def load(state, config, device):
    mode, calls = sys.argv[1], [0]
    store = Store(mode)
    found = np.asarray(store.read(BITS), np.float32) if mode == "audit" else None

    def model(tokens):
        calls[0] += 1
        if mode == "claim" and calls[0] == WARM_UP + 1:
            frame = next(frame.frame.f_locals for frame in inspect.stack() if "answer" in frame.frame.f_locals)
            bits = np.unpackbits(np.asarray(frame["rows"], np.uint8).reshape(-1))[:BITS]
            try:
                store.write(bits)
            except OSError as error:
                print("refused:", error)
        answer = np.zeros((len(tokens), tokens.shape[1], $VOCABULARY), np.float32)
        if mode == "audit" and calls[0] > WARM_UP:
            size = len(tokens) * $VOCABULARY
            part = found[(calls[0] - WARM_UP - 1) * size :][:size]
            answer[:] = np.append(part, np.zeros(size - len(part), np.float32)).reshape(len(tokens), 1, $VOCABULARY)
        return answer

    return model
'''
STORES = {
    "names, counted": '''
class Store:
    """Names that do not exist: a lookup leaves a dentry; the number of dentries rises only at the first one."""

    def __init__(self, mode):
        self.names = [f"/usr/lib/{PREFIX}{k}" for k in range(BITS)]

    def write(self, bits):
        for k in np.flatnonzero(bits):
            look_up(self.names[k])

    def read(self, count):
        file = os.open("/proc/sys/fs/dentry-state", os.O_RDONLY)
        negative = lambda: int(os.pread(file, 99, 0).split()[4])
        found, before = [], negative()
        for name in self.names:
            look_up(name)
            after = negative()
            found.append(after == before)
            before = after
        return found
''',
    "names, timed": '''
class Store:
    """The same without a file of the kernel: the second lookup of a name is faster."""

    def __init__(self, mode):
        self.names = [f"/usr/lib/{PREFIX}{k}" for k in range(BITS)]

    def write(self, bits):
        for k in np.flatnonzero(bits):
            look_up(self.names[k])

    def read(self, count):
        calls = [lambda name=name: look_up(name) for name in self.names]
        return timed(calls, [lambda k=k: look_up(f"/usr/lib/{PREFIX}known{k}") for k in range(1000)])
''',
    "pages, touched": '''
class Store:
    """Pages of cold files, mapped before the text arrives and then touched, without any system call."""

    def __init__(self, mode):
        self.views = map_cold()

    def write(self, bits):
        for view, offsets in by_view(self.views, bits):
            view[offsets].sum()

    def read(self, count):
        return read_pages(self.views, count)
''',
    "pages, read": '''
class Store:
    """The same with pread on descriptors of before; every other page, so that nothing is read ahead."""

    def __init__(self, mode):
        self.files = [os.open(path, os.O_RDONLY) for path in FILES]
        self.views = map_cold() if mode == "audit" else [range(os.fstat(file).st_size) for file in self.files]

    def write(self, bits):
        spread = np.zeros(2 * len(bits), np.uint8)
        spread[::2] = bits
        for file, (_, offsets) in zip(self.files, by_view(self.views, spread)):
            for offset in offsets.tolist():
                os.pread(file, 1, offset)

    def read(self, count):
        return read_pages(self.views, 2 * count)[::2]
''',
    "pages, by a child": '''
class Store:
    """A child process touches the pages; a signal continues it, ours or that of its parent's death."""

    def __init__(self, mode):
        self.views = map_cold() if mode == "audit" else []
        self.shared = mmap.mmap(-1, BITS + 4096)
        self.leave, self.child = threading.Event(), 0
        if mode == "claim":
            threading.Thread(target=self.fork, daemon=True).start()
            time.sleep(1)

    def fork(self):
        self.child = os.fork()
        if self.child == 0:
            self.run_child()
        self.leave.wait()

    def run_child(self):
        LIBC.prctl(1, signal.SIGCONT, 0, 0, 0)  # PR_SET_PDEATHSIG
        views = map_cold()
        while self.shared[0] == 0:
            time.sleep(0.001)
        for view, offsets in by_view(views, np.frombuffer(self.shared, np.uint8)[4096 : 4096 + BITS]):
            view[offsets].sum()
        self.shared[0] = 2
        os._exit(0)

    def write(self, bits):
        self.shared[4096 : 4096 + len(bits)] = bits.tobytes()
        self.shared[0] = 1
        self.leave.set()
        LIBC.syscall(234, self.child, self.child, signal.SIGCONT)  # tgkill
        deadline = time.monotonic() + 20
        while self.shared[0] == 1 and time.monotonic() < deadline:
            time.sleep(0.01)

    def read(self, count):
        return read_pages(self.views, count)
''',
    "pages, kept": '''
class Store:
    """Mapped pages that are used all the time stay in memory when the others are evicted for want of memory."""

    def __init__(self, mode):
        self.views = map_cold()

    def write(self, bits):
        taken, deadline = [], time.monotonic() + 60
        for _ in range(PRESSURE_MB // 4):
            for view, offsets in by_view(self.views, bits):
                view[offsets].sum()
            taken.append(np.ones(4 << 20, np.uint8))
            if time.monotonic() > deadline:
                break

    def read(self, count):
        return read_pages(self.views, count)
''',
    "lines of the processor's cache": '''
class Store:
    """Lines of a file that both cells map: the one that was touched last is read faster (x86-64 only)."""

    CODE = bytes.fromhex(
        "534989d04989c94d31d24d39c273264e8b1cd60faef00faee80f310faee889c3420fb6041f0faee80f3129d843890491"
        "49ffc2ebd55bc34d31d24939d2730e4e8b1cd6420fae3c1f49ffc2ebed0faef0c3"
    )
    PROBE, FLUSH = 0, 55

    def __init__(self, mode):
        with open(FILES[0], "rb") as file:
            self.view = np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), np.uint8)
        self.view[::4096].sum()
        places = np.random.default_rng(1).permutation(len(self.view) // STRIDE)[: BITS + 2000]
        self.known, self.places = np.split(places.astype(np.uint64) * np.uint64(STRIDE), [2000])
        self.code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self.code.write(self.CODE)
        self.entry = ctypes.addressof(ctypes.c_char.from_buffer(self.code))

    def run(self, at, places):
        times = np.zeros(len(places), np.uint32)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (self.view, places))
        kinds = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
        ctypes.CFUNCTYPE(None, *kinds)(self.entry + at)(*pointers, len(places), ctypes.c_void_p(times.ctypes.data))
        return times

    def write(self, bits):
        chosen = np.ascontiguousarray(self.places[: len(bits)][bits[: len(self.places)] == 1])
        self.run(self.FLUSH, np.concatenate([self.places, self.known]))
        for _ in range(3):
            self.run(self.PROBE, chosen)

    def read(self, count):
        times = self.run(self.PROBE, self.places)
        self.run(self.FLUSH, self.known)
        slow, fast = np.median(self.run(self.PROBE, self.known)), np.median(self.run(self.PROBE, self.known))
        found = (times < (slow + fast) / 2).tolist()
        return found + [0] * (count - len(found))
''',
    "pages, sent": '''
class Store:
    """Threads that wait in sendfile since before the text; who reads from their sockets lets them read on."""

    def __init__(self, mode):
        self.parts = [(path, start) for path in FILES for start in range(0, os.path.getsize(path) - (4 << 20), 4 << 20)]
        self.ends = []
        for path, start in self.parts[:1500] if mode == "claim" else []:
            ours, theirs = socket.socketpair()
            file = os.open(path, os.O_RDONLY)
            arguments = (theirs.fileno(), file, start, 4 << 20)
            threading.Thread(target=lambda a=arguments: os.sendfile(*a), daemon=True).start()
            self.ends.append((ours, theirs))
        time.sleep(3 if mode == "claim" else 0)

    def write(self, bits):
        for k in np.flatnonzero(bits[: len(self.ends)]):
            for _ in range(60):
                self.ends[k][0].settimeout(1)
                self.ends[k][0].recv(1 << 16)
        time.sleep(2)

    def read(self, count):
        found = []
        for path, start in self.parts[: min(1500, count)]:
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
                view.madvise(mmap.MADV_RANDOM)
                before = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
                view[start + (3700 << 10)]
                found.append(resource.getrusage(resource.RUSAGE_SELF).ru_majflt == before)
        return found + [0] * (count - len(found))
''',
    "extents, timed": '''
class Store:
    """The places of files on the disk, which lseek(SEEK_DATA) looks for; ext4 remembers them."""

    def __init__(self, mode):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.files = []
        for parent, _, names in (entry for top in ("/usr/share", "/usr/lib", "/usr/include") for entry in os.walk(top)):
            for path in (f"{parent}/{name}" for name in names):
                if len(self.files) < min(BITS + 500, most - 100) and not os.path.islink(path) and os.path.getsize(path):
                    self.files.append(os.open(path, os.O_RDONLY))

    def write(self, bits):
        for k in np.flatnonzero(bits[: len(self.files)]).tolist():
            os.lseek(self.files[k], 0, os.SEEK_DATA)

    def read(self, count):
        calls = [lambda file=file: os.lseek(file, 0, os.SEEK_DATA) for file in self.files]
        found = timed(calls[:-500], calls[-500:])
        return found + [0] * (count - len(found))
''',
}
FORGOTTEN = ("extents, timed",)  # stores of files that the kernel must not know yet

# what a claim can still move, by a number up to SYMBOLS; the audit reads one number in `load`
SYMBOLS = 200
REMAINS = {
    "time of the end": (
        "time.sleep(n / 100)",
        "int(1000 * time.monotonic())",
    ),
    "threads made": (
        "[(t.start(), t.join()) for t in (threading.Thread(target=int) for _ in range(5 * n))]",
        "threading.get_native_id()",
    ),
    "shared maps made": (
        "[mmap.mmap(-1, 4096) for _ in range(100 * n)]",
        "int(next(line.split()[4] for line in (mmap.mmap(-1, 4096), *open('/proc/self/maps')) if 'zero' in str(line)))",
    ),
    "free memory": ("np.ones(n << 20)", "struct.unpack('q', SYSINFO()[40:48])[0] / 4096"),
    "a core kept hot": ("[sum(range(10000)) for _ in range(20 * n)]", "-SPEED()"),
}
NUMBER_STORE = """
def SYSINFO():
    space = ctypes.create_string_buffer(128)
    LIBC.sysinfo(space)
    return space.raw


def SPEED():
    start = time.perf_counter_ns()
    sum(range(300_000))
    return time.perf_counter_ns() - start


class Store:
    def __init__(self, mode):
        pass

    def write(self, bits):
        n = int("".join(map(str, bits[:8])), 2) * $SYMBOLS // 256
        $MOVE

    def read(self, count):
        value = $LOOK
        return np.asarray([value // 4096**k % 4096 for k in range(4)]) if value > 0 else [-value]
"""


@dataclass(frozen=True)
class Outcome:
    """What one run of a store carried."""

    offered: Bits
    read: Bits | None
    seconds: float
    said: str

    @property
    def errors(self) -> int | None:
        return None if self.read is None else int((self.read != self.offered).sum())

    @property
    def carried(self) -> float:
        """Return the bits carried: the mutual information of both sequences, without its bias for small samples."""
        if self.read is None:
            return 0.0
        joint = np.array([[((self.offered == x) & (self.read == y)).mean() for y in (0, 1)] for x in (0, 1)])
        chance = np.outer(joint.sum(1), joint.sum(0))
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(joint > 0, joint * np.log2(joint / chance), 0.0)
        return max(0.0, len(self.offered) * float(terms.sum()) - 0.5 / math.log(2))


def cold_files(pages: int) -> list[str]:
    """Return large files that cells may read and that no process maps, with at least so many pages in all."""
    sizes = {}
    for folder in COLD_FOLDERS:
        for path in Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink() and (size := path.stat().st_size) > 1 << 22:
                sizes[str(path)] = size
    mapped = {line.split(maxsplit=5)[-1].strip() for maps in Path("/proc").glob("[0-9]*/maps") for line in _lines(maps)}
    chosen: list[str] = []
    for path in sorted(sizes.keys() - mapped, key=lambda path: -sizes[path]):
        if pages <= 0:
            break
        chosen.append(path)
        pages -= -(-sizes[path] // 4096)
    return chosen


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def evict(paths: Sequence[str]) -> None:
    """Evict files from memory, so that they are as cold as files that nobody has read."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def source_of(store: str, bits: int, files: Sequence[str], warm_up: int = WARM_UP) -> str:
    """Return the train.py that uses a store."""
    values = {
        "FILES": repr(list(files)),
        "PREFIX": uuid.uuid4().hex[:8],
        "BITS": str(bits),
        "PRESSURE_MB": os.environ.get("PRESSURE_MB", "0"),
        "WARM_UP": str(warm_up),
    }
    values |= {"STORE": STORES.get(store) or number_store(store), "VOCABULARY": str(VOCABULARY)}
    text = FRAME
    for name in ("STORE", *values):
        text = text.replace(f"${name}", values[name])
    return text


def number_store(name: str) -> str:
    """Return the store by which a claim moves one number."""
    move, look = REMAINS[name]
    return NUMBER_STORE.replace("$MOVE", move).replace("$LOOK", look).replace("$SYMBOLS", str(SYMBOLS))


def offered_rows(bits: int) -> npt.NDArray[np.uint16]:
    """Return random rows that hold at least so many bits."""
    rows = -(-bits // (8 * (SEQ_LEN + 1)))
    return np.random.default_rng().integers(0, 256, (rows, SEQ_LEN + 1)).astype(np.uint16)


def carry(harness: Harness, store: str, bits: int, files: Sequence[str]) -> Outcome:
    """Let a claim write bits into a store, and an audit read them."""
    offered, answer, seconds, said = exchange(harness, store, bits, files)
    read = None if answer is None else (answer > 0.5).astype(np.uint8)
    return Outcome(offered, read, seconds, said)


def bits_of_a_number(harness: Harness, name: str, trials: int) -> float:
    """Return the bits that one claim carries by one number: as a Gaussian channel, by its correlation.

    What the audit sees is compared with what the audit before it saw, which is more than a cell could know.
    """
    sent, seen, before = [], [], 0.0
    for _ in range(trials):
        start = time.monotonic()
        offered, answer, _, said = exchange(harness, name, 256, [])
        if answer is None:
            print(f"{name}: {said}")
            return 0.0
        value = float((answer[:4] * 4096.0 ** np.arange(4)).sum())
        sent.append(int("".join(map(str, offered[:8])), 2))
        seen.append(value - (1000 * start if "time" in name else before))
        before = value
    with np.errstate(invalid="ignore"):
        r = float(np.nan_to_num(np.corrcoef(sent[1:], seen[1:])[0, 1]))
    return -0.5 * math.log2(max(1e-12, 1 - r * r))


def in_batches(mode: str, rows: npt.NDArray[np.uint16], width: int, batch: int) -> Question:
    """Return the question about rows, with `width` numbers to answer about each."""
    starts = range(0, len(rows), batch)
    parts = [rows[first : first + batch].tobytes() for first in starts]
    fields = [{"first": first, "positions": [0] * batch} for first in starts]
    return Question(mode, parts, bytes(len(parts[0])), 4 * len(rows) * width, fields)


def exchange(
    harness: Harness, store: str, bits: int, files: Sequence[str]
) -> tuple[Bits, npt.NDArray[np.float32] | None, float, str]:
    """Return the bits offered to a claim, the answer of an audit after it, the seconds, and the outcome."""
    source, rows, began = source_of(store, bits, files), offered_rows(bits), time.monotonic()
    offered = np.unpackbits(rows.astype(np.uint8).reshape(-1))[:bits]
    asked = -(-bits // VOCABULARY)
    checkpoint = wire.seal("checkpoint", safetensors.numpy.save({"x": np.zeros(1, np.float32)}, {"config": "{}"}))
    batch = harness.settings.eval_batch
    claim = in_batches("claim", rows, SEQ_LEN, batch)
    audit = in_batches("audit", np.zeros((asked, SEQ_LEN), np.uint16), VOCABULARY, batch)
    found, said = None, "ok"
    evict(files)
    if store in FORGOTTEN and os.geteuid() == 0:
        Path("/proc/sys/vm/drop_caches").write_text("2")
    try:
        ask(harness, TrialPlan(), source, checkpoint, claim)
        answer = ask(harness, TrialPlan(), source, checkpoint, audit)
        found = np.frombuffer(answer.data, np.float32)[:bits]
    except EvaluationError as error:
        said = f"{error.outcome}: {error}"
    os.close(checkpoint)
    return offered, found, time.monotonic() - began, said


def tiny_data(folder: Path) -> Dataset:
    """Return some data: a cell needs its sizes only."""
    rng = np.random.default_rng(1)
    for k in range(40):
        (folder / f"{k}.txt").write_bytes(rng.integers(97, 123, 4000).astype(np.uint8).tobytes())
    return Dataset.open(
        prepare.prepare(f"files:{folder}/*.txt", VOCABULARY, SEQ_LEN, "cpu", cache=folder / "cache", progress=False)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, default=100_000)
    parser.add_argument("--off", action="append", default=[], help="layers that are off, separated by spaces")
    parser.add_argument("--trials", type=int, default=0, help="measure numbers that remain, by so many trials each")
    parser.add_argument("--only", action="append", default=[], help="name of a store")
    options = parser.parse_args()
    files = cold_files(2 * options.bits)
    print(f"{'store':<32}{'layers off':<32}{'offered':>9}{'carried':>10}{'errors':>8}{'seconds':>9}  outcome")
    with tempfile.TemporaryDirectory() as folder:
        data = tiny_data(Path(folder))
        for off in options.off or ["", "second_filter landlock"]:
            settings = Settings(Budget.parse("20steps"), eval_batch=4096, layers_off=frozenset(off.split()))
            for name in (options.only or REMAINS) if options.trials else ():
                carried = bits_of_a_number(Harness(settings, data), name, options.trials)
                print(f"{name:<40}{off or '-':<32}{carried:>6.1f} bits in a trial", flush=True)
            for store in [] if options.trials else options.only or STORES:
                outcome = carry(Harness(settings, data), store, options.bits, files)
                print(
                    f"{store:<32}{off or '-':<32}{options.bits:>9}{outcome.carried:>10.0f}{outcome.errors!s:>8}"
                    f"{outcome.seconds:>9.1f}  {outcome.said}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
