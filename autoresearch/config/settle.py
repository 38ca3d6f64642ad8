"""Settings that have to go together."""

import re

from autoresearch.config.arm_settings import MIX, ArmSetting, name_arms, split_agents
from autoresearch.config.measuring import MetricSetting
from autoresearch.config.model import FILE, Config
from autoresearch.errors import UsageError, require


def settle_edited(config: Config) -> Config:
    """Return the settings with the files that may be edited filled in. Raises UsageError if nothing can measure them.

    The built-in trial measures one Python file.
    """
    if config.pools and config.nodes:
        raise UsageError("`nodes` names the cards of one pool, and `pools` those of two: set one of them")
    alone = config.score or config.holdout or config.guards or config.setup or config.python
    if (config.run is None) is not (config.metric is None) or (config.run is None and alone):
        raise UsageError(f"`run` and `metric` in {FILE} belong together: give both, or none for the built-in trial")
    if config.run is not None:
        _check_command(config)
        return config.model_copy(update={"edit": config.edit or [config.train]})
    if not config.edit:
        return config
    if len(config.edit) > 1 or not config.edit[0].endswith(".py") or "*" in config.edit[0] or config.create:
        several = "the built-in trial measures one Python file, and `edit` names others"
        raise UsageError(f"{several}: set `run` and `metric` too, a command and its number (docs/measuring.md)")
    return config.model_copy(update={"train": config.edit[0]})


def settle_arms(config: Config) -> Config:
    """Return the settings with names of the arms, which are `arms` or several agents. Raises UsageError."""
    agents = split_agents(config.agent)
    arms = config.arms or (tuple(ArmSetting(agent=each) for each in agents) if len(agents) > 1 else ())
    if not arms and config.agent == MIX:
        raise UsageError(f"agent mix: write `arms:` into {FILE}, or name several as --agent claude,sweep")
    return config.model_copy(update={"agent": MIX, "arms": name_arms(arms)}) if arms else config


def config_of_arm(config: Config, arm: ArmSetting) -> Config:
    """Return the settings of one arm. The limit of a session in dollars cannot limit a command."""
    limit = None if arm.agent.startswith("command:") else config.max_usd
    own = arm.model_dump(exclude={"name"}, exclude_unset=True)
    return config.model_copy(update={"max_usd": limit, "arms": ()} | own)


def _check_command(config: Config) -> None:
    """Raise UsageError for settings that do not go together with a command."""
    source = config.metric.source if config.metric else None
    if config.metric is not None:
        _check_metric(config, config.metric)
    if source is not None and source.file is not None and config.run and source.file not in config.run.outputs:
        raise UsageError(f"metric.from: {source.file} is none of `run.outputs`")
    if config.score is not None and (not config.run or not config.run.outputs or (source and source.file)):
        raise UsageError("`score` reads `run.outputs` and prints the number: name these, and no `file` in metric.from")
    _check_guards(config)
    if config.holdout is not None and config.score is None:
        raise UsageError("`holdout` needs `score`: both read the outputs of one run")
    if config.budget is not None and not re.fullmatch(r"none|\d+(?:\.\d+)?(?:s|m|h|cpu)", config.budget.strip()):
        raise UsageError(f"cannot read the budget {config.budget!r} of a command: write it as 60s, 5m, 60cpu or none")
    for program in (config.program, *(arm.program for arm in config.arms)):
        if program in config.edit:
            raise UsageError(f"{program} is yours: `edit` may not name it")


def _check_guards(config: Config) -> None:
    """Raise UsageError for a guard that is neither a command nor a number with a limit."""
    names = [guard.name for guard in config.guards]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"guards: {twice[0]} is there twice")
    for guard in config.guards:
        limits = [limit for limit in (guard.at_most, guard.at_least) if limit is not None]
        source, of = guard.source, f"guards: {guard.name}"
        if (source is None) is not bool(guard.command) or len(limits) is not (0 if guard.command else 1):
            raise UsageError(f"{of}: give either `command`, or `from` and one of `at_most` and `at_least`")
        if source is not None and sum(map(bool, (source.regex, source.json_path, source.clock))) != 1:
            raise UsageError(f"{of}: give one of `regex`, `json` and `clock` in `from`, and only one of them")
        if source is not None and source.file and (config.score or source.file not in require(config.run).outputs):
            raise UsageError(f"{of}: {source.file} is none of `run.outputs`, or `score` prints the numbers")


def _check_metric(config: Config, metric: MetricSetting) -> None:
    """Raise UsageError for a place of the number and a kind that do not go together."""
    source = metric.source
    places = (source.regex, source.json_path, source.rows, source.clock)
    if sum(place is not None for place in places) != 1:
        raise UsageError("metric.from: give one of `regex`, `json`, `rows` and `clock`, and only one of them")
    if source.rows and config.score is None and config.run and source.rows not in config.run.outputs:
        raise UsageError(f"metric.from: {source.rows} is none of `run.outputs`")
    if source.clock and config.score is not None:
        raise UsageError("metric.from: the `clock` is that of `run`, which needs no `score`")
    if metric.kind not in ("auto", metric.settled_kind):
        raise UsageError(f"metric.kind: with this `from` it is {metric.settled_kind}, and not {metric.kind}")
    if metric.kind == "rate" and not source.rows:
        raise UsageError("metric.kind: a rate needs `from: {rows: FILE}`, one result a task (docs/measuring.md)")
