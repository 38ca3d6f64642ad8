"""A project whose settings are only proposed: it can be measured before anything of it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoresearch import config as configuration
from autoresearch.analysis.measured_noise import write_noise
from autoresearch.errors import require
from autoresearch.measure.command_referee import CommandReferee
from autoresearch.measure.command_spec import CommandSpec
from autoresearch.metric import NOISY, TIME
from autoresearch.setup import slots
from autoresearch.setup.calibration import Calibration
from autoresearch.setup.command import read_command
from autoresearch.setup.environment import prepare_environment
from autoresearch.setup.project import Project, open_project, pinned_settings, settings, trial_identity
from autoresearch.setup.triplet import Number, Triplet
from autoresearch.source_tree import EditRules
from autoresearch.workspace.edited_files import NEW_MODE
from autoresearch.workspace.git import blob_hash
from autoresearch.workspace.workspace import Workspace


@dataclass(frozen=True)
class ProposedProject:
    """A project, the base of its trials, and files by path that the base does not have yet."""

    project: Project
    workspace: Workspace
    head: str
    glue: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> CommandSpec:
        return require(self.project.command)

    @property
    def text(self) -> str:
        """Return the text of the base."""
        return self.workspace.read(self.head)

    def referee(self) -> CommandReferee:
        return CommandReferee(self.project.settings, self.command, self._export)

    def refusal(self, text: str) -> str | None:
        """Return why a version may not be proposed; None if it may."""
        return self.workspace.limits(self.head, self._rules(), self.command.places).violation(text)

    def _rules(self) -> EditRules:
        config = self.project.config
        return EditRules(tuple(config.edit), config.create)

    def _export(self, folder: Path) -> None:
        self.workspace.export(self.head, folder)
        for name, text in self.glue.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


def propose_project(root: Path, triplet: Triplet, number: Number, slot: str | None = None) -> ProposedProject:
    """Return the project that a triplet makes of a repository, with its number. Raises UserError."""
    config = configuration.load(root, triplet.settings(number) | {"slots": slot})
    chosen = slots.choose(config.device, config.threads, config.slots)
    prepare_environment(root, config)
    command, workspace = read_command(root, config), Workspace.of(root, config)
    head = workspace.head()
    glue = {name: f"{NEW_MODE} {blob_hash(text, head)}" for name, text in triplet.glue.items()}
    spec = replace(command, locked={**command.locked, **glue})
    project = Project(root, config, chosen, spec, settings(config, chosen[0]))
    return ProposedProject(project, workspace, head, triplet.glue)


def open_proposed(root: Path, slot: str | None = None) -> ProposedProject:
    """Return the project of a repository whose settings are written. Raises UserError."""
    project = open_project({"slots": slot}, root)
    workspace = Workspace.of(root, project.config)
    return ProposedProject(project, workspace, workspace.head())


def keep_noise(root: Path, measured: Calibration, slot: str | None = None) -> Path | None:
    """Keep the noise of the base for new sessions, where another trial with another seed shows it; return the file."""
    if measured.metric.kind not in (NOISY, TIME) or measured.sigma <= 0:
        return None
    project = open_project({"slots": slot}, root)
    known = trial_identity(project), pinned_settings(project)
    return write_noise(project.runs, *known, measured.sigma, len(measured.draws) - 1)
