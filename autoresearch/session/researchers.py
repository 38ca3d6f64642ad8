"""Create the agents of a session, each with the services that the session provides for it."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from autoresearch.agents import registry
from autoresearch.agents.base import Agent, Spent, Unavailable, Unusable
from autoresearch.agents.disclosure import what_is_sent
from autoresearch.agents.lookup import LedgerLibrary
from autoresearch.agents.services import CallRecord, Services, Tools
from autoresearch.agents.spend_limit import SpendLimit
from autoresearch.agents.told import is_told
from autoresearch.brief.human_text import describe_blank
from autoresearch.config import NO_PROGRAM, ArmSetting, Config, config_of_arm
from autoresearch.files import read_text
from autoresearch.session import describe
from autoresearch.session.arms import Arm, record_arms
from autoresearch.session.context import SessionContext
from autoresearch.session.stopping import Limits
from autoresearch.session.tool_access import is_private
from autoresearch.setup.project import Project


@dataclass(frozen=True)
class Researchers:
    """Create the agents of one run of a session."""

    context: SessionContext
    project: Project
    limits: Limits
    tools: Tools | None

    def create(self) -> list[Arm]:
        """Return the only agent, or those of the arms that can work. Raises Unusable if none can."""
        config = self.project.config
        if not config.arms:
            agent = self._create_agent(config)
            return [Arm(agent, proposals=_proposals(agent, config))]
        record_arms(self.context, config.arms)
        commands = [arm.name for arm in config.arms if arm.agent.startswith("command:")]
        whole = SpendLimit(config.max_usd, self._spent(without=commands))  # these have no limit in dollars
        made = [self._create_arm(setting, whole) for setting in config.arms]
        if able := [arm for arm in made if isinstance(arm, Arm)]:
            return able
        raise Unusable(f"no arm can work: {'; '.join(map(str, made))}")

    def _create_arm(self, setting: ArmSetting, whole: SpendLimit) -> Arm | str:
        """Create one arm; return why its agent cannot work, which the session says."""
        own = config_of_arm(self.project.config, setting)
        try:
            agent = self._create_agent(own, setting.name, whole)
        except Unusable as error:
            self.context.emit("warning", None, f"the session goes on without {setting.name}: {error}")
            return f"{setting.name}: {error}"
        program = None if own.program == NO_PROGRAM else self.project.root / own.program
        return Arm(agent, setting.name, program, _proposals(agent, own))

    def _create_agent(self, config: Config, arm: str | None = None, whole: SpendLimit | None = None) -> Agent:
        """Create an agent with its services. Raises Unusable if it cannot work."""
        context, project = self.context, self.project
        private = project.command is None and is_private(project.data, project.config.share_text)
        library = LedgerLibrary(project.ledger, context.id, shows_prints=not private)
        readable = project.data.readable_library() if project.command is None else None
        services = Services(
            library, readable, self._recorder(arm), self._spent(arm), whole, self.limits.seconds_left, tools=self.tools
        )
        agent = registry.create(config.agent, config, services)
        if words := what_is_sent(agent, private, project.command is not None):
            context.emit("sends", None, describe.with_arm(words, arm))
        self._warn_of_blank_program(config, arm)
        with suppress(Unavailable, Spent):  # the session can begin without it
            agent.check()
        return agent

    def _warn_of_blank_program(self, config: Config, arm: str | None) -> None:
        """Say that an agent that reads instructions has none; a file that cannot be read is told with each brief."""
        if not is_told(config.agent) or config.program == NO_PROGRAM:
            return
        with suppress(OSError):
            if not (read_text(self.project.root / config.program) or "").strip():
                self.context.emit("warning", None, describe.with_arm(describe_blank(config.program), arm))

    def _recorder(self, arm: str | None) -> Callable[[CallRecord], None]:
        """Return what records the calls of an agent."""
        ledger, calls = self.context.ledger, dict[str, int]()

        def record(call: CallRecord) -> None:
            if call.key in calls:
                ledger.update_call(calls.pop(call.key), **call.columns())
            else:
                calls[call.key] = ledger.add_call(self.context.id, arm=arm, **call.columns()).id

        return record

    def _spent(self, arm: str | None = None, without: Collection[str] = ()) -> float:
        """Return the dollars of the session's calls, perhaps of one arm, or of all but some arms."""
        calls = [call for call in self.context.ledger.calls(self.context.id) if call.arm not in without]
        return sum(call.cost_usd or 0.0 for call in calls if arm in (None, call.arm))


def _proposals(agent: Agent, config: Config) -> int:
    """Return how many proposals to ask for in one conversation, at most."""
    return config.proposals if agent.proposes == "remotely" and not config.code_model else 1
