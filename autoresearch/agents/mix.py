"""Several researchers in one session: what is checked and said before it begins."""

from collections.abc import Mapping
from pathlib import Path

from autoresearch.agents import auto, registry
from autoresearch.agents.base import Unusable
from autoresearch.config import MIX, NO_PROGRAM, ArmSetting, Config, config_of_arm
from autoresearch.errors import UsageError


def settle(config: Config, root: Path | None = None) -> dict[str, object]:
    """Return the settings of the arms, each once. Raises UsageError for a wrong one, Unusable if none can work.

    In a project, at `root`, each arm needs its program.md.
    """
    arms, faults = tuple(dict.fromkeys(config.arms)), list[str]()
    for arm in arms:
        own = config_of_arm(config, arm)
        if root is not None and arm.program not in (None, NO_PROGRAM) and not (root / own.program).is_file():
            raise UsageError(f"arm {arm.name}: there is no file {own.program}; `program: none` is for no instructions")
        try:
            registry.create(own.agent, own)
        except Unusable as error:
            faults.append(f"{arm.name}: {error}")
    if len(faults) == len(arms):
        raise Unusable(f"no arm can work: {'; '.join(faults)}")
    return {"agent": MIX, "arms": arms}


def describe(config: Config, environment: Mapping[str, str]) -> str:
    """Say who proposes, and what each may cost."""
    arms = tuple(dict.fromkeys(config.arms))
    line = "; ".join(_describe(config, arm, environment) for arm in arms)
    limit = f"; all models together at most ${config.max_usd:g}" if config.max_usd is not None else ""
    twice = ", ".join(arm.name for arm in arms if config.arms.count(arm) > 1)
    return f"{line}{limit}{f'; {twice} is in the list twice, and counts once' if twice else ''}"


def _describe(config: Config, arm: ArmSetting, environment: Mapping[str, str]) -> str:
    own = config_of_arm(config, arm)
    researcher = auto.describe(own.agent, own, environment, auto.home_folder())
    program = "without program.md" if own.program == NO_PROGRAM else f"with {own.program}"
    return f"{arm.name} = {researcher}{f', {program}' if arm.program else ''}"
