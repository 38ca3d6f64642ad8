"""A project whose trials run on the nodes of a cluster."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoresearch.errors import UsageError
from autoresearch.fleet.fleet import Fleet
from autoresearch.fleet.node_command import CommandSource
from autoresearch.fleet.node_data import DataSource
from autoresearch.fleet.ray_referee import RayReferee
from autoresearch.measure.referee import Referee
from autoresearch.measure.settings import Settings
from autoresearch.setup.project import Project


@dataclass(frozen=True)
class FleetProject(Project):
    """A project with the nodes that run its trials; this machine has the ledger, git, judge and agents."""

    fleet: Fleet = field(kw_only=True)

    @classmethod
    def of(cls, project: Project, fleet: Fleet) -> "FleetProject":
        """Return a project on a fleet. Raises UsageError for a command with an environment of this machine."""
        if project.command is not None and (project.command.made or project.command.python != sys.executable):
            ours = f"set `python: {sys.executable}`, leave `setup` out, and install what the command needs on each node"
            raise UsageError(f"nodes run a command with the Python of autoresearch there: {ours}; or run without --ray")
        about = vars(project) | {"identity": fleet.identity, "cell": fleet.cell}
        return cls(**about, fleet=fleet)

    def referees(
        self, settings: Settings, count: int, caches: str, export: Callable[[Path], None], say: Callable[[str], None]
    ) -> list[Referee]:
        """Return a referee for each of the first slots.

        `caches` names the session's compile cache, `export` writes the files of its base, `say` gets a line for each
        node that is left out.
        """
        cores = tuple(range(settings.threads)) if settings.device == "cpu" else None  # as many, whichever they are
        settings = replace(settings, cores=cores)
        source = DataSource(self.data) if self.command is None else CommandSource(self.command, export)
        fleets = self._fleet_of_each_slot()[:count]
        return [RayReferee(replace(settings, pool=pool), source, fleet, caches, say) for pool, fleet in fleets]

    def _fleet_of_each_slot(self) -> list[tuple[str | None, Fleet]]:
        """Return the name of the pool of each slot, where there are two, and its nodes."""
        if not self.fleet.pools:
            return [(None, self.fleet) for _ in self.slots]
        return [(name, fleet) for name, fleet in self.fleet.pools.items() for _ in range(fleet.count_slots())]
