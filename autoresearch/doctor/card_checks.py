"""Checks of the card that trials will use: in a cell, its state, its kernels of attention, and its speed."""

from collections.abc import Iterator
from pathlib import Path

from autoresearch import hardware
from autoresearch.data.dataset import Dataset
from autoresearch.doctor.check import Check
from autoresearch.errors import describe_install
from autoresearch.measure.card_probe import CardProbe, probe_card
from autoresearch.measure.clock import Budget
from autoresearch.sandbox.cell import CellError
from autoresearch.setup import card, forecast, slots
from autoresearch.setup.plan import Card
from autoresearch.setup.slots import Slot

DEFAULT_SHAPE = (8192, 2048)  # vocabulary and tokens in a row of a data set for a card
HOPPER = 90
FA3_SHARE = "6 %"  # of a step on an H100, estimated from its parts


def check_all(slot: Slot, data: Dataset | None, ledger: Path, budget: Budget) -> Iterator[Check]:
    """Check the card of a slot; a matrix product in a cell takes some ten seconds."""
    yield check_state(slot)
    probe, check = check_in_cell(slot, data)
    yield check
    if probe is None or probe.failed is not None:
        return
    yield check_attention(probe)
    memory = hardware.gpu_memory(slot.gpu)
    total = memory[0] if memory is not None else probe.total_memory
    if total is None:
        return
    shape = (data.vocab_size, data.seq_len) if data else DEFAULT_SHAPE
    speed = forecast.expect_speed(ledger, budget, hardware.gpu_name(slot.gpu), Card(total, *shape))
    yield Check("speed", "ok", str(speed) if speed else "not known for this card: `autoresearch plan` measures it")


def check_state(slot: Slot) -> Check:
    """Check that no other program computes on the card, and that the driver keeps it awake."""
    state = hardware.gpu_state(slot.gpu)
    if not state:
        return Check("card state", "ok", "not known to NVML here")
    text = ", ".join(_describe_state(state))
    if state.get("processes"):
        return Check("card state", "warn", text, "end the other programs: they take speed and memory from trials")
    if state.get("persistence") == 0:
        remedy = "`sudo nvidia-smi -pm 1` keeps the card awake: else each cell waits until it has started"
        return Check("card state", "warn", text, remedy)
    return Check("card state", "ok", text)


def _describe_state(state: dict[str, float]) -> Iterator[str]:
    if "processes" in state:
        yield f"{state['processes']:.0f} other programs compute on it"
    if "persistence" in state:
        yield f"persistence mode {'on' if state['persistence'] else 'off'}"
    if "sm_mhz" in state:
        most = f" of {state['max_sm_mhz']:.0f}" if "max_sm_mhz" in state else ""
        yield f"clock {state['sm_mhz']:.0f}{most} MHz"
    if "temperature" in state:
        yield f"{state['temperature']:.0f} degrees"


def check_in_cell(slot: Slot, data: Dataset | None, device: str = "cuda") -> tuple[CardProbe | None, Check]:
    """Initialise CUDA and multiply matrices in a cell; if that fails, name the layer that is the cause."""
    spec = card.card_spec(slot, data)
    try:
        probe = probe_card(spec, "product", device)
    except CellError as error:
        return None, Check("card in a cell", "blocker", f"no cell can be started: {error}", card.REPORT)
    if probe.failed is None:
        total = probe.total_memory
        memory = "" if total is None else f", {total / 1e9:.0f} GB"
        return probe, Check("card in a cell", "ok", f"cuInit and a matrix product in {probe.seconds:.0f} s{memory}")
    mode = "init" if probe.failed in ("libcuda", "cuInit") else "product"
    what, remedy = card.explain_failure(probe, spec, mode, device)
    return probe, Check("card in a cell", "blocker", what, remedy)


def check_attention(probe: CardProbe) -> Check:
    """Name the kernels of attention that run, and a faster one that could be installed."""
    running = [name for name, fault in probe.kernels.items() if fault is None]
    text = f"{', '.join(running) or 'no kernel'} run{'s' if len(running) < 2 else ''}"
    capability = probe.found.get("capability") or 0
    if capability == HOPPER and "fa3" not in running:
        index = "cu130" if slots.is_for_cuda_13() else "cu126"
        wheel = describe_install("flash-attn-3", "--index-url", f"https://download.pytorch.org/whl/{index}")
        text += f"; FlashAttention 3 would save about {FA3_SHARE} of a step: {wheel}"
    if capability >= 80 and not {"fa3", "fa4", "varlen"} & set(running):
        reason = probe.kernels.get("varlen") or "unknown"
        return Check("attention", "warn", f"{text}; windows are slow ({reason})", slots.install_command())
    return Check("attention", "ok", text)
