"""Doctor: checks of machine, project and sandbox, and a forecast. Checks change nothing."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoresearch.brief.brief import Brief
from autoresearch.config import Config
from autoresearch.doctor import card_checks, machine_checks, project_checks, protection_checks
from autoresearch.doctor.check import Check
from autoresearch.errors import UserError
from autoresearch.files import JsonObject
from autoresearch.measure.command_spec import CommandSpec
from autoresearch.sandbox.selftest import Inspection
from autoresearch.setup import forecast
from autoresearch.setup.command import read_command
from autoresearch.setup.forecast import Forecast
from autoresearch.setup.project import Project, budget
from autoresearch.setup.project import settings as trial_settings
from autoresearch.setup.session_power import SessionPower, expect_power

__all__ = ["Check", "Findings", "examine"]


@dataclass(frozen=True)
class Findings:
    """The checks. `inspection` is None if no cell starts, `forecast` where trials have no known duration.

    `power` is None where no earlier session has measured the noise.
    """

    checks: list[Check]
    inspection: Inspection | None
    forecast: Forecast | None
    power: SessionPower | None = None

    @property
    def is_blocked(self) -> bool:
        return any(check.level == "blocker" for check in self.checks)

    def as_json(self) -> JsonObject:
        inspection = self.inspection
        return {
            "blocked": self.is_blocked,
            "checks": [vars(check) for check in self.checks],
            "grade": inspection.grade if inspection else None,
            "layers": inspection.layers if inspection else {},
            "weaknesses": inspection.weaknesses if inspection else [],
            "attacks": inspection.attacks if inspection else {},
            "night": self.forecast.as_json() if self.forecast else None,
            "power": self.power.as_json() if self.power else None,
        }


def examine(
    folder: Path,
    flags: Mapping[str, object],
    hours: float = 8.0,
    rehearse: bool = False,
    brief: Brief | None = None,
) -> Findings:
    """Check the machine and the project in `folder`, with its settings and `flags`.

    With `rehearse` the agent is asked for a change, which may cost a call of a model; `brief` is what it is told.
    """
    root, repository = project_checks.check_repository(folder)
    ledger = (root or folder) / "runs" / "ledger.db"
    config, settings = project_checks.check_settings(root or folder, flags)
    chosen, slot = project_checks.check_slot(config)
    dataset, data = project_checks.check_data(config, chosen.device)
    note, exposure = protection_checks.check_exposure(dataset) if dataset else (None, None)
    inspection, cell = protection_checks.check_cell(chosen, dataset, root, note)
    checks = [
        machine_checks.check_python(),
        machine_checks.check_torch(config.device),
        machine_checks.check_card(config.device),
        *(card_checks.check_all(chosen, dataset, ledger, budget(config, chosen.device)) if chosen.gpu else []),
        machine_checks.check_memory(chosen.device),
        *([machine_checks.check_cores(chosen.cores)] if budget(config, chosen.device).unit == "cpu" else []),
        machine_checks.check_git(),
        repository,
        *(project_checks.check_train_file(root, config) if root else []),
        *(project_checks.check_program(root, config) if root else []),
        settings,
        slot,
        *machine_checks.check_disks(root or folder),
        data,
        *([exposure] if exposure else []),
        cell,
        *protection_checks.list_weaknesses(inspection),
        project_checks.check_agent(config),
        *(project_checks.check_rehearsals(root, config, chosen.device, brief) if root and rehearse else []),
        *(project_checks.check_session(root) if root else []),
    ]
    device = chosen.device
    expected = forecast.expect(ledger, budget(config, device), device, config.replicates, hours, len(config.slots))
    power = None
    if root is not None and (basis := dataset or _find_command(root, config)) is not None:
        project = Project(root, config, (chosen,), basis, trial_settings(config, chosen))
        power = expect_power(project, expected if dataset else None)
    return Findings(checks, inspection, expected, power)


def _find_command(root: Path, config: Config) -> CommandSpec | None:
    """Return the command that measures; None if there is none, or a check reports what is wrong with it."""
    with suppress(UserError):
        return read_command(root, config) if config.run is not None else None
    return None
