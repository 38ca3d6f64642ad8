"""Settings: flags over the environment (`AUTORESEARCH_BUDGET=5m`) over `autoresearch.yaml` over defaults."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from autoresearch.config.arm_settings import MIX, NO_PROGRAM, ArmSetting, split_agents
from autoresearch.config.measuring import GuardSetting, MetricSetting, MetricSource, RunCommand, ScoreCommand
from autoresearch.config.model import FILE, Config, how_to_price
from autoresearch.config.places import PREFIX, cache_folder, expand_user, serve_token_file, split_paths
from autoresearch.config.settle import config_of_arm, settle_arms, settle_edited
from autoresearch.config.values import Price
from autoresearch.errors import UsageError

__all__ = [
    "FILE",
    "MIX",
    "NO_CLUSTER",
    "NO_PROGRAM",
    "PREFIX",
    "ArmSetting",
    "Config",
    "GuardSetting",
    "MetricSetting",
    "MetricSource",
    "Price",
    "RunCommand",
    "ScoreCommand",
    "cache_folder",
    "config_of_arm",
    "expand_user",
    "find_unread",
    "how_to_price",
    "load",
    "serve_token_file",
    "split_agents",
    "split_paths",
]

MISNAMED_FILES = ("autoresearch.yml", ".autoresearch.yaml", ".autoresearch.yml")  # nobody reads them
ENDS = ("hours", "until")  # of a run: a source that gives one of them overrides both of the sources before it
FLAGS = {"pools": "pool"}  # settings whose flag has another name
NO_CLUSTER = "none"  # as the address of a cluster: trials run on this machine
NO_SETTINGS = ("CACHE", "EVENT", "TEXT")  # our other variables: the cache folder, and what `on_event` gets


def load(root: Path, flags: Mapping[str, object]) -> Config:
    """Read the configuration of a repository; flags that are None were not given. Raises UsageError.

    Relative paths are relative to the file that names them, else to the current folder.
    """
    sources: dict[str, Mapping[Any, object]] = {
        FILE: _anchor(_read_file(root / FILE), root),
        "environment": _read_environment(),
        "command line": {name: value for name, value in flags.items() if value is not None},
    }
    try:
        return settle_edited(settle_arms(Config.model_validate(_merge(sources))))
    except ValidationError as error:
        first = error.errors()[0]
    source = [source for source, values in sources.items() if first["loc"][0] in values][-1]
    name, text = ".".join(str(part) for part in first["loc"]), first["msg"].lower().removeprefix("value error, ")
    if first["type"] == "extra_forbidden":
        text = f"there is no such setting{_suggest(name, Config.model_fields)}"
    raise UsageError(f"{_typed(name, source)}: {text}")


def _merge(sources: Mapping[str, Mapping[Any, object]]) -> dict[Any, object]:
    """Return the settings of all sources; later ones override earlier ones. Raises UsageError for two ends of a run.

    A source that names an agent overrides the arms of the sources before it.
    """
    merged: dict[Any, object] = {}
    for source, values in sources.items():
        given = [name for name in ENDS if values.get(name) is not None]
        if len(given) > 1:
            words = " and ".join(_typed(name, source) for name in given)
            raise UsageError(f"{words} are both given: choose one of them")
        replaced = [*(ENDS if given else ()), *(("arms",) if values.get("agent", MIX) != MIX else ())]
        merged = {name: value for name, value in merged.items() if name not in replaced} | dict(values)
    return merged


def find_unread(root: Path) -> list[str]:
    """Return a line for each variable and file that looks like a setting of ours, and that nobody reads."""
    known = [name.upper() for name in [*Config.model_fields, *NO_SETTINGS]]
    names = sorted(name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX))
    unknown = [name for name in names if name not in known]
    lines = [f"{PREFIX}{name} is set, but nothing reads it{_suggest(name, known, PREFIX)}" for name in unknown]
    files = [name for name in MISNAMED_FILES if (root / name).exists()]
    return [*lines, *(f"{name} is not read: its name has to be {FILE}" for name in files)]


def _suggest(name: str, known: Iterable[str], prefix: str = "") -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {prefix}{nearest[0]}?" if nearest else ""


def _typed(name: str, source: str) -> str:
    """Return a setting as the user typed it: a flag, a variable, or a key of the file."""
    if source == "command line":
        return f"--{FLAGS.get(name, name).replace('_', '-')}"
    if source == "environment":
        return PREFIX + name.upper()
    return f"{name!r} in {source}"


def _read_file(path: Path) -> dict[object, object]:
    if not path.exists():
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{FILE} must hold `name: value` lines")
    for name in values:
        if not isinstance(name, str):
            raise UsageError(f"{_typed('null' if name is None else str(name), FILE)}: keys should be strings")
    return values


def _read_environment() -> dict[str, str]:
    """Return the settings among the environment variables; an empty one counts as not set."""
    names = {PREFIX + name.upper(): name for name in Config.model_fields}
    return {names[key]: value for key, value in os.environ.items() if key in names and value}


def _anchor(values: dict[object, object], folder: Path) -> dict[object, object]:
    """Make relative paths among the values of a file relative to its folder."""

    def full(name: str) -> str:
        return name if name.startswith("~") else str(folder / name)

    anchored = dict(values)

    def anchor_agent(agent: object) -> object:
        kind, _, folder_name = agent.partition(":") if isinstance(agent, str) else ("", "", "")
        return f"scripted:{full(folder_name)}" if kind == "scripted" and folder_name else agent

    def anchor_arm(arm: object) -> object:
        return (
            arm | {"agent": anchor_agent(arm.get("agent"))}
            if isinstance(arm, dict) and "agent" in arm
            else anchor_agent(arm)
        )

    for name, kind in (("source", "files"), ("source", "climbmix")):
        value = values.get(name)
        if isinstance(value, str) and value.startswith(f"{kind}:"):
            text = value.removeprefix(f"{kind}:")
            paths = split_paths(text, folder) if kind == "files" else filter(None, [text])
            anchored[name] = f"{kind}:{','.join(map(full, paths))}"
    if isinstance(agents := values.get("agent"), str):
        anchored["agent"] = ",".join(str(anchor_agent(each)) for each in split_agents(agents))
    if isinstance(arms := values.get("arms"), list):
        anchored["arms"] = [anchor_arm(each) for each in arms]
    return anchored
