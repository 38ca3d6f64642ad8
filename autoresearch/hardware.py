"""Hardware that trials run on: its identity, and the readings of the GPU.

Two scores are compared only if their `identity` is equal. Readings such as GPU memory come from NVML, never from the
trial itself.
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
from types import ModuleType
from typing import Any

from autoresearch.errors import RESUME_HINT, UserError

SLACK_BYTES = 512 * 2**20  # that other programs on the card (a desktop) may take meanwhile
CLEAN_TIMEOUT_S = 120.0  # for a driver to free memory
POLL_S = 0.5

EVALUATOR = 2  # raised by hand when scores change meaning; a golden-score test guards it

# dense bf16 peak by part of the device name (vendors' data sheets)
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

# cgroup version 2, version 1
CONTAINER_MEMORY = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def identity(device: str, gpu: str | None, data_hash: str) -> dict[str, Any]:
    """Return what two trials must have in common before their scores are compared."""
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
    """Return the installed version of a package, without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu_name() -> str:
    """Return the processor's model name and architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()} ({platform.machine()})"
    return platform.machine()


def torch_cuda() -> str | None:
    """Return the CUDA version of the installed torch, without importing it; None for a CPU build."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    with contextlib.suppress(OSError):
        text = Path(spec.origin).with_name("version.py").read_text()
        if match := re.search(r"""^cuda\b[^=\n]*=\s*['"]([\d.]+)['"]""", text, re.MULTILINE):
            return match[1]
    return None


def memory_bytes() -> int:
    """Return the memory of this machine, or of the container around us."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in CONTAINER_MEMORY:
        with contextlib.suppress(OSError, ValueError):  # not in a container, or "max"
            return min(physical, int(limit.read_text()))
    return physical


def gpus() -> list[str]:
    """Return the UUIDs of the NVIDIA cards that the driver shows."""
    if (nvml := _nvml()) is None:
        return []
    handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    return [_decode(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]


def gpu_name(uuid: str | None) -> str | None:
    card = _open_card(uuid)
    return None if card is None else _decode(card[0].nvmlDeviceGetName(card[1]))


def driver() -> str | None:
    """Return the version of the NVIDIA driver, if there is one."""
    nvml = _nvml()
    return None if nvml is None else _decode(nvml.nvmlSystemGetDriverVersion())


def driver_cuda() -> str | None:
    """Return the newest CUDA version that the NVIDIA driver supports, if there is one."""
    if (nvml := _nvml()) is None:
        return None
    number = int(nvml.nvmlSystemGetCudaDriverVersion_v2())  # 12080 for 12.8
    return f"{number // 1000}.{number % 1000 // 10}"


def gpu_memory(uuid: str | None) -> tuple[int, int] | None:
    """Return the memory of a card and how much of it is in use now, in bytes; None without a card."""
    if (card := _open_card(uuid)) is None:
        return None
    nvml, handle = card
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return int(memory.total), int(memory.used)


def gpu_load(uuid: str | None) -> dict[str, float] | None:
    """Return `used_mb` and `total_mb` of a card's memory, and `load` in percent; None without a card."""
    if (card := _open_card(uuid)) is None:
        return None
    nvml, handle = card
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    load = 0.0
    with contextlib.suppress(nvml.NVMLError):  # not available on a slice of a card
        load = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return {"used_mb": memory.used / 2**20, "total_mb": memory.total / 2**20, "load": load}


def peak_tflops(name: str | None) -> float | None:
    """Return the dense bf16 peak of a card by its name; None if it is unknown."""
    return next((peak for part, peak in PEAK_TFLOPS.items() if name and part in name), None)


class GpuMeter:
    """Read a card repeatedly; `peak_mb` is the highest memory in use, None without a card.

    `conditions` may change a trial's speed: the mean clock of the multiprocessors (MHz), the highest temperature
    (degrees Celsius), and the most processes that computed on the card besides the trial.
    """

    def __init__(self, uuid: str | None) -> None:
        self.card = _open_card(uuid)
        self.peak_mb: float | None = None
        self.conditions: dict[str, float] = {}
        self.readings = 0  # of the conditions

    def used_mb(self) -> float | None:
        if self.card is None:
            return None
        nvml, handle = self.card
        return float(nvml.nvmlDeviceGetMemoryInfo(handle).used / 2**20)

    def read(self) -> None:
        used = self.used_mb()
        if used is not None:
            self.peak_mb = max(self.peak_mb or 0.0, used)
            self._read_conditions()

    def _read_conditions(self) -> None:
        assert self.card is not None
        nvml, handle = self.card
        try:
            now = {
                "sm_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
                "temperature": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
                "other_processes": max(0, len(nvml.nvmlDeviceGetComputeRunningProcesses(handle)) - 1),
            }
        except nvml.NVMLError:  # not available on some cards and in some containers
            return
        before, self.readings = self.conditions or now, self.readings + 1
        self.conditions = {name: max(before[name], value) for name, value in now.items()}
        self.conditions["sm_mhz"] = before["sm_mhz"] + (now["sm_mhz"] - before["sm_mhz"]) / self.readings


def _open_card(uuid: str | None) -> tuple[ModuleType, object] | None:
    """Return the NVML bindings and their handle of a card; None if there is no such card."""
    if uuid is not None and (nvml := _nvml()) is not None:
        with contextlib.suppress(nvml.NVMLError):
            return nvml, nvml.nvmlDeviceGetHandleByUUID(uuid)
    return None


def _nvml() -> ModuleType | None:
    """Return the initialised NVML bindings; None without a driver or bindings."""
    with contextlib.suppress(ImportError):
        nvml = importlib.import_module("pynvml")
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlInit()
            return nvml
    return None


def _decode(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class CardMemory:
    """Check that a card is free between trials; `uuid` None means no card, `read` is `gpu_memory`."""

    def __init__(
        self,
        uuid: str | None,
        read: Callable[[str | None], tuple[int, int] | None] = gpu_memory,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.uuid, self.read, self.sleep = uuid, read, sleep
        self.idle_bytes: int | None = None  # in use without a trial of ours

    def wait_until_clean(self) -> None:
        """Wait until no more memory is in use than before the first trial. Raises UserError on a timeout."""
        waited_s = 0.0
        while (memory := self.read(self.uuid)) is not None and self.idle_bytes is not None:
            used = memory[1]
            if used <= self.idle_bytes + SLACK_BYTES:
                break
            if waited_s >= CLEAN_TIMEOUT_S:
                now, before = f"{used / 2**20:.0f} MB", f"{self.idle_bytes / 2**20:.0f} MB"
                raise UserError(
                    f"{now} of the card's memory are in use without a trial, {before} before the first one, for"
                    f" {CLEAN_TIMEOUT_S:.0f} s: end what uses it (`nvidia-smi`), {RESUME_HINT}"
                )
            self.sleep(POLL_S)
            waited_s += POLL_S
        if memory is not None:
            self.idle_bytes = memory[1] if self.idle_bytes is None else min(self.idle_bytes, memory[1])
