"""A project whose trials run on the nodes of a cluster."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from autoresearch.errors import UsageError
from autoresearch.fleet.fleet import Fleet
from autoresearch.fleet.ray_referee import RayReferee
from autoresearch.measure.referee import Referee
from autoresearch.setup.project import Project


@dataclass(frozen=True)
class FleetProject(Project):
    """A project with the nodes that run its trials; this machine has the ledger, git, judge and agents."""

    fleet: Fleet = field(kw_only=True)

    @classmethod
    def of(cls, project: Project, fleet: Fleet) -> "FleetProject":
        """Return a project on a fleet. Raises UsageError where a command measures."""
        if project.command is not None:
            raise UsageError("--ray runs the built-in trial only: a command (`run` in autoresearch.yaml) runs here")
        about = vars(project) | {"identity": fleet.identity, "cell": fleet.cell}
        return cls(**about, fleet=fleet)

    def referees(self, count: int, private: bool, caches: str, say: Callable[[str], None]) -> list[Referee]:
        """Return a referee for each of the first slots; `say` gets a line for each node that is left out."""
        settings = replace(self.settings, private=private)
        return [RayReferee(settings, self.data, self.fleet, caches, say) for _ in self.slots[:count]]
