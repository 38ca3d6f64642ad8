"""Who proposes in a session of `run`: the line that says so, and the question before anything is paid."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from autoresearch.agents import auto, mix, registry
from autoresearch.agents.auto import Researcher
from autoresearch.config import FILE, Config
from autoresearch.errors import UserError
from autoresearch.setup.settings_file import remember
from autoresearch.terminal.console import print_line

ANSWERS = {"": True, "y": True, "yes": True, "n": False, "no": False}


def settle_agent(root: Path, config: Config, recorded: str | None) -> Mapping[str, object]:
    """Settle who proposes, say so, and return the settings for it; `recorded` is the agent of a session that goes on.

    A researcher that is paid for is asked about once: the answer is remembered. Raises UserError.
    """
    if config.arms:
        settings = mix.settle(config, root)
        print_line(f"researchers: {mix.describe(config, os.environ)}")
        return settings
    found = auto.find_researchers(config, os.environ, auto.home_folder())
    if auto.must_ask(config, found, recorded) and _has_terminal():
        registry.create(found[0].agent, config.model_copy(update=found[0].settings))  # a key that is none is told first
        if (answer := _ask(found[0])) is not None:
            return _follow(root, config, found, answer)
    settings = auto.settle_unasked(config, found, recorded)
    agent, settled = str(settings["agent"]), config.model_copy(update=settings)
    registry.create(agent, settled)
    _say(agent, settled, found, _reason(config, found, recorded))
    return settings


def _follow(root: Path, config: Config, found: list[Researcher], answer: bool) -> Mapping[str, object]:
    settings = found[0].settings if answer else {"agent": auto.SWEEP}
    if not answer:
        _say(auto.SWEEP, config, found)
    words = " and ".join(f"`{name}: {value}`" for name, value in settings.items())
    try:
        remember(root, settings)
        print_line(f"remembered in {FILE}: {words}")
    except UserError:
        print_line(
            f"{FILE} cannot be changed, so this holds for one session: write {words} into it to be asked no more"
        )
    return settings


def _say(agent: str, config: Config, found: list[Researcher], why: str = "") -> None:
    chosen = auto.describe(agent, config, os.environ, auto.home_folder())
    print_line(auto.announce(chosen, found, why))


def _reason(config: Config, found: list[Researcher], recorded: str | None) -> str:
    if config.agent == auto.AUTO and recorded is not None:
        return "as this session began"
    return "as nobody is here to be asked" if auto.must_ask(config, found, recorded) else ""


def _has_terminal() -> bool:
    """Return whether a person can answer: a program in the background would be stopped when it reads."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return False


def _ask(offer: Researcher) -> bool | None:
    """Return the answer of the person; None if the input is closed."""
    while True:
        print(f"researcher: {offer}; n takes sweep (numeric search, free) [Y/n] ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            return None
        if (answer := ANSWERS.get(line.strip().lower())) is not None:
            return answer
