"""What trials run on: the identity that must be equal for two of them to be compared, and the GPU's readings.

`identity` decides what may be compared. Readings such as GPU memory are the referee's own (NVML), never the
trial's word.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autoresearch import hardware
from autoresearch.errors import GOES_ON, UserError

SLACK = 512 * 2**20  # bytes that others on the card (a desktop) may come to use meanwhile
PATIENCE = 120.0  # s, for a driver to give memory back
LOOK = 0.5  # s

EVALUATOR = 1  # raised by hand when scores change meaning; a golden-score test guards it

# dense bf16 peak, TFLOP/s, by what the device calls itself (vendors' data sheets)
PEAK_TFLOPS = {
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "RTX 5090": 209.5,
    "RTX 4090": 165.2,
    "RTX 3090": 71.0,
}

# where a container's limit stands: cgroup version 2, version 1
CONTAINER_MEMORY = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def identity(device: str, gpu: str | None, data_hash: str) -> dict[str, Any]:
    """What two trials must have in common before their scores are compared."""
    return {
        "evaluator": EVALUATOR,
        "device": device,
        "gpu": gpu_name(gpu),
        "driver": driver(),
        "cpu": cpu_name(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "data": data_hash,
    }


def version(package: str) -> str | None:
    """The installed version of a package, without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu_name() -> str:
    """The processor's model name and the architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()} ({platform.machine()})"
    return platform.machine()


def torch_cuda() -> str | None:
    """The CUDA version that the installed torch was built for, read without importing it; None for a CPU build."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    with contextlib.suppress(OSError):
        text = Path(spec.origin).with_name("version.py").read_text()
        if found := re.search(r"""^cuda\b[^=\n]*=\s*['"]([\d.]+)['"]""", text, re.MULTILINE):
            return found[1]
    return None


def memory_bytes() -> int:
    """Memory that this machine, or the container that we are in, has."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in CONTAINER_MEMORY:
        with contextlib.suppress(OSError, ValueError):  # not in a container, or "max"
            return min(physical, int(limit.read_text()))
    return physical


def gpus() -> list[str]:
    """UUIDs of the NVIDIA cards that the driver shows; empty without one."""
    nvml = _nvml()
    if nvml is None:
        return []
    handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    return [_text(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]


def gpu_name(uuid: str | None) -> str | None:
    """What the card calls itself."""
    handle = _handle(uuid)
    return None if handle is None else _text(_nvml().nvmlDeviceGetName(handle))


def driver() -> str | None:
    """Version of the NVIDIA driver, if there is one."""
    nvml = _nvml()
    return None if nvml is None else _text(nvml.nvmlSystemGetDriverVersion())


def driver_cuda() -> str | None:
    """The newest CUDA version that the NVIDIA driver can serve, if there is one."""
    nvml = _nvml()
    if nvml is None:
        return None
    number = int(nvml.nvmlSystemGetCudaDriverVersion_v2())  # 12080 for 12.8
    return f"{number // 1000}.{number % 1000 // 10}"


def gpu_memory(uuid: str | None) -> tuple[int, int] | None:
    """Bytes of memory that a card has, and how many of them are in use now."""
    handle = _handle(uuid)
    if handle is None:
        return None
    found = _nvml().nvmlDeviceGetMemoryInfo(handle)
    return int(found.total), int(found.used)


def gpu_load(uuid: str | None) -> dict[str, float] | None:
    """What a card does now: `used_mb` and `total_mb` of its memory, `load` in percent of the time; None without one."""
    handle, nvml = _handle(uuid), _nvml()
    if handle is None:
        return None
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        load = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except nvml.NVMLError:  # a slice of a card does not say
        load = 0.0
    return {"used_mb": memory.used / 2**20, "total_mb": memory.total / 2**20, "load": load}


def peak_tflops(name: str | None) -> float | None:
    """Dense bf16 peak of a card by its name; None where it is not known."""
    return next((peak for part, peak in PEAK_TFLOPS.items() if name and part in name), None)


class GpuMeter:
    """Highest memory in use on a card, in MB, over the looks taken at it; None without a card.

    `conditions` are what else may change a trial's speed: the mean clock of the multiprocessors (MHz), the highest
    temperature (degrees Celsius), the most processes that computed on the card besides the trial's.
    """

    def __init__(self, uuid: str | None) -> None:
        self.handle = _handle(uuid)
        self.peak_mb: float | None = None
        self.conditions: dict[str, float] = {}
        self.looks = 0  # at the conditions

    def used_mb(self) -> float | None:
        """Memory in use now."""
        return None if self.handle is None else _nvml().nvmlDeviceGetMemoryInfo(self.handle).used / 2**20

    def read(self) -> None:
        """Take another reading into the peak."""
        used = self.used_mb()
        if used is not None:
            self.peak_mb = max(self.peak_mb or 0.0, used)
            if now := self._conditions():
                self._take_in(now)

    def _take_in(self, now: dict[str, float]) -> None:
        before, self.looks = self.conditions or now, self.looks + 1
        self.conditions = {name: max(before[name], value) for name, value in now.items()}
        self.conditions["sm_mhz"] = before["sm_mhz"] + (now["sm_mhz"] - before["sm_mhz"]) / self.looks

    def _conditions(self) -> dict[str, float]:
        nvml = _nvml()
        try:
            return {
                "sm_mhz": nvml.nvmlDeviceGetClockInfo(self.handle, nvml.NVML_CLOCK_SM),
                "temperature": nvml.nvmlDeviceGetTemperature(self.handle, nvml.NVML_TEMPERATURE_GPU),
                "other_processes": max(0, len(nvml.nvmlDeviceGetComputeRunningProcesses(self.handle)) - 1),
            }
        except nvml.NVMLError:  # some cards and containers do not tell
            return {}


def _handle(uuid: str | None) -> Any:
    nvml = _nvml()
    if uuid is None or nvml is None:
        return None
    try:
        return nvml.nvmlDeviceGetHandleByUUID(uuid)
    except nvml.NVMLError:
        return None


def _nvml() -> Any:
    """The NVML bindings, started; None where there is no driver or no binding."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class CardMemory:
    """`uuid` None: no card, nothing to wait for. `read` gives the bytes that it has and those in use, if it can be asked."""

    def __init__(
        self,
        uuid: str | None,
        read: Callable[[str | None], tuple[int, int] | None] = hardware.gpu_memory,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.uuid, self.read, self.sleep = uuid, read, sleep
        self.level: int | None = None  # bytes in use without a trial of ours

    def wait_until_clean(self) -> None:
        """Return when no more memory is in use than before the first trial. Raises UserError where that does not come."""
        waited = 0.0
        while (used := self._used()) is not None and self.level is not None and used > self.level + SLACK:
            if waited >= PATIENCE:
                raise UserError(
                    f"{used / 2**20:.0f} MB of the card's memory are in use without a trial, {self.level / 2**20:.0f} MB before the"
                    f" first one, for {PATIENCE:.0f} s: end what uses it (`nvidia-smi`), {GOES_ON}"
                )
            self.sleep(LOOK)
            waited += LOOK
        if used is not None:
            self.level = used if self.level is None else min(self.level, used)

    def _used(self) -> int | None:
        found = self.read(self.uuid) if self.uuid is not None else None
        return None if found is None else found[1]
