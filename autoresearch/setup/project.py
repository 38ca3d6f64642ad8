"""From a configuration to something that can run: the repository, the data, the slot, the session."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoresearch import config as configuration
from autoresearch import hardware
from autoresearch.agents import registry
from autoresearch.config import Config
from autoresearch.data.dataset import Dataset
from autoresearch.errors import Blocker
from autoresearch.measure.clock import Budget
from autoresearch.measure.settings import Settings
from autoresearch.sandbox import selftest
from autoresearch.sandbox.cell import CellError
from autoresearch.setup import slots
from autoresearch.setup.slots import Slot
from autoresearch.workspace import git
from autoresearch.workspace.workspace import Workspace

BUDGET = {"cpu": "15cpu", "cuda": "5m"}
EVAL_ROWS = {"cpu": 512, "cuda": 10240}
EVAL_BATCH = {"cpu": 32, "cuda": 16}


@dataclass(frozen=True)
class Project:
    """Where everything is: the repository, what it is configured to, the slots and the data.

    `settings` are how trials run on the first of the slots.
    """

    root: Path
    config: Config
    slots: tuple[Slot, ...]
    data: Dataset
    settings: Settings

    @property
    def slot(self) -> Slot:
        """The only one that is used where one trial runs after the other."""
        return self.slots[0]

    @property
    def others(self) -> tuple[Settings, ...]:
        """How trials run on the other slots."""
        return tuple(settings(self.config, slot) for slot in self.slots[1:])

    @property
    def runs(self) -> Path:
        """Ledger and artefacts."""
        return self.root / "runs"

    @property
    def ledger(self) -> Path:
        """The one database of all sessions."""
        return self.runs / "ledger.db"


def repository(folder: Path | None = None) -> Path:
    """The top folder of the repository that a folder (by default, where we stand) belongs to. Raises Blocker."""
    return git.top(folder or Path.cwd())


def repository_or_here() -> Path:
    """The repository, or the folder that we stand in: not every command needs git."""
    try:
        return repository()
    except Blocker:
        return Path.cwd()


def session_place(flags: dict[str, Any]) -> Project:
    """As `place`, in a repository whose train.py, tag and agent can be used: no session begins that cannot go on."""
    root = repository()
    config = configuration.load(root, flags)
    workspace = Workspace(root, config.train)
    if config.tag is not None:
        workspace.check_tag(config.tag)
    registry.create(config.agent, config)
    return place(flags, root)


def place(flags: dict[str, Any], root: Path | None = None) -> Project:
    """Read the configuration, choose the slot, and prepare the data where it is not there yet."""
    root = root or repository()
    config = configuration.load(root, flags)
    found = slots.choose(config.device, config.threads, config.slots)
    how = settings(config, found[0])  # before minutes are spent on data
    return Project(root, config, found, dataset(config, found[0].device), how)


def dataset(config: Config, device: str) -> Dataset:
    """The data set that the configuration names, made if it is missing. Raises UserError."""
    import prepare

    folder = prepare.prepare(config.source, config.vocab_size, config.seq_len, device, shards=config.shards)
    return Dataset.open(folder)


def budget(config: Config, device: str) -> Budget:
    """What one trial may train, as configured or as the device has it. Raises UsageError."""
    return Budget.parse(config.budget or BUDGET[device])


def settings(config: Config, slot: Slot) -> Settings:
    """How trials run on the slot."""
    return Settings(
        budget=budget(config, slot.device),
        device=slot.device,
        threads=config.threads,
        cores=slot.cores,
        gpu=slot.gpu,
        memory=hardware.memory_bytes() // (1 + len(config.slots)),
        eval_rows=config.eval_rows or EVAL_ROWS[slot.device],
        eval_batch=EVAL_BATCH[slot.device],
    )


def inspection(place: Project) -> selftest.Inspection:
    """Attack our own cell. Raises Blocker where none can be started, or where STRONG is required and missing."""
    library = place.data.readable_library()
    held = sorted((place.data.root / "held").iterdir())
    try:
        known = place.data.weaknesses
        found = selftest.inspect([*held, place.root], library=library, gpu=place.slot.gpu is not None, known=known)
    except CellError as error:
        raise Blocker(f"no cell can be started here: {error}") from None
    if place.config.require_strong and found.grade != "STRONG":
        raise Blocker(f"the cell is {found.grade}, and --require-strong is set: {'; '.join(found.weaknesses)}")
    return found
