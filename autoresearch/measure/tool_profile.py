"""Where the time of a training loop goes, inside a cell: by its own calls, by function (numpy), by operator (torch)."""

import importlib
import sys
import time
from types import CodeType, FrameType, ModuleType

Row = tuple[str, float, int]  # name, seconds, calls

HOOKS = ("batches", "progress", "log", "save")  # of the trial, called by the loop


class LoopParts:
    """Time the calls that one frame makes itself, by the name of what it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.whole = 0.0
        self._loop: FrameType | None = None
        self._entered = self._began = 0.0

    def start(self, loop: FrameType) -> None:
        """Begin to time the calls of a frame."""
        self._loop, self._began = loop, time.perf_counter()
        sys.setprofile(self._handle)

    def end(self) -> None:
        sys.setprofile(None)
        if self._loop is not None:
            self.whole, self._loop = time.perf_counter() - self._began, None

    def shares(self) -> dict[str, float]:
        """Return the share of each name; empty if nothing was timed."""
        return {name: spent / self.whole for name, spent in self.seconds.items()} if self.whole else {}

    def _handle(self, frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "return"):
            if frame.f_back is self._loop:
                self._note(_name(frame.f_code), event == "call")
        elif frame is self._loop and getattr(arg, "__name__", "") != "next":  # a generator is called itself
            self._note(str(getattr(arg, "__qualname__", "a built-in")), event == "c_call")

    def _note(self, name: str, begins: bool) -> None:
        now = time.perf_counter()
        if begins:
            self._entered = now
        elif self._entered:
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._entered
            self._entered = 0.0


class Functions:
    """Profile the functions of a numpy program, by the time in each without what it calls."""

    unit = "function"

    def __init__(self) -> None:
        self._profiler = importlib.import_module("_lsprof").Profiler()

    def start(self) -> None:
        self._profiler.enable(subcalls=False)

    def end(self) -> list[Row]:
        self._profiler.disable()
        return [_function_row(entry) for entry in self._profiler.getstats()]


class Operators:
    """Profile the operators of torch, by the time of each on the CPU without what it calls."""

    unit = "operator"

    def __init__(self, torch: ModuleType) -> None:
        tools = importlib.import_module("torch.profiler")
        self._profiler = tools.profile(activities=[tools.ProfilerActivity.CPU])
        self._runs = False

    def start(self) -> None:
        self._profiler.start()
        self._runs = True

    def end(self) -> list[Row]:
        if not self._runs:
            return []
        self._profiler.stop()
        return [(each.key, each.self_cpu_time_total / 1e6, each.count) for each in self._profiler.key_averages()]


def _function_row(entry: object) -> Row:
    code = entry.code  # type: ignore[attr-defined]
    name = _name(code) if isinstance(code, CodeType) else str(code).strip("<>").removeprefix("built-in method ")
    return name, entry.inlinetime, entry.callcount  # type: ignore[attr-defined]


def _name(code: CodeType) -> str:
    """Return the name of a function as its author knows it."""
    name = code.co_qualname.rpartition("<locals>.")[2]
    hook = name.rpartition("ToolContext.")[2]
    return f"trial.{hook}" if hook in HOOKS and hook != name else name
