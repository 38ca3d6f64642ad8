"""Settings of a command that measures: what runs, where the number is, what a version has to pass."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoresearch.config.values import CommandWords, Expression, Limit, RelativeNames, Seconds


class RunCommand(BaseModel):
    """The command that measures a version, and what it may read and leave behind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: CommandWords = Field(min_length=1)
    outputs: tuple[Annotated[str, Field(pattern=r"^[\w.-]+$")], ...] = ()  # names of files in the folder `{out}`
    timeout: Seconds = Field(default=600.0, gt=0)  # seconds
    read: tuple[str, ...] = ()  # files and folders that it may read beside the tree


class ScoreCommand(BaseModel):
    """A command that scores the outputs of `run`, which stand in `{in}`, when `run` is over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: CommandWords = Field(min_length=1)
    private: RelativeNames = ()  # files that `run` cannot read
    timeout: Seconds = Field(default=600.0, gt=0)  # seconds


class MetricSource(BaseModel):
    """Where the number is: in what the last command prints, in an output that is JSON, or on the referee's clock."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    regex: Expression | None = None  # with one group; matched to lines
    json_path: str | None = Field(default=None, alias="json", pattern=r"^\$(\.\w+)+$")
    file: str | None = None  # the output of `run` with the JSON; None: a line that is printed
    rows: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None  # an output of the last command, one result a task
    clock: Literal["run"] | None = None  # the seconds that `run` takes, by the clock of the referee


class MetricSetting(BaseModel):
    """The one number, its direction, and how it is judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w{1,40}$")
    source: MetricSource = Field(alias="from")
    goal: Literal["min", "max"] = "min"
    unit: str = Field(default="", pattern=r"^[^\s|]{0,16}$")
    kind: Literal["auto", "exact", "noisy", "rate", "time"] = "auto"  # docs/measuring.md
    possible: tuple[float, float] | None = None  # a number outside is suspect

    @property
    def settled_kind(self) -> str:
        """Return the kind that follows from the place of the number, where that says it."""
        return "rate" if self.source.rows else "time" if self.source.clock else self.kind

    @property
    def shown_unit(self) -> str:
        return self.unit or ("s" if self.source.clock else "")


class GuardSetting(BaseModel):
    """What a version has to pass: a command that ends well, or a number with a limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w{1,40}$")
    command: CommandWords = ()  # with the files of the version
    timeout: Seconds = Field(default=600.0, gt=0)  # seconds
    read: tuple[str, ...] = ()  # files and folders that the command may read beside the tree
    private: RelativeNames = ()  # private files that it may read
    source: MetricSource | None = Field(default=None, alias="from")  # as of the metric
    at_most: Limit | None = None
    at_least: Limit | None = None
