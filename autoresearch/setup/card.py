"""The card of a slot: whether it works in a cell, why not, and its memory."""

from autoresearch import hardware
from autoresearch.data.dataset import Dataset
from autoresearch.errors import Blocker
from autoresearch.measure.card_probe import ALL_LAYERS, CardProbe, find_culprit, probe_card
from autoresearch.sandbox.cell import CellError
from autoresearch.sandbox.launch import CellSpec
from autoresearch.setup.slots import Slot

REPORT = "please report it with the output of `autoresearch doctor --json`"
WITHOUT_LAYER = {
    "seccomp": f"the filter of system calls refuses one of this driver: try another version of it, and {REPORT}",
    "landlock": "a file that the driver needs is hidden: put the folder of libcuda.so.1 into LD_LIBRARY_PATH or into"
    " `ldconfig`'s list",
    "uid": "the device files refuse other users: `chmod a+rw /dev/nvidia*`, or start autoresearch as an ordinary user"
    " who may use the card",
    "ns": f"the driver does not work in namespaces of its own: {REPORT}",
    "caps": "the driver asks for rights of root: start nvidia-persistenced, or run `nvidia-smi` once as root",
    "nnp": "the driver wants to start nvidia-modprobe as root: run `nvidia-modprobe -u -c 0` once as root",
    "rlimits": f"a limit of memory, files or processes is too low for the driver: {REPORT}",
    ALL_LAYERS: f"no single one of its layers is the cause: {REPORT}",
}
OUTSIDE = "the driver fails without a sandbox too: see what `nvidia-smi` says, restart the container or the machine"
BY_STEP = {
    "libcuda": "install the driver's libraries, or start the container with them: `--gpus all`",
    "torch": "install a torch that was built for this driver and this card",
}


def card_spec(slot: Slot, data: Dataset | None) -> CellSpec:
    """Return the specification of a cell that sees the card as a trial does, without the program."""
    environment = {} if slot.gpu is None else {hardware.VISIBLE_DEVICES: slot.gpu}
    library = data.readable_library() if data else None
    return CellSpec([], library=library, gpu=True, environment=environment)


def require_card(slot: Slot, data: Dataset | None) -> None:
    """Initialise CUDA once in a cell, if the slot has a card. Raises Blocker with the culprit, CellError."""
    if slot.gpu is None:
        return
    spec = card_spec(slot, data)
    probe = probe_card(spec, "init")
    if probe.failed is not None:
        what, remedy = explain_failure(probe, spec, "init")
        raise Blocker(f"{what}: {remedy}")


def explain_failure(probe: CardProbe, spec: CellSpec, mode: str, device: str = "cuda") -> tuple[str, str]:
    """Return what failed, with the layer of the cell that is the cause, and the remedy."""
    what = f"the card does not work in a cell ({probe.failed}: {probe.error})"
    culprit = find_culprit(spec, mode, device)
    if culprit is None:
        return f"{what}, nor without its layers", BY_STEP.get(probe.failed or "", OUTSIDE)
    return f"{what}; without {culprit} it does", WITHOUT_LAYER[culprit]


def total_memory(slot: Slot, data: Dataset) -> int | None:
    """Return the memory of the slot's card in bytes; where NVML does not know it, as CUDA tells it in a cell."""
    if slot.gpu is None:
        return None
    if (memory := hardware.gpu_memory(slot.gpu)) is not None:
        return memory[0]
    try:
        return probe_card(card_spec(slot, data)).total_memory
    except CellError:  # the trial itself reports it
        return None
