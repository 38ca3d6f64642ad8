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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from autoresearch.errors import MachineError

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

BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")  # Intel and AMD, the last one ARM

CLOCK_SM, TEMPERATURE_GPU = 1, 0  # NVML_CLOCK_SM, NVML_TEMPERATURE_GPU
VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
KERNEL_CARDS = Path("/proc/driver/nvidia/gpus")
DRIVER_VERSION = Path("/proc/driver/nvidia/version")

# cgroup version 2, version 1
CONTAINER_MEMORY = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

OpenCard = tuple[ModuleType, object]  # the bindings of NVML, and their handle of a card


@dataclass(frozen=True)
class VisibleCard:
    """A card, or a slice (MIG) of the card `parent`."""

    uuid: str
    parent: str = "-"


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


def bfloat16_units(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Return the processor's instructions for bfloat16 by their names in /proc/cpuinfo; none if it has none."""
    with contextlib.suppress(OSError):
        for line in cpuinfo.read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return [name for name in BFLOAT16 if name in line.split()]
    return []


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
    """Return the UUIDs of the NVIDIA cards, or of slices of them, that CUDA_VISIBLE_DEVICES leaves to this program."""
    return visible_cards(_cards(), os.environ.get(VISIBLE_DEVICES))


def visible_cards(cards: Sequence[VisibleCard], setting: str | None) -> list[str]:
    """Return the cards that the setting names by number, UUID or its beginning, in its order, as CUDA reads it.

    A word that names no card, or one for the second time, ends the list. A card that is cut into slices names its
    first slice. None means all.
    """
    if setting is None:
        return [card.uuid for card in cards]
    chosen: list[str] = []
    for word in map(str.strip, setting.split(",")):
        named = _find_card(cards, word)
        if named is None or named in chosen:
            break
        chosen.append(named)
    return chosen


def _find_card(cards: Sequence[VisibleCard], word: str) -> str | None:
    if word.isdecimal():
        return cards[int(word)].uuid if int(word) < len(cards) else None
    if not word.startswith(("GPU-", "MIG-")):
        return None
    found = [card for card in cards if card.uuid.startswith(word)]
    if found:
        return found[0].uuid if len(found) == 1 else None
    return next((card.uuid for card in cards if card.parent.startswith(word)), None)


def ambiguous_numbers() -> str | None:
    """Return the setting of CUDA_VISIBLE_DEVICES if its numbers may mean other cards for CUDA than for the driver.

    By default CUDA numbers the fastest card first, the driver by place on the bus.
    """
    setting = os.environ.get(VISIBLE_DEVICES, "")
    has_number = any(word.strip().isdecimal() for word in setting.split(","))
    if not has_number or os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return None
    return setting if len({gpu_name(card.uuid) for card in _cards()}) > 1 else None


def gpu_name(uuid: str | None) -> str | None:
    if uuid is None:
        return None
    card = _open_card(uuid)
    name = None if card is None else _ask(card[0], "nvmlDeviceGetName", card[1])
    return _decode(name) if name is not None else _kernel_cards().get(uuid)


def driver() -> str | None:
    """Return the version of the NVIDIA driver, if there is one."""
    if (nvml := _nvml()) is not None and (version := _ask(nvml, "nvmlSystemGetDriverVersion")) is not None:
        return _decode(version)
    with contextlib.suppress(OSError):
        if match := re.search(r"Kernel Module\b.*?\s(\d+(?:\.\d+)+)\s", DRIVER_VERSION.read_text()):
            return match[1]
    return None


def driver_cuda() -> str | None:
    """Return the newest CUDA version that the NVIDIA driver supports, if it is known."""
    if (nvml := _nvml()) is None or (number := _ask(nvml, "nvmlSystemGetCudaDriverVersion_v2")) is None:
        return None
    return f"{number // 1000}.{number % 1000 // 10}"  # 12080 for 12.8


def gpu_memory(uuid: str | None) -> tuple[int, int] | None:
    """Return the memory of a card and how much of it is in use now, in bytes; None if NVML does not know it."""
    return _read_memory(_open_card(uuid))


def gpu_load(uuid: str | None) -> dict[str, float] | None:
    """Return `used_mb` and `total_mb` of a card's memory, and `load` in percent; None if they are not known."""
    card = _open_card(uuid)
    memory = _read_memory(card)
    if card is None or memory is None:
        return None
    rates = _ask(card[0], "nvmlDeviceGetUtilizationRates", card[1])
    return {
        "used_mb": memory[1] / 2**20,
        "total_mb": memory[0] / 2**20,
        "load": 0.0 if rates is None else float(rates.gpu),
    }


def gpu_state(uuid: str | None) -> dict[str, float]:
    """Return what is known of a card now.

    `sm_mhz` and `max_sm_mhz`: clock of the multiprocessors; `processes` that compute; `persistence` is 0 if the driver
    forgets the card between programs; `temperature` in degrees Celsius.
    """
    return _read_state(_open_card(uuid))


def _read_memory(card: OpenCard | None) -> tuple[int, int] | None:
    if card is None or (memory := _ask(card[0], "nvmlDeviceGetMemoryInfo", card[1])) is None:
        return None
    return int(memory.total), int(memory.used)


def _read_state(card: OpenCard | None) -> dict[str, float]:
    if card is None:
        return {}
    nvml, handle = card
    processes = _ask(nvml, "nvmlDeviceGetComputeRunningProcesses", handle)
    known = {
        "sm_mhz": _ask(nvml, "nvmlDeviceGetClockInfo", handle, CLOCK_SM),
        "max_sm_mhz": _ask(nvml, "nvmlDeviceGetMaxClockInfo", handle, CLOCK_SM),
        "temperature": _ask(nvml, "nvmlDeviceGetTemperature", handle, TEMPERATURE_GPU),
        "persistence": _ask(nvml, "nvmlDeviceGetPersistenceMode", handle),
        "processes": None if processes is None else len(processes),
    }
    return {name: float(value) for name, value in known.items() if value is not None}


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
        memory = _read_memory(self.card)
        return None if memory is None else memory[1] / 2**20

    def read(self) -> None:
        used = self.used_mb()
        if used is not None:
            self.peak_mb = max(self.peak_mb or 0.0, used)
        self._read_conditions()

    def _read_conditions(self) -> None:
        state = _read_state(self.card)
        now: dict[str, float] = {name: state[name] for name in ("sm_mhz", "temperature") if name in state}
        if "processes" in state:
            now["other_processes"] = max(0.0, state["processes"] - 1)
        if not now:
            return
        before, self.readings = self.conditions or now, self.readings + 1
        self.conditions = {name: max(before.get(name, value), value) for name, value in now.items()}
        if "sm_mhz" in now:
            mean = before.get("sm_mhz", now["sm_mhz"])
            self.conditions["sm_mhz"] = mean + (now["sm_mhz"] - mean) / self.readings


def _cards() -> list[VisibleCard]:
    """Return the cards that NVML shows, a card that is cut into slices as its slices; else those of the kernel."""
    nvml = _nvml()
    count = _ask(nvml, "nvmlDeviceGetCount") if nvml is not None else None
    cards = [card for index in range(count or 0) for card in _slices_or_card(nvml, index)]
    return cards or [VisibleCard(uuid) for uuid in _kernel_cards()]


def _slices_or_card(nvml: ModuleType | None, index: int) -> list[VisibleCard]:
    handle = _ask(nvml, "nvmlDeviceGetHandleByIndex", index)
    uuid = None if handle is None else _ask(nvml, "nvmlDeviceGetUUID", handle)
    if uuid is None:
        return []
    parent, mode = _decode(uuid), _ask(nvml, "nvmlDeviceGetMigMode", handle)
    if mode is None or not mode[0]:
        return [VisibleCard(parent)]
    handles = [
        _ask(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, number)
        for number in range(_ask(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle) or 0)
    ]
    slices = [_ask(nvml, "nvmlDeviceGetUUID", each) for each in handles if each is not None]
    return [VisibleCard(_decode(each), parent) for each in slices if each is not None]


def _kernel_cards() -> dict[str, str]:
    """Return the names of cards by UUID, as the kernel's driver tells: a container may have no NVML."""
    cards = {}
    for path in sorted(KERNEL_CARDS.glob("*/information")):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            uuid = fields.get("GPU UUID", "").strip()
            if uuid.startswith("GPU-") and "?" not in uuid:
                cards[uuid] = fields.get("Model", "").strip()
    return cards


def _open_card(uuid: str | None) -> OpenCard | None:
    """Return the NVML bindings and their handle of a card; None if there is no such card."""
    if uuid is None or (nvml := _nvml()) is None:
        return None
    handle = _ask(nvml, "nvmlDeviceGetHandleByUUID", uuid)
    return None if handle is None else (nvml, handle)


def _nvml() -> ModuleType | None:
    """Return the initialised NVML bindings; None without a driver or bindings."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # the bindings are missing or broken, or the driver does not answer them
        return None
    return nvml


def _ask(nvml: ModuleType | None, function: str, *arguments: object) -> Any:
    """Return what NVML answers; None if it refuses, as it does on some cards, on slices, and in some containers."""
    try:
        return getattr(nvml, function)(*arguments)
    except Exception:  # errors of the driver; functions that older bindings lack, and what they cannot decode
        return None


def _decode(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


Waiting = contextlib.AbstractContextManager[None]


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

    def wait_until_clean(self, while_waiting: Callable[[], Waiting] = contextlib.nullcontext) -> None:
        """Wait until no more memory is in use than before the first trial; each pause is within a `while_waiting`.

        Raises MachineError on a timeout.
        """
        waited_s = 0.0
        while (memory := self.read(self.uuid)) is not None and self.idle_bytes is not None:
            used = memory[1]
            if used <= self.idle_bytes + SLACK_BYTES:
                break
            if waited_s >= CLEAN_TIMEOUT_S:
                now, before = f"{used / 2**20:.0f} MB", f"{self.idle_bytes / 2**20:.0f} MB"
                raise MachineError(
                    f"{now} of the card's memory are in use without a trial, {before} before the first one, for"
                    f" {CLEAN_TIMEOUT_S:.0f} s: end what uses it (`nvidia-smi`)"
                )
            with while_waiting():
                self.sleep(POLL_S)
            waited_s += POLL_S
        if memory is not None:
            self.idle_bytes = memory[1] if self.idle_bytes is None else min(self.idle_bytes, memory[1])
