"""A card in a cell, with a driver that behaves like NVIDIA's: what works, and which layer is the culprit if not."""

import os
from pathlib import Path

import pytest
from support.cells import NO_NAMESPACES
from support.drivers import build_driver
from support.nvml import install_nvml, refuse

from autoresearch.data.dataset import Dataset
from autoresearch.errors import Blocker
from autoresearch.measure import card_probe
from autoresearch.measure.card_probe import find_culprit, probe_card
from autoresearch.sandbox import landlock, layers
from autoresearch.sandbox.launch import CellSpec
from autoresearch.setup import card
from autoresearch.setup.slots import Slot

SLOT = Slot("gpu-GPU-1", "cuda", gpu="GPU-1")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not landlock.version():
        pytest.skip("no Landlock here")
    folder = build_driver(tmp_path / "driver")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    return folder


@pytest.mark.parametrize("off", [frozenset[str](), NO_NAMESPACES])
def test_cuda_is_initialised_in_a_cell_with_all_layers(driver: Path, off: frozenset[str]) -> None:
    probe = probe_card(CellSpec([], gpu=True, off=off), "init")
    assert (probe.failed, probe.error) == (None, "")


def test_a_driver_that_is_not_there_is_the_step_that_fails() -> None:
    spec = CellSpec([], gpu=True)
    probe = probe_card(spec, "init")
    assert probe.failed == "libcuda" and "libcuda.so.1" in probe.error
    assert find_culprit(spec, "init") is None
    what, remedy = card.explain_failure(probe, spec, "init")
    assert "nor without its layers" in what and "--gpus all" in remedy


def test_a_driver_that_fails_everywhere_is_not_the_fault_of_a_layer(
    driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = CellSpec([], gpu=True, environment={"TEST_REFUSES": "all"})
    probe = probe_card(spec, "init")
    assert (probe.failed, probe.error) == ("cuInit", "error 100, CUDA_ERROR_NO_DEVICE")
    assert card.explain_failure(probe, spec, "init")[1].startswith("the driver fails without a sandbox too")


def test_the_filter_of_calls_is_named_if_it_refuses_what_the_driver_does(driver: Path) -> None:
    spec = CellSpec([], gpu=True, environment={"TEST_REFUSES": "accept"})
    probe = probe_card(spec, "init")
    assert (probe.failed, probe.error) == ("cuInit", "error 304, CUDA_ERROR_OPERATING_SYSTEM")
    assert find_culprit(spec, "init") == "seccomp"
    what, remedy = card.explain_failure(probe, spec, "init")
    assert what.endswith("without seccomp it does") and "system calls" in remedy


def test_hidden_files_are_named(driver: Path, tmp_path: Path) -> None:
    needed = tmp_path / "firmware"
    needed.touch()
    spec = CellSpec([], gpu=True, environment={"TEST_NEEDS": str(needed)})
    assert probe_card(spec, "init").failed == "cuInit"
    if os.geteuid() == 0 and layers.choose_uid([str(needed)], []) is None:
        assert find_culprit(spec, "init") == "landlock"


def test_a_session_does_not_start_with_a_card_that_does_not_work(driver: Path, bytes_data: Dataset) -> None:
    card.require_card(SLOT, bytes_data)
    card.require_card(Slot("cpu-0", "cpu"), bytes_data)
    (driver / "libcuda.so.1").unlink()
    with pytest.raises(Blocker, match="the card does not work in a cell"):
        card.require_card(SLOT, bytes_data)


@pytest.mark.torch
@pytest.mark.slow
def test_all_steps_are_run_and_kernels_say_why_they_do_not_work(driver: Path) -> None:
    probe = probe_card(CellSpec([], gpu=True), device="cpu")
    assert probe.failed is None, (probe, probe.log)
    assert probe.kernels["math sdpa"] is None and "flash_attn_interface" in (probe.kernels["fa3"] or "")
    assert probe.found["error_share"] < 0.02 and probe.total_memory is None


@pytest.mark.torch
@pytest.mark.slow
def test_a_torch_without_cuda_is_the_step_that_fails(driver: Path) -> None:
    probe = probe_card(CellSpec([], gpu=True))
    assert probe.failed == "torch" and probe.error


def test_the_memory_of_a_card_is_what_nvml_says_or_unknown_if_nobody_does(
    monkeypatch: pytest.MonkeyPatch, bytes_data: Dataset
) -> None:
    functions = install_nvml(monkeypatch)
    assert card.total_memory(SLOT, bytes_data) == 80 << 30
    functions["nvmlDeviceGetMemoryInfo"] = refuse
    assert card.total_memory(SLOT, bytes_data) is None  # there is no driver here that a cell could ask
    assert card.total_memory(Slot("cpu-0", "cpu"), bytes_data) is None


def test_what_the_steps_found_is_kept_up_to_the_one_that_ended_the_program() -> None:
    lines = (
        b'{"step": "torch"}\n{"capability": 90}\n{"step": "memory"}\n{"total": 5, "free": 3}\n{"step": "attention"}\n'
    )
    died = card_probe.summarise(lines + b'{"kern', True, 2.0, "")
    assert (died.failed, died.error) == ("attention", "the program ended without a word")
    assert died.total_memory == 5 and died.found["capability"] == 90
    assert card_probe.summarise(lines, False, 2.0, "").error == "it did not end in 2 s"
    assert card_probe.summarise(b"", True, 2.0, "").failed == "start"
