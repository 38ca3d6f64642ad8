"""What `doctor` finds out: one line a check, what to do about it, and how many experiments a night gives."""

import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from autoresearch import config as configuration
from autoresearch import slots, start
from autoresearch.config import Config, cache_folder
from autoresearch.errors import Blocker, UserError
from autoresearch.ledger import Ledger
from autoresearch.measure import attack, machine
from autoresearch.measure.cell import CellError
from autoresearch.measure.clock import Budget
from autoresearch.measure.data import Dataset
from autoresearch.slots import Slot
from autoresearch.workspace import Workspace

PYTHONS = ((3, 11), (3, 14))  # first that works, first that was not tried
DISK_LEAST, DISK_GOOD = 1e9, 10e9  # bytes
AROUND = {"cpu": 8.0, "cuda": 30.0}  # s of a trial outside its budget, until this machine's own are known
RERUNS = 0.25  # re-runs for each experiment, until they are known


@dataclass(frozen=True)
class Check:
    """One finding: `level` is ok, warn or blocker; `remedy` says what to do where it is not ok."""

    name: str
    level: str
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Night:
    """How a night is spent: seconds of one trial, re-runs for each experiment, experiments in `hours`."""

    hours: float
    trial_seconds: float
    reruns: float
    experiments: int
    measured: bool

    def __str__(self) -> str:
        basis = "as measured here" if self.measured else "before anything was measured here"
        return (
            f"about {self.experiments} experiments in {self.hours:g} h: {self.trial_seconds:.0f} s a trial,"
            f" {self.reruns:.2f} re-runs for each experiment, {basis}"
        )


def examine(folder: Path) -> tuple[list[Check], attack.Inspection | None, Night | None]:
    """Every check, as far as each can be made in `folder`; the cell's inspection and the night if they could be."""
    checks = [_python(), _torch(), _git()]
    root, found = _repository(folder)
    checks.append(found)
    in_repository = found.level == "ok"
    try:
        config = configuration.load(root, {})
    except UserError as error:
        return [*checks, Check("settings", "blocker", str(error), "mend the file")], None, None
    slot, found = _slot(config)
    checks += [found, _memory(), *_disks(root)]
    data, found = _data(config, slot.device)
    checks.append(found)
    inspection, found = _cell(root, slot, data)
    checks += [found, *_weaknesses(inspection), Check("agent", "ok", f"`run` asks {config.agent}")]
    if in_repository:
        checks += list(_train_file(root, config))
    return checks, inspection, expected_night(root / "runs" / "ledger.db", config, slot.device)


def expected_night(ledger: Path, config: Config, device: str, hours: float = 8.0) -> Night | None:
    """What a night gives with the configured budget; None where its unit says nothing about time."""
    budget = Budget.parse(config.budget or start.BUDGET[device])
    if not budget.seconds:
        return None
    seconds, reruns = _experience(ledger, str(budget))
    trial = seconds or budget.seconds + AROUND[device]
    share = RERUNS if reruns is None else reruns
    count = (3600 * hours / trial - config.replicates) / (1 + share)
    return Night(hours, trial, share, max(0, int(count)), seconds is not None)


def _experience(path: Path, budget: str) -> tuple[float | None, float | None]:
    """Mean seconds of a trial, and re-runs for each screening, of the sessions with this budget."""
    if not path.exists():
        return None, None
    sql = """
        SELECT avg(ended - t.started) AS seconds, sum(purpose = 'rerun') AS again, sum(purpose = 'screen') AS first
        FROM trials t JOIN sessions s ON s.id = t.session_id
        WHERE outcome = 'ok' AND ended IS NOT NULL AND json_extract(s.settings, '$.budget') = :budget
    """
    try:
        with Ledger.open(path, readonly=True) as store:
            row = store.query(sql, budget=budget)[0]
    except (UserError, sqlite3.Error):
        return None, None
    return row["seconds"], row["again"] / row["first"] if row["first"] else None


def _python() -> Check:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        return Check("python", "blocker", text, "Linux is needed: WSL2, a container or a virtual machine will do")
    if not PYTHONS[0] <= sys.version_info < PYTHONS[1]:
        return Check("python", "warn", text, "Python 3.11 to 3.13 is what is tested")
    return Check("python", "ok", text)


def _torch() -> Check:
    version = machine.version("torch")
    if version is None:
        return Check("torch", "blocker", "not installed", "`pip install -e .` in your clone")
    cards = machine.gpus()
    if cards and version.endswith("+cpu"):
        return Check("torch", "blocker", f"{version}, and there is an NVIDIA card", slots.CUDA_BUILD)
    driver = f", driver {machine.driver()}" if cards else ", no NVIDIA card"
    return Check("torch", "ok", version + driver)


