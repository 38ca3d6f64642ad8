"""Which cards a program may use: by CUDA_VISIBLE_DEVICES, by slices, and where NVML answers nothing."""

import sys
from pathlib import Path

import pytest
from support.nvml import answer, install_nvml, refuse

from autoresearch import config as configuration
from autoresearch import hardware
from autoresearch.doctor import project_checks
from autoresearch.errors import Blocker, UsageError
from autoresearch.hardware import CardMemory, GpuMeter, VisibleCard, visible_cards
from autoresearch.setup import project, slots

CARDS = [VisibleCard("GPU-aa11"), VisibleCard("GPU-aa22"), VisibleCard("GPU-bb33")]
SLICES = [VisibleCard("MIG-11", "GPU-aa11"), VisibleCard("MIG-12", "GPU-aa11"), VisibleCard("GPU-bb33")]
OLD_SLICES = [VisibleCard("MIG-GPU-aa11/1/0", "GPU-aa11"), VisibleCard("MIG-GPU-aa11/2/0", "GPU-aa11")]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setattr(slots, "torch_problem", answer(None))
    return install_nvml(monkeypatch)


@pytest.mark.parametrize(
    ("setting", "visible"),
    [
        (None, ["GPU-aa11", "GPU-aa22", "GPU-bb33"]),
        ("2", ["GPU-bb33"]),
        ("2, 0", ["GPU-bb33", "GPU-aa11"]),
        ("GPU-bb33", ["GPU-bb33"]),
        ("GPU-b", ["GPU-bb33"]),
        ("GPU-aa22,0", ["GPU-aa22", "GPU-aa11"]),
        ("GPU-aa", []),  # two begin so
        ("0,3,1", ["GPU-aa11"]),
        ("1,-1,0", ["GPU-aa22"]),
        ("1,1", ["GPU-aa22"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("all", []),
        ("MIG-11", []),
    ],
)
def test_a_setting_names_cards_by_number_uuid_and_its_beginning(setting: str | None, visible: list[str]) -> None:
    assert visible_cards(CARDS, setting) == visible


@pytest.mark.parametrize(
    ("cards", "setting", "visible"),
    [
        (SLICES, "MIG-12", ["MIG-12"]),
        (SLICES, "1", ["MIG-12"]),
        (SLICES, "GPU-aa11", ["MIG-11"]),
        (SLICES, "GPU-bb33", ["GPU-bb33"]),
        (OLD_SLICES, "MIG-GPU-aa11/2/0", ["MIG-GPU-aa11/2/0"]),
    ],
)
def test_slices_of_a_card_are_cards(cards: list[VisibleCard], setting: str, visible: list[str]) -> None:
    assert visible_cards(cards, setting) == visible


def test_a_card_that_is_cut_shows_its_slices(nvml: dict[str, object]) -> None:
    nvml["nvmlDeviceGetMigMode"] = lambda handle: (int(handle == "GPU-1"), 1)
    nvml["nvmlDeviceGetMaxMigDeviceCount"] = answer(7)
    slices = {0: "MIG-11", 2: "MIG-12"}
    nvml["nvmlDeviceGetMigDeviceHandleByIndex"] = lambda handle, number: slices[number]
    assert hardware.gpus() == ["MIG-11", "MIG-12", "GPU-2"]


def test_a_trial_gets_the_card_that_the_user_was_given(
    nvml: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2")
    assert hardware.gpus() == ["GPU-2"]
    assert slots.choose()[0].gpu == "GPU-2"


def test_numbers_of_cards_that_differ_are_not_guessed(nvml: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(Blocker, match=r"CUDA_VISIBLE_DEVICES=1 may mean another card.*PCI_BUS_ID"):
        slots.choose()
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert slots.choose()[0].gpu == "GPU-2"
    monkeypatch.delenv("CUDA_DEVICE_ORDER")
    nvml["nvmlDeviceGetName"] = answer("NVIDIA H100 80GB HBM3")
    assert slots.choose()[0].gpu == "GPU-2"


def test_no_card_is_left(nvml: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert slots.choose("auto")[0].device == "cpu"
    with pytest.raises(Blocker, match=r"no NVIDIA card is visible here \(CUDA_VISIBLE_DEVICES is ''\)"):
        slots.choose("cuda")


INFORMATION = """\
Model: \t\t NVIDIA H100 80GB HBM3
IRQ:   \t\t 56
GPU UUID: \t GPU-1
"""
VERSION = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version: 12.3.0\n"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpus" / "0000:00:05.0").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:00:05.0" / "information").write_text(INFORMATION)
    (tmp_path / "version").write_text(VERSION)
    monkeypatch.setattr(hardware, "KERNEL_CARDS", tmp_path / "gpus")
    monkeypatch.setattr(hardware, "DRIVER_VERSION", tmp_path / "version")


def test_where_nvml_refuses_everything_the_kernel_tells_the_card(nvml: dict[str, object], kernel: None) -> None:
    for name in [name for name in nvml if name.startswith("nvml")]:
        nvml[name] = refuse
    check_card_of_the_kernel()
    nvml["nvmlInit"] = answer(None)
    check_card_of_the_kernel()


def test_without_bindings_the_kernel_tells_the_card(kernel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    check_card_of_the_kernel()


def check_card_of_the_kernel() -> None:
    assert hardware.gpus() == ["GPU-1"]
    assert (hardware.gpu_name("GPU-1"), hardware.driver()) == ("NVIDIA H100 80GB HBM3", "580.65.06")
    assert hardware.identity("cuda", "GPU-1", "data")["gpu"] == "NVIDIA H100 80GB HBM3"
    assert hardware.driver_cuda() is None
    assert hardware.gpu_memory("GPU-1") is hardware.gpu_load("GPU-1") is None
    assert hardware.gpu_state("GPU-1") == {}
    meter = GpuMeter("GPU-1")
    meter.read()
    assert (meter.peak_mb, meter.conditions) == (None, {})
    CardMemory("GPU-1").wait_until_clean()


@pytest.mark.parametrize("function", ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetName", "nvmlSystemGetDriverVersion"])
def test_one_function_that_refuses_costs_its_answer_only(nvml: dict[str, object], function: str) -> None:
    nvml[function] = refuse
    assert hardware.gpus() == ["GPU-1", "GPU-2"]
    known = [hardware.gpu_memory("GPU-1"), hardware.gpu_name("GPU-1"), hardware.driver()]
    assert known.count(None) == 1
    assert hardware.driver_cuda() == "13.0"


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_somebody_chooses_the_text_of_a_card(device: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AUTORESEARCH_SOURCE", raising=False)
    unset = configuration.load(tmp_path, {})
    if device == "cuda":
        with pytest.raises(UsageError, match=r"choose a text for the card.*AUTORESEARCH_SOURCE.*climbmix"):
            project.require_source(unset, device)
        check = project_checks.check_data(unset, device)[1]
        assert check.level == "blocker" and "climbmix" in check.remedy
    else:
        project.require_source(unset, device)
    monkeypatch.setenv("AUTORESEARCH_SOURCE", "sotu")
    project.require_source(configuration.load(tmp_path, {}), device)
    project.require_source(configuration.load(tmp_path, {"source": "files:texts"}), device)
