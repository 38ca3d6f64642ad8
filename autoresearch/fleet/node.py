"""What runs on a node, in a process of Ray: the attack on its cell, and one trial."""

import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoresearch import __version__, hardware
from autoresearch.config import cache_folder
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.fleet.mailbox import Reporter
from autoresearch.fleet.node_data import LackingError
from autoresearch.fleet.orders import NodeFacts, NodeQuestion, TrialAnswer, TrialOrder, pool_identity
from autoresearch.measure.referee import CellReferee, Referee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings
from autoresearch.sandbox.cell import CellError, protect_self
from autoresearch.setup import card
from autoresearch.setup.project import attack_cell
from autoresearch.setup.slots import Slot, card_slot, cpu_slot, take_one


def inspect_node(question: NodeQuestion) -> NodeFacts | str:
    """Return what the node is; in words, why no cell can run there."""
    protect_self()
    try:
        with take_one(local_slots(question.device, question.threads)) as slot:
            return describe_node(slot, None)
    except (CellError, UserError, OSError) as error:
        return f"no cell can be started: {error}"


def run_trial(order: TrialOrder, mailbox: Any) -> TrialAnswer:
    """Run one trial in cells of this node; answer with an infra result where none can be started."""
    protect_self()
    try:
        return _run_trial(order, mailbox, node_id())
    except (CellError, UserError, OSError) as error:
        result = Result(outcome="infra", reason=f"no trial can be started: {error}", seed=order.seed)
        result.node = node_name()
        return TrialAnswer(node_id(), result=result)


def _run_trial(order: TrialOrder, mailbox: Any, node: str) -> TrialAnswer:
    """Run one trial. Raises CellError, UserError and OSError if this node cannot."""
    import ray

    cache = cache_folder()
    with take_one(local_slots(order.settings.device, order.settings.threads)) as slot:
        reporter = Reporter(mailbox, order.key, node)
        settings = settings_here(order.settings, slot, cache / "fleet" / "compiled" / order.caches)
        try:
            referee = order.files.referee(settings, cache, lambda ref: bytes(ray.get(ref)))
        except LackingError as lacking:
            return TrialAnswer(node, lacking=lacking.names)
        data = referee.data if isinstance(referee, CellReferee) else None
        facts = None if node in order.known else describe_node(slot, data)
        if facts is not None and order.refuse(facts):
            return TrialAnswer(node, facts)
        return TrialAnswer(node, facts, _measure(referee, order, reporter))


def _measure(referee: Referee, order: TrialOrder, reporter: Reporter) -> Result:
    plan = replace(
        order.plan,
        watch=reporter.watch,
        wants_holdout=reporter.wants_holdout,
        is_unwanted=reporter.is_unwanted,
    )
    try:
        result = referee.measure(order.source, order.seed, plan)
    finally:
        referee.close()
    result.node = node_name()
    return result


def describe_node(slot: Slot, data: Dataset | None) -> NodeFacts:
    """Attack a cell of this node from inside, and return what the node is. Raises CellError, Blocker."""
    card.require_card(slot, data)
    attacked = attack_cell(slot, data, None, forbidden=ray_files())
    return NodeFacts(node_id(), node_name(), __version__, pool_identity(slot.device, slot.gpu), attacked)


def local_slots(device: str, threads: int) -> list[Slot]:
    """Return the slots of this process: the card that Ray gave it, or each group of cores."""
    if device == "cuda":
        return [card_slot(hardware.gpus(), 0)]
    return [cpu_slot(threads, number) for number in range(max(1, len(os.sched_getaffinity(0)) // threads))]


def settings_here(settings: Settings, slot: Slot, caches: Path) -> Settings:
    """Return the settings of a trial on a slot of this node."""
    share = hardware.memory_bytes() // (1 + len(local_slots(settings.device, settings.threads)))
    return replace(settings, cores=slot.cores, gpu=slot.gpu, memory=share, caches=caches)


def node_id() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def node_name() -> str:
    """Return the name of this node on pages: its host, and the beginning of its id where Ray runs it."""
    return f"{socket.gethostname()}-{node_id()[:4]}"


def ray_files() -> Sequence[Path]:
    """Return what a cell of this node may not read of Ray: its session folder and its token."""
    token = os.environ.get("RAY_AUTH_TOKEN_PATH")
    paths = [Path("/tmp/ray"), Path(token) if token else Path.home() / ".ray" / "auth_token"]
    return [path for path in paths if path.exists()]
