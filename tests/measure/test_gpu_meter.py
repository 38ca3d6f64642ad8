"""Readings of a card while a trial runs on it, with a fake NVML."""

import sys
import types

import pytest

from autoresearch.hardware import GpuMeter

LOOKS = [(1900, 50, 1, 10), (1800, 70, 2, 30), (2000, 60, 1, 20)]  # MHz, degrees, processes, memory in MB


class Refused(Exception):
    """The error that the bindings raise."""


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Make a card that shows the next of `LOOKS` whenever its memory is read."""
    nvml, shown = types.ModuleType("pynvml"), iter(LOOKS)
    now = [LOOKS[0]]

    def memory(handle: str) -> types.SimpleNamespace:
        now[0] = next(shown)
        return types.SimpleNamespace(total=80 << 30, used=now[0][3] * 2**20)

    vars(nvml).update(
        NVMLError=Refused,
        NVML_CLOCK_SM=1,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: "handle",
        nvmlDeviceGetMemoryInfo=memory,
        nvmlDeviceGetClockInfo=lambda handle, kind: now[0][0],
        nvmlDeviceGetTemperature=lambda handle, kind: now[0][1],
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [None] * now[0][2],
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml


def watched() -> GpuMeter:
    meter = GpuMeter("GPU-1")
    for _ in LOOKS:
        meter.read()
    return meter


def test_conditions_are_those_of_the_whole_trial_and_not_of_its_end(card: types.ModuleType) -> None:
    meter = watched()
    assert meter.conditions == {"sm_mhz": pytest.approx(1900), "temperature": 70, "other_processes": 1}
    assert meter.peak_mb == 30


def refuse(*_: object) -> int:
    raise Refused


def test_what_a_card_does_not_tell_is_left_out(card: types.ModuleType) -> None:
    vars(card)["nvmlDeviceGetClockInfo"] = refuse
    assert watched().conditions == {"temperature": 70, "other_processes": 1}


def test_a_card_that_does_not_tell_its_memory_has_conditions(card: types.ModuleType) -> None:
    vars(card)["nvmlDeviceGetMemoryInfo"] = refuse
    meter = watched()
    assert meter.peak_mb is None and set(meter.conditions) == {"sm_mhz", "temperature", "other_processes"}


def test_without_a_card_there_is_nothing_to_read() -> None:
    meter = GpuMeter(None)
    meter.read()
    assert (meter.peak_mb, meter.conditions) == (None, {})
