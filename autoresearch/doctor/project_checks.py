"""What the project has: repository, settings, train.py, program.md, data, slot, agent, session."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autoresearch import config as configuration
from autoresearch import hardware, ledger
from autoresearch.agents import registry
from autoresearch.agents.rehearsal import rehearse
from autoresearch.config import Config, cache_folder
from autoresearch.data.dataset import Dataset
from autoresearch.doctor.check import Check
from autoresearch.errors import Blocker, UserError
from autoresearch.ledger import Ledger
from autoresearch.setup import plan, project, slots
from autoresearch.setup.slots import Slot
from autoresearch.source.contract import complaint
from autoresearch.workspace.workspace import Workspace

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "AUTORESEARCH_AUTH_TOKEN")


def repository(folder: Path) -> tuple[Path | None, Check]:
    """The repository around a folder, if there is one."""
    try:
        root = project.repository(folder)
    except Blocker as error:
        return None, _refused("repository", error)
    return root, Check("repository", "ok", str(root))


def settings(root: Path, flags: dict[str, Any]) -> tuple[Config, Check]:
    """The configuration; where it cannot be read, defaults stand in for the other checks."""
    try:
        config = configuration.load(root, flags)
        project.budget(config, "cpu")
    except UserError as error:
        return Config(), _refused("settings", error)
    default = Config()
    changed = [name for name in Config.model_fields if getattr(config, name) != getattr(default, name)]
    return config, Check("settings", "ok", f"{', '.join(changed)} set" if changed else "as they come")


def train_file(root: Path, config: Config) -> Iterator[Check]:
    """Whether the base can be taken from HEAD, and which branch that is."""
    try:
        workspace = Workspace(root, config.train)
        text = workspace.read(workspace.head())
    except UserError as error:
        yield _refused(config.train, error)
        return
    branch = workspace.checked_out_branch()
    where = f"as committed in {workspace.head()[:7]} on {branch or 'no branch'}"
    if (wrong := complaint(text)) is not None:
        yield Check(config.train, "warn", f"{where}: {wrong}", "mend and commit it: the base has to work")
    elif workspace.dirty():
        yield Check(
            config.train, "warn", f"{where}; later changes are not committed", "commit them if `run` shall use them"
        )
    else:
        yield Check(config.train, "ok", where)
    if branch is not None and branch.startswith("autoresearch/"):
        remedy = "switch to a branch of yours, then a session can move its own"
        yield Check("branch", "warn", f"{branch} is checked out, so it stays where it is", remedy)


def program(root: Path, config: Config) -> Iterator[Check]:
    """What the human wants."""
    path = root / config.program
    if path.is_file():
        lines = len(path.read_text(errors="replace").splitlines())
        yield Check(config.program, "ok", f"{lines} line{'s' if lines != 1 else ''}, read before every proposal")
    else:
        yield Check(config.program, "warn", "not there", "write into it what you want tried, and what not")


def slot(config: Config) -> tuple[Slot, Check]:
    """Where trials run, and whether another program of ours measures there."""
    try:
        found, *_ = slots.choose(config.device, config.threads)
    except Blocker as error:
        return slots.cpu(config.threads), _refused("slot", error)
    name = hardware.gpu_name(found.gpu) or hardware.cpu_name()
    text = f"{found.name} ({name}), budget {project.budget(config, found.device)}"
    try:
        with slots.hold([found], cache_folder() / "locks"):
            return found, Check("slot", "ok", text)
    except Blocker as error:
        what, _, remedy = str(error).partition(": ")
        return found, Check("slot", "warn", f"{text}; {what}", remedy)


def data(config: Config, device: str) -> tuple[Dataset | None, Check]:
    """The data set, read to the last byte; it is not made here."""
    import prepare

    try:
        shape = (config.vocab_size, config.seq_len, device)
        folder = prepare.dataset_path(config.source, *shape, cache_folder(), config.shards)
        if not folder.exists():
            remedy = "`autoresearch run` makes it, or `autoresearch prepare` does now"
            return None, Check("data", "warn", f"{config.source} is not prepared yet", remedy)
        found = Dataset.open(folder)
        found.verify()
    except UserError as error:
        return None, _refused("data", error)
    size = found.meta["splits"]["train"]["tokens"] / 1e6
    text = f"{config.source}: {size:.1f}M tokens, vocabulary {found.vocab_size}, rows of {found.seq_len}, every byte verified"
    return found, Check("data", "ok", text)


def agent(config: Config) -> Check:
    """Whom `run` asks, and which key there is; no model is called."""
    try:
        who = registry.create(config.agent, config)
    except UserError as error:
        return _refused("agent", error)
    key = next((name for name in KEYS if os.environ.get(name)), None)
    text = f"`run` asks {config.agent}" + (f" ({who.model})" if who.model else ", which needs no key")
    if who.model is None:
        text += f"; {key} is set, for --agent claude" if key else "; no key is set for --agent claude"
    return Check("agent", "ok", text)


def rehearsal(root: Path, config: Config, device: str) -> Check:
    """Ask the agent for one change to the base, as `run` would, without training it."""
    try:
        workspace = Workspace(root, config.train)
        text = plan.fitted(workspace.read(workspace.head()), device)
        goal = root / config.program
        program = goal.read_text(errors="replace") if goal.is_file() else ""
        found = rehearse(registry.create(config.agent, config), text, program)
    except UserError as error:
        return _refused("rehearsal", error)
    if found.proposal is None:
        return Check("rehearsal", "blocker", str(found), "choose another --agent or model, or mend what it says")
    return Check("rehearsal", "ok", str(found))


def session(root: Path) -> Iterator[Check]:
    """The newest session, if the ledger can be read."""
    path = root / "runs" / "ledger.db"
    if not path.exists():
        return
    try:
        with Ledger.open(path, readonly=True) as store:
            row = ledger.current(store)
            if row is not None:
                facts = ledger.status(store, row, time.time())
                yield Check("session", "ok", f"{row.tag}: {facts['state']}, {facts['experiments']} experiments")
    except UserError as error:
        yield _refused("ledger", error)


def _refused(name: str, error: UserError) -> Check:
    what, _, remedy = str(error).partition(": ")
    return Check(name, "blocker", what, remedy)
