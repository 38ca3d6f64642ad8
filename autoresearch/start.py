"""From a configuration to something that can run: the repository, the data, the slot, the session."""

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import git

from autoresearch import config as configuration
from autoresearch import ledger, slots
from autoresearch.config import Config
from autoresearch.errors import Blocker, UserError
from autoresearch.ledger import Ledger
from autoresearch.measure import attack, machine
from autoresearch.measure.cell import CellError
from autoresearch.measure.clock import Budget
from autoresearch.measure.data import Dataset
from autoresearch.measure.settings import Settings
from autoresearch.slots import Slot
from autoresearch.workspace import Workspace

BUDGET = {"cpu": "15cpu", "cuda": "5m"}
EVAL_ROWS = {"cpu": 512, "cuda": 10240}
EVAL_BATCH = {"cpu": 32, "cuda": 16}


@dataclass(frozen=True)
class Place:
    """Where everything is: the repository, what it is configured to, the slot and the data."""

    root: Path
    config: Config
    slot: Slot
    data: Dataset
    settings: Settings

    @property
    def runs(self) -> Path:
        """Ledger and artefacts."""
        return self.root / "runs"

    @property
    def ledger(self) -> Path:
        """The one database of all sessions."""
        return self.runs / "ledger.db"


def repository() -> Path:
    """The top folder of the repository that we stand in. Raises Blocker."""
    try:
        with git.Repo(Path.cwd(), search_parent_directories=True) as repo:
            return Path(str(repo.working_tree_dir))
    except git.InvalidGitRepositoryError:
        raise Blocker("this is not a git repository: go to your clone, or `git init` and commit train.py") from None


def place(flags: dict[str, Any], root: Path | None = None) -> Place:
    """Read the configuration, choose the slot, and prepare the data where it is not there yet."""
    root = root or repository()
    config = configuration.load(root, flags)
    slot = slots.choose(config.device, config.threads)
    data = dataset(config, slot.device)
    return Place(root, config, slot, data, settings(config, slot))


def dataset(config: Config, device: str) -> Dataset:
    """The data set that the configuration names, made if it is missing. Raises UserError."""
    import prepare

    folder = prepare.prepare(config.source, config.vocab_size, config.seq_len, device)
    return Dataset.open(folder)


def settings(config: Config, slot: Slot) -> Settings:
    """How trials run on the slot."""
    return Settings(
        budget=Budget.parse(config.budget or BUDGET[slot.device]),
        device=slot.device,
        threads=config.threads,
        cores=slot.cores,
        gpu=slot.gpu,
        memory=machine.memory_bytes() // 2,
        eval_rows=config.eval_rows or EVAL_ROWS[slot.device],
        eval_batch=EVAL_BATCH[slot.device],
    )


def inspection(place: Place) -> attack.Inspection:
    """Attack our own cell. Raises Blocker where none can be started, or where STRONG is required and missing."""
    library = place.data.readable_library()
    held = sorted((place.data.root / "held").iterdir())
    try:
        found = attack.inspect([*held, place.root], library=library, gpu=place.slot.gpu is not None)
    except CellError as error:
        raise Blocker(f"no cell can be started here: {error}") from None
    if place.config.require_strong and found.grade != "STRONG":
        raise Blocker(f"the cell is {found.grade}, and --require-strong is set: {'; '.join(found.weaknesses)}")
    return found


def pinned(place: Place) -> dict[str, Any]:
    """What may not change while a session lasts."""
    return {
        "budget": str(place.settings.budget),
        "device": place.settings.device,
        "data": place.data.hash,
        "eval_rows": place.settings.eval_rows,
        "judge": place.config.judge,
    }


def open_session(place: Place, store: Ledger, workspace: Workspace) -> ledger.Session:
    """Go on with an unfinished session on the same base, or start one. Raises UserError."""
    head = workspace.head()
    found = store.session(place.config.tag)
    if found is not None and (place.config.tag or _goes_on(found, head)):
        _check_same(found, place)
        return found
    tag = place.config.tag or _new_tag(store)
    seed = place.config.seed if place.config.seed is not None else secrets.randbits(31)
    identity = machine.identity(place.slot.device, place.slot.gpu, place.data.hash)
    return store.create_session(
        tag, f"autoresearch/{tag}", head, place.config.agent, place.config.judge, pinned(place), identity, seed
    )


def _goes_on(session: ledger.Session, head: str) -> bool:
    finished = session.state == "ended" and session.stop_reason not in ("interrupted", "stopped")
    return session.base_sha == head and not finished


def _check_same(session: ledger.Session, place: Place) -> None:
    if ledger.is_alive(session) and session.pid != os.getpid():
        raise UserError(f"session `{session.tag}` is running already (process {session.pid}): see `autoresearch status`")
    now = pinned(place)
    changed = [name for name, value in session.settings.items() if now.get(name) != value]
    if changed:
        raise UserError(
            f"session `{session.tag}` was started with another {', '.join(changed)}: scores could not be compared;"
            " choose a new --tag"
        )


def _new_tag(store: Ledger) -> str:
    day = time.strftime("%b%d").lower()
    tags = [day, *(f"{day}-{k}" for k in range(2, 1000))]
    return next(tag for tag in tags if store.session(tag) is None)

