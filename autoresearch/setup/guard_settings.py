"""The guards of the settings, as the referee takes them."""

from collections.abc import Mapping
from pathlib import Path

from autoresearch import config as configuration
from autoresearch.errors import require
from autoresearch.measure.guards import CommandGuard, Guard, Limit, NumberGuard


def read_guards(
    root: Path, config: configuration.Config, secret: Mapping[str, Path], output: str | None
) -> tuple[Guard, ...]:
    """Return the guards; `secret` are private files that are not in git, `output` is the only one of `run`."""
    return tuple(
        _read_number(each, each.source, output) if each.source else _read_command(root, each, secret)
        for each in config.guards
    )


def _read_command(root: Path, guard: configuration.Guard, secret: Mapping[str, Path]) -> CommandGuard:
    read = {name: root / configuration.expand_user(name) for name in guard.read}
    paths = {**read, **{name: path for name, path in secret.items() if name in guard.private}}
    return CommandGuard(guard.name, guard.command, guard.timeout, paths, guard.private)


def _read_number(guard: configuration.Guard, place: configuration.MetricSource, output: str | None) -> NumberGuard:
    is_upper = guard.at_most is not None
    limit = Limit(require(guard.at_most if is_upper else guard.at_least)[0], is_upper, _is_share(guard))
    file = place.file or (output if place.json_path else None)
    return NumberGuard(guard.name, limit, place.regex, place.json_path, file, bool(place.clock))


def _is_share(guard: configuration.Guard) -> bool:
    return any(is_share for _, is_share in filter(None, (guard.at_most, guard.at_least)))
