"""Checks of the project: repository, settings, train.py, program.md, data, slot, agent, session."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from autoresearch import config as configuration
from autoresearch import hardware, ledger
from autoresearch.agents import auto, mix, registry
from autoresearch.agents.rehearsal import bare_brief, rehearse
from autoresearch.agents.told import is_told
from autoresearch.brief.brief import Brief
from autoresearch.config import Config, cache_folder, config_of_arm
from autoresearch.data.dataset import Dataset
from autoresearch.doctor.check import Check
from autoresearch.errors import Blocker, UserError
from autoresearch.files import read_text
from autoresearch.ledger import Ledger
from autoresearch.setup import plan, project, slots
from autoresearch.setup.command import read_command
from autoresearch.setup.slots import Slot
from autoresearch.source.contract import CONTRACT, defect
from autoresearch.source_tree import EditRules
from autoresearch.workspace.workspace import Workspace


def check_repository(folder: Path) -> tuple[Path | None, Check]:
    try:
        root = project.repository(folder)
    except Blocker as error:
        return None, _blocker("repository", error)
    return root, Check("repository", "ok", str(root))


def check_settings(root: Path, flags: Mapping[str, object]) -> tuple[Config, Check]:
    """Read the configuration; if it is wrong, return the defaults for the other checks."""
    try:
        config = configuration.load(root, flags)
        project.budget(config, "cpu")
    except UserError as error:
        return Config(), _blocker("settings", error)
    if unread := configuration.find_unread(root):
        return config, Check("settings", "warn", "; ".join(unread), "correct the name, or remove it")
    default = Config()
    changed = [name for name in Config.model_fields if getattr(config, name) != getattr(default, name)]
    return config, Check("settings", "ok", f"{', '.join(changed)} set" if changed else "all are defaults")


def check_train_file(root: Path, config: Config) -> Iterator[Check]:
    """Check that the base can be read from HEAD, and name the branch."""
    try:
        workspace = Workspace.of(root, config)
        text = workspace.read(workspace.head())
    except UserError as error:
        yield _blocker(config.train, error)
        return
    branch = workspace.checked_out_branch()
    where = f"as committed in {workspace.head()[:7]} on {branch or 'no branch'}"
    wrong = defect(text, config.train) if config.run is None else None
    if wrong is not None:
        yield Check(config.train, "blocker", f"{where}: {wrong}", f"{CONTRACT}: mend and commit it")
    elif workspace.user_files.are_dirty():
        text, remedy = f"{where}; later changes are not committed", "commit them if `run` should use them"
        yield Check(config.train, "warn", text, remedy)
    else:
        yield Check(config.train, "ok", where)
    if branch is not None and branch.startswith("autoresearch/"):
        remedy = "switch to a branch of your own, then the session can move its branch"
        yield Check("branch", "warn", f"{branch} is checked out, so the session cannot move it", remedy)


def check_program(root: Path, config: Config) -> Iterator[Check]:
    remedy = "write into it what the agent should try, and what not"
    try:
        text = read_text(root / config.program)
    except OSError as error:
        yield Check(config.program, "warn", f"cannot be read: {error.strerror}", "make it a file that you can read")
        return
    if text is None:
        level = "blocker" if "program" in config.model_fields_set else "warn"  # `run` refuses a name that is a slip
        yield Check(config.program, level, "not there", remedy)
        return
    lines = len(text.splitlines())
    yield Check(config.program, "ok", f"{lines} line{'s' if lines != 1 else ''}, read before every proposal")


def check_slot(config: Config) -> tuple[Slot, Check]:
    """Choose the slot of trials, and check that no other autoresearch measures there."""
    try:
        chosen, *_ = slots.choose(config.device, config.threads, config.slots)
    except UserError as error:
        return slots.cpu_slot(config.threads), _blocker("slot", error)
    name = hardware.gpu_name(chosen.gpu) or hardware.cpu_name()
    text = f"{chosen.name} ({name}), budget {project.budget(config, chosen.device)}"
    try:
        with slots.lock([chosen]):
            return chosen, Check("slot", "ok", text)
    except Blocker as error:
        what, _, remedy = str(error).partition(": ")
        return chosen, Check("slot", "warn", f"{text}; {what}", remedy)


def check_data(config: Config, device: str) -> tuple[Dataset | None, Check]:
    """Verify every byte of the data set, if it is prepared."""
    from autoresearch.setup import prepare

    if config.run is not None:
        return None, Check("data", "ok", "none: a command measures")
    try:
        project.require_source(config, device)
        shape = (config.vocab_size, config.seq_len, device)
        folder = prepare.dataset_path(config.source, *shape, cache_folder(), config.shards)
        if not folder.exists():
            remedy = "`autoresearch run` prepares it, or `autoresearch prepare` does now"
            return None, Check("data", "warn", f"{config.source} is not prepared yet", remedy)
        dataset = Dataset.open(folder)
        dataset.verify()
    except UserError as error:
        return None, _blocker("data", error)
    except OSError as error:
        return None, Check("data", "blocker", f"{error.filename}: {error.strerror}", "check the setting `source`")
    size = dataset.meta["splits"]["train"]["tokens"] / 1e6
    text = f"{config.source}: {size:.1f}M tokens, vocabulary {dataset.vocab_size}, rows of {dataset.seq_len}"
    return dataset, Check("data", "ok", f"{text}, every byte verified")


def check_agent(config: Config) -> Check:
    """Name the agent of `run`, by which key or login it works and what it uses up, without a call of a model."""
    if config.arms:
        return _check_arms(config)
    found = auto.find_researchers(config, os.environ, auto.home_folder())
    offer = found[0] if auto.must_ask(config, found) else None
    agent = offer.agent if offer else auto.choose_unasked(config, found)
    try:
        registry.create(agent, config.model_copy(update=offer.settings) if offer else config)
    except UserError as error:
        return _blocker("agent", error)
    chosen = offer or auto.describe(agent, config, os.environ, auto.home_folder())
    hint = auto.list_alternatives(agent, found)
    if offer is None:
        return Check("agent", "ok", f"`run` asks {chosen}; {hint}")
    return Check("agent", "ok", f"`run` in a terminal asks you once whether to use {chosen}; else it uses sweep")


def _check_arms(config: Config) -> Check:
    """Name the arms of `run`, of which one at least has to be able to work."""
    try:
        mix.settle(config)
    except UserError as error:
        return _blocker("agent", error)
    return Check("agent", "ok", f"`run` asks {mix.describe(config, os.environ)}")


def check_rehearsals(root: Path, config: Config, device: str, brief: Brief | None = None) -> Iterator[Check]:
    """Rehearse the agent, or each arm."""
    for arm in config.arms:
        check = check_rehearsal(root, config_of_arm(config, arm), device)
        yield replace(check, text=f"{arm.name}: {check.text}")
    if not config.arms:
        yield check_rehearsal(root, config, device, brief)


def check_rehearsal(root: Path, config: Config, device: str, brief: Brief | None = None) -> Check:
    """Ask the agent for one change, as `run` would without a terminal, and do not train it.

    `brief` is what it would be told next; by default, the base alone.
    """
    try:
        agent = auto.choose_unasked(config, auto.find_researchers(config, os.environ, auto.home_folder()))
        brief = brief or _bare_brief(root, config, device)
        result = rehearse(registry.create(agent, config), brief if is_told(agent) else brief.without_openings())
    except UserError as error:
        return _blocker("rehearsal", error)
    if result.proposal is None:
        return Check("rehearsal", "blocker", str(result), "choose another --agent or model, or fix the cause")
    return Check("rehearsal", "ok", str(result))


def _bare_brief(root: Path, config: Config, device: str) -> Brief:
    workspace, program = Workspace.of(root, config), ""
    with suppress(OSError):
        program = read_text(root / config.program) or ""
    text = workspace.read(workspace.head())
    if config.run is None:
        return bare_brief(plan.fit_device(text, device), program)
    task = read_command(root, config).describe_task(config.create)
    return replace(bare_brief(text, program), task=task, rules=EditRules(tuple(config.edit), config.create))


def check_session(root: Path) -> Iterator[Check]:
    """Report the newest session, if there is a ledger."""
    path = root / "runs" / "ledger.db"
    if not path.exists():
        return
    try:
        with Ledger.open(path, readonly=True) as store:
            row = ledger.current(store)
            if row is not None:
                facts = ledger.status(store, row, time.time())
                yield Check("session", "ok", f"{row.tag}: {facts.state}, {facts.experiments} experiments")
    except UserError as error:
        yield _blocker("ledger", error)


def _blocker(name: str, error: UserError) -> Check:
    what, _, remedy = str(error).partition(": ")
    return Check(name, "blocker", what, remedy)
