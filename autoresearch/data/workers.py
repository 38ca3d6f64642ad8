"""Messages on stderr (bars on a terminal, else lines), and work on all cores."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from autoresearch.errors import UserError

PARALLEL_BYTES = 32 << 20  # of text, from which on all cores are used

Job = TypeVar("Job")
Value = TypeVar("Value")


def say(text: str, progress: bool) -> None:
    if progress:
        print(text, file=sys.stderr, flush=True)


def track(items: Iterable[Value], label: str, total: int, progress: bool) -> Iterator[Value]:
    """Yield `items` and show how many of `total` are done."""
    if not (progress and sys.stderr.isatty()):
        say(label, progress)
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars:
        yield from bars.track(items, total=total, description=label)


def spread(function: Callable[[Job], Value], jobs: Iterable[Job], size: int) -> Iterator[Value]:
    """Yield function(job) for all jobs in order; on all cores from PARALLEL_BYTES (`size`) on."""
    if size < PARALLEL_BYTES:
        yield from map(function, jobs)
        return
    context = multiprocessing.get_context("spawn")  # not fork: the caller may have threads
    pool = ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=context, initializer=_follow_parent)
    try:
        yield from pool.map(function, jobs)
    except BrokenProcessPool:
        raise UserError("a worker was killed, probably for lack of memory: use fewer files") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Make a worker ignore Ctrl-C, which the parent handles, and die with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