def _git() -> Check:
    path = shutil.which("git")
    if path is None:
        return Check("git", "blocker", "not found", "install git")
    done = subprocess.run([path, "--version"], capture_output=True, text=True)
    return Check("git", "ok", done.stdout.strip().removeprefix("git version "))


def _repository(folder: Path) -> tuple[Path, Check]:
    try:
        root = start.repository(folder)
    except Blocker as error:
        return folder, Check("repository", "blocker", "none here", str(error))
    return root, Check("repository", "ok", str(root))


def _slot(config: Config) -> tuple[Slot, Check]:
    try:
        slot = slots.choose(config.device, config.threads)
    except Blocker as error:
        return slots.cpu(config.threads), Check("slot", "blocker", config.device, str(error))
    name = machine.gpu_name(slot.gpu) or machine.cpu_name()
    text = f"{slot.name}: {name}, budget {config.budget or start.BUDGET[slot.device]}"
    lock = filelock.FileLock(cache_folder() / "locks" / f"{slot.name}.lock")
    try:
        cache_folder().joinpath("locks").mkdir(parents=True, exist_ok=True)
        with lock.acquire(timeout=0):
            return slot, Check("slot", "ok", text)
    except filelock.Timeout:
        return slot, Check("slot", "warn", f"{text}; another autoresearch measures on it", "wait for it, or stop it")


def _memory() -> Check:
    gigabytes = machine.memory_bytes() / 1e9
    level = "ok" if gigabytes > 3 else "warn"
    return Check("memory", level, f"{gigabytes:.1f} GB", "" if level == "ok" else "torch alone needs about 1 GB in each cell")


def _disks(root: Path) -> Iterator[Check]:
    for name, folder in (("runs", root), ("cache", cache_folder())):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        level = "ok" if free > DISK_GOOD else "warn" if free > DISK_LEAST else "blocker"
        remedy = "" if level == "ok" else f"make room on {there}" + (", or set AUTORESEARCH_CACHE" if name == "cache" else "")
        yield Check(f"disk {name}", level, f"{free / 1e9:.0f} GB free at {there}", remedy)


def _data(config: Config, device: str) -> tuple[Dataset | None, Check]:
    import prepare

    try:
        folder = prepare.dataset_path(config.source, config.vocab_size, config.seq_len, device, cache_folder())
        if not folder.exists():
            return None, Check("data", "warn", f"{config.source} is not prepared yet", "`run` does it, or `autoresearch prepare`")
        data = Dataset.open(folder)
        data.verify()
    except UserError as error:
        return None, Check("data", "blocker", config.source, str(error))
    tokens = data.meta["splits"]["train"]["tokens"]
    return data, Check("data", "ok", f"{config.source}: {tokens / 1e6:.1f}M tokens, vocabulary {data.vocab_size}, verified")


def _cell(root: Path, slot: Slot, data: Dataset | None) -> tuple[attack.Inspection | None, Check]:
    held = sorted((data.root / "held").iterdir()) if data else []
    library, known = (data.readable_library(), data.weaknesses) if data else (None, [])
    try:
        found = attack.inspect([*held, root], library=library, gpu=slot.gpu is not None, known=known)
    except CellError as error:
        return None, Check("cell", "blocker", "cannot be started", str(error))
    return found, Check("cell", "ok" if found.grade == "STRONG" else "warn", str(found).removeprefix("cell: "))


def _weaknesses(found: attack.Inspection | None) -> list[Check]:
    return [Check("weakness", "warn", weakness) for weakness in (found.weaknesses if found else [])]


def _train_file(root: Path, config: Config) -> Iterator[Check]:
    """Whether the base can be taken from HEAD."""
    try:
        workspace = Workspace(root, config.train)
    except UserError as error:
        yield Check(config.train, "blocker", "cannot be used", str(error))
        return
    if workspace.dirty():
        yield Check(config.train, "warn", "has changes that are not committed", "`run` uses the committed version")
    else:
        yield Check(config.train, "ok", f"as committed in {workspace.head()[:7]}")


def as_json(checks: list[Check], inspection: attack.Inspection | None, night: Night | None) -> dict[str, Any]:
    """The shape of `doctor --json`."""
    return {
        "checks": [vars(check) for check in checks],
        "blocked": any(check.level == "blocker" for check in checks),
        "grade": inspection.grade if inspection else None,
        "layers": inspection.layers if inspection else None,
        "weaknesses": inspection.weaknesses if inspection else [],
        "attacks": inspection.attacks if inspection else {},
        "night": vars(night) if night else None,
    }
