"""Findings of doctor about a card that does not exist: in a cell, its state, its kernels, its speed."""

import json
from pathlib import Path

import pytest
from support.drivers import build_driver
from support.nvml import answer, install_nvml, refuse

from autoresearch import hardware
from autoresearch.doctor import card_checks
from autoresearch.ledger import Ledger
from autoresearch.measure.card_probe import CardProbe
from autoresearch.measure.clock import Budget
from autoresearch.setup import forecast, slots
from autoresearch.setup.plan import Card
from autoresearch.setup.slots import Slot

SLOT = Slot("gpu-GPU-1", "cuda", gpu="GPU-1")
BUDGET = Budget.parse("5m")
H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    return install_nvml(monkeypatch)


def test_a_free_card_that_is_kept_awake(nvml: dict[str, object]) -> None:
    check = card_checks.check_state(SLOT)
    assert check.level == "ok"
    assert check.text == "0 other programs compute on it, persistence mode on, clock 345 of 1980 MHz, 41 degrees"


@pytest.mark.parametrize(
    ("function", "value", "words"),
    [
        ("nvmlDeviceGetComputeRunningProcesses", ["one", "two"], "end the other programs"),
        ("nvmlDeviceGetPersistenceMode", 0, "nvidia-smi -pm 1"),
    ],
)
def test_what_takes_speed_from_trials_has_a_remedy(
    nvml: dict[str, object], function: str, value: object, words: str
) -> None:
    nvml[function] = answer(value)
    check = card_checks.check_state(SLOT)
    assert check.level == "warn" and words in check.remedy


def test_a_card_that_tells_nothing_is_no_error(nvml: dict[str, object]) -> None:
    for name in [name for name in nvml if name.startswith("nvml")]:
        nvml[name] = refuse
    assert card_checks.check_state(SLOT).text == "not known to NVML here"


def test_a_card_that_does_not_work_in_a_cell_stops_a_session() -> None:
    probe, check = card_checks.check_in_cell(SLOT, None)
    assert probe is not None and probe.failed == "libcuda"
    assert check.level == "blocker" and "nor without its layers" in check.text and "--gpus all" in check.remedy


@pytest.mark.torch
@pytest.mark.slow
def test_a_matrix_product_in_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(build_driver(tmp_path)))
    probe, check = card_checks.check_in_cell(SLOT, None, device="cpu")
    assert check.level == "ok" and check.text.startswith("cuInit and a matrix product in ")
    assert probe is not None and "math sdpa" in card_checks.check_attention(probe).text


def kernels(*running: str, capability: int) -> CardProbe:
    names = ("fa3", "fa4", "varlen", "cudnn")
    faults = {name: None if name in running else f"No module named {name}" for name in names}
    return CardProbe(None, "", 1.0, found={"kernels": faults, "capability": capability})


def test_a_faster_wheel_is_named_where_it_would_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "torch_cuda", answer("13.0"))
    check = card_checks.check_attention(kernels("varlen", "cudnn", capability=90))
    assert check.level == "ok" and check.text.startswith("varlen, cudnn run; FlashAttention 3 would save")
    assert "pip install flash-attn-3 --index-url https://download.pytorch.org/whl/cu130" in check.text
    for probe in (kernels("fa3", "varlen", capability=90), kernels("varlen", "cudnn", capability=80)):
        assert "flash-attn-3" not in card_checks.check_attention(probe).text


def test_slow_windows_are_told(nvml: dict[str, object]) -> None:
    check = card_checks.check_attention(kernels("cudnn", capability=80))
    assert check.level == "warn" and "torch>=2.11" in check.remedy
    assert card_checks.check_attention(kernels(capability=75)).level == "ok"  # no kernel for such a card


@pytest.mark.parametrize(
    ("version", "lacks"),
    [("2.9.1", True), ("2.10.0+cu128", True), ("2.11.0", False), ("2.13.0+cu130", False), ("3.0.0a0+git1", False)],
)
def test_versions_of_torch_with_windows(version: str, lacks: bool) -> None:
    assert slots.lacks_windows(version) == lacks


def test_the_speed_of_a_card_is_a_guess_until_it_was_measured(tmp_path: Path) -> None:
    path, card = tmp_path / "ledger.db", Card(80 << 30)
    guess = forecast.expect_speed(path, BUDGET, H100, card)
    assert guess is not None and guess.tokens == pytest.approx(273e6, rel=0.02) and not guess.measured
    assert str(guess).startswith("273M tokens in a trial, MFU 40 % (a guess")
    assert forecast.expect_speed(path, BUDGET, "NVIDIA GB10", card) is None
    found = {"step": 2000, "tokens_per_step": 131072, "flops_per_token": 5e8}
    with Ledger.open(path) as ledger:
        settings, identity = {"budget": str(BUDGET)}, {"gpu": H100}
        session = ledger.create_session("t", "b", "s", "sweep", "default", settings, identity, 0)
        base = ledger.add_experiment(session.id, 0, parent=None)
        trial = ledger.start_trial(session.id, base.id, "base", 1, "")
        ledger.end_trial(trial.id, "ok", 1.0, {"reported": found, "train_seconds": 300.0})
    measured = forecast.expect_speed(path, BUDGET, H100, card)
    assert str(measured) == "262M tokens in a trial, MFU 44 % (in the last trial here)"
    assert json.dumps(vars(measured))
