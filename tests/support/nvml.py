"""Bindings of NVML on a machine that has none: functions that answer, refuse, or are changed by a test."""

import sys
import types
from collections.abc import Callable

import pytest

NAMES = {"GPU-1": "NVIDIA H100 80GB HBM3", "GPU-2": "NVIDIA GeForce RTX 4090"}


class Refused(Exception):
    """The error that the bindings raise."""


def refuse(*_: object) -> object:
    raise Refused


def answer(value: object) -> Callable[..., object]:
    return lambda *_: value


def install_nvml(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Install bindings that show an H100, and a 4090 that CUDA would number otherwise; return their functions."""
    bindings = types.ModuleType("pynvml")
    vars(bindings).update(
        NVMLError=Refused,
        nvmlInit=answer(None),
        nvmlDeviceGetCount=answer(2),
        nvmlDeviceGetHandleByIndex=lambda index: f"GPU-{index + 1}",
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetUUID=lambda handle: handle,
        nvmlDeviceGetName=NAMES.get,
        nvmlDeviceGetMigMode=refuse,
        nvmlDeviceGetMemoryInfo=answer(types.SimpleNamespace(total=80 << 30, used=1 << 30)),
        nvmlSystemGetDriverVersion=answer(b"570.00"),
        nvmlSystemGetCudaDriverVersion_v2=answer(13000),
        nvmlDeviceGetComputeRunningProcesses=answer([]),
        nvmlDeviceGetClockInfo=answer(345),
        nvmlDeviceGetMaxClockInfo=answer(1980),
        nvmlDeviceGetTemperature=answer(41),
        nvmlDeviceGetPersistenceMode=answer(1),
    )
    monkeypatch.setitem(sys.modules, "pynvml", bindings)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    return vars(bindings)
