"""The researchers of a session, and who is asked next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoresearch.agents.base import Agent
from autoresearch.config import MIX, ArmSetting, Config
from autoresearch.judge.allocation import choose_arm
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.arm_records import arm_records
from autoresearch.measure.clock import since_boot
from autoresearch.session.context import SessionContext
from autoresearch.session.fallback import AgentHealth

ARMS_EVENT = "arms"  # kind of the event that records the settings of the arms of a run


class ArmAway(Exception):
    """The arm that was asked cannot propose now; another one can."""


class NobodyAble(Exception):
    """No arm can propose before `until` (on the clock of `since_boot`), and the stand-in has nothing to propose."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self.until = until


@dataclass
class Arm:
    """One researcher: its agent, the text that it follows, and how it does.

    `program` is its own program.md, None: none. The only researcher of a session has no name.
    """

    agent: Agent
    name: str | None = None
    program: Path | None = None
    proposals: int = 1  # at most in one conversation
    health: AgentHealth = field(default_factory=AgentHealth)

    @property
    def title(self) -> str:
        return self.name or self.agent.name

    @property
    def is_able(self) -> bool:
        """Return whether it can be asked now."""
        return self.health.turn(since_boot()) != "stand-in"

    @property
    def is_done(self) -> bool:
        """Return whether it proposes nothing more in this run."""
        return self.health.until == math.inf


@dataclass(frozen=True)
class Arms:
    """The arms of a session; with several, the evidence decides which one is asked."""

    context: SessionContext
    arms: Sequence[Arm]
    usd_per_hour: float = 0.0  # of the machine

    @property
    def proposals(self) -> int:
        """Return how many proposals one conversation may have."""
        return max(arm.proposals for arm in self.arms)

    def find(self, name: str | None) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def can_ask(self, without: Arm | None = None) -> bool:
        """Return whether an arm can be asked, perhaps another one than `without`."""
        return any(arm.is_able for arm in self.arms if arm is not without)

    @property
    def back_at(self) -> float:
        """Return when the first arm can be asked again (as `since_boot`); infinity if none will be."""
        return min(arm.health.until for arm in self.arms)

    def next(self, n: int) -> Arm:
        """Return who is asked for experiment `n`. Hold the lock."""
        if len(self.arms) == 1:
            return self.arms[0]
        able = [arm for arm in self.arms if arm.is_able]
        able = able or [arm for arm in self.arms if not arm.is_done] or list(self.arms)
        ledger, row = self.context.ledger, self.context.row
        records = arm_records(ledger, row, [str(arm.name) for arm in able], self.usd_per_hour)
        return self.find(choose_arm(records, row.seed_of("arm", n)))


def agent_of_session(config: Config) -> str:
    """Return the agent of a session as the ledger names it."""
    return f"{MIX}: {', '.join(arm.name for arm in config.arms)}" if config.arms else config.agent


def is_mix(session: Session) -> bool:
    return session.agent.startswith(f"{MIX}: ")


def recorded_arms(ledger: Ledger, session: Session) -> list[ArmSetting]:
    """Return the arms of a session's newest run; empty if it had one agent."""
    events = ledger.events(session.id, kind=ARMS_EVENT)
    return [ArmSetting.model_validate(each) for each in events[-1].data["arms"]] if events else []


def record_arms(context: SessionContext, arms: Sequence[ArmSetting]) -> None:
    """Record the arms of a run, and say what has changed since the one before."""
    before = {arm.name: arm for arm in recorded_arms(context.ledger, context.row)}
    names = ", ".join(arm.name for arm in arms)
    changed = [arm.name for arm in arms if before.get(arm.name) != arm]
    gone = [name for name in before if name not in {arm.name for arm in arms}]
    if before and (changed or gone):
        parts = {"new or changed": changed, "no longer there": gone}
        names += f" ({'; '.join(words + ': ' + ', '.join(each) for words, each in parts.items() if each)})"
    data = [arm.model_dump(exclude_unset=True) for arm in arms]
    context.emit(ARMS_EVENT, None, names, arms=data)
