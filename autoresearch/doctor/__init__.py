"""What `doctor` finds out: what works here, what is missing and what to do about it, what is protected.

    check.py     one finding
    machine.py   Python, torch, card, memory, disks, git
    project.py   repository, settings, train.py, data, slot, agent, session
    cell.py      the sandbox, by attacking it

Nothing is made or changed here, and no finding hides another: what cannot be looked at is left out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoresearch.config import Config
from autoresearch.doctor import machine_checks, project_checks, protection_checks
from autoresearch.doctor.check import Check
from autoresearch.sandbox.selftest import Inspection
from autoresearch.setup import forecast
from autoresearch.setup.forecast import Forecast
from autoresearch.setup.project import budget

__all__ = ["Check", "Findings", "examine"]


@dataclass(frozen=True)
class Findings:
    """All checks; what the self-attack found and what a night gives are None where that cannot be said."""

    checks: list[Check]
    inspection: Inspection | None
    night: Forecast | None

    @property
    def blocked(self) -> bool:
        """Whether something has to be mended before `run` can work."""
        return any(check.level == "blocker" for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """The shape of `doctor --json`."""
        found = self.inspection
        return {
            "blocked": self.blocked,
            "checks": [vars(check) for check in self.checks],
            "grade": found.grade if found else None,
            "layers": found.layers if found else {},
            "weaknesses": found.weaknesses if found else [],
            "attacks": found.attacks if found else {},
            "night": self.night.as_json() if self.night else None,
        }


def examine(folder: Path, flags: dict[str, Any], hours: float = 8.0, rehearse: bool = False) -> Findings:
    """Check the machine, and what of a project there is in `folder`, as `flags` and settings have it.

    With `rehearse` the agent is asked for a change, which may cost a call of a model.
    """
    root, repository = project_checks.repository(folder)
    config, settings = project_checks.settings(root or folder, flags)
    slot, place = project_checks.slot(config)
    data, prepared = project_checks.data(config, slot.device)
    inspection, protected = protection_checks.inspect(slot, data, root)
    checks = [
        machine_checks.python(),
        machine_checks.torch(config.device),
        *machine_checks.card(config.device),
        machine_checks.memory(slot.device),
        machine_checks.git(),
        repository,
        *(project_checks.train_file(root, config) if root else []),
        *(project_checks.program(root, config) if root else []),
        settings,
        place,
        *machine_checks.disks(root or folder),
        prepared,
        protected,
        *protection_checks.weaknesses(inspection),
        project_checks.agent(config),
        *([project_checks.rehearsal(root, config, slot.device)] if root and rehearse else []),
        *(project_checks.session(root) if root else []),
    ]
    return Findings(checks, inspection, _night(root or folder, config, slot.device, hours))


def _night(root: Path, config: Config, device: str, hours: float) -> Forecast | None:
    ledger = root / "runs" / "ledger.db"
    return forecast.expect(ledger, budget(config, device), device, config.replicates, hours)
