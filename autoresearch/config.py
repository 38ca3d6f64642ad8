"""Settings: flags, over the environment (`AUTORESEARCH_BUDGET=5m`), over `autoresearch.yaml`, over defaults."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from autoresearch.errors import UsageError

FILE = "autoresearch.yaml"
PREFIX = "AUTORESEARCH_"


def _words(value: Any) -> Any:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _different(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError("the numbers have to be different")
    return values


Words = Annotated[list[str], BeforeValidator(_words)]
"""A list; from the environment, its words are separated by commas."""

Numbers = Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_words), AfterValidator(_different)]
"""The same of numbers, all different."""


class Price(BaseModel):
    """Dollars for a million tokens. What is left out of the cache prices follows from `input` as Anthropic has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)
    """None: as dear as `input`."""
    cache_write_5m: float | None = Field(default=None, ge=0)
    """None: 1.25 times `input`."""
    cache_write_1h: float | None = Field(default=None, ge=0)
    """None: twice `input`."""


class Config(BaseModel):
    """Everything a user can set. None means: chosen for the device."""

    model_config = ConfigDict(extra="forbid")

    tag: str | None = None
    """Name of the session and of its branch; None goes on with an unfinished session or makes a name."""
    agent: str = "sweep"
    """Who proposes: `sweep`, `claude`, `claude:MODEL`, `command:TOOL` or `scripted:DIR`."""
    model: str | None = None
    """The model that `claude`, or the tool of `command`, asks; None: its default. Any name that the server knows."""
    effort: Literal["low", "medium", "high", "xhigh", "max"] = "medium"
    """How hard a Claude model thinks."""
    code_model: str | None = None
    """A second model that writes the change from the first one's idea; None: one model does both."""
    edit: Literal["tools", "text"] = "tools"
    """How a model edits: by tool calls, or in plain text for models that cannot call tools."""
    max_tokens: int = Field(default=16_000, ge=1000)
    """The longest single reply of a model, thinking included."""
    base_url: str | None = None
    """A server that speaks the Messages API, such as `http://localhost:11434`; None: Anthropic's."""
    auth_token: SecretStr | None = None
    """Key for `base_url`, better set as AUTORESEARCH_AUTH_TOKEN; Anthropic's own is ANTHROPIC_API_KEY."""
    max_usd: float | None = Field(default=None, gt=0)
    """What all model calls of the session may cost together; never exceeded."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """Dollars for a million tokens by model, over the built-in table: `{my-model: {input: 1, output: 5}}`."""
    command_minutes: float = Field(default=10.0, gt=0)
    """How long `command` may work on one proposal."""
    command_read: Words = Field(default_factory=list)
    """Files and folders that `command` may read besides the system, its program and the scratch folder."""
    command_env: Words = Field(default_factory=list)
    """Names of environment variables that `command` gets, such as a key; none are passed on otherwise."""
    judge: Literal["default", "strict", "greedy"] = "default"
    """The rule for a keep; `strict` wants to be nearly certain, `greedy` keeps any lower number, as the original does."""
    max_gpu_gb: float | None = Field(default=None, gt=0)
    """GPU memory that a version may use; more makes it invalid."""
    max_parameters: int | None = Field(default=None, gt=0)
    """Parameters that a version may have, as counted in its checkpoint."""
    max_lines: int | None = Field(default=None, gt=0)
    """Lines that train.py may have."""
    total_pairs: int = Field(default=3, ge=0)
    """Pairs of trials for the honest total when a session ends; 0 leaves it to `autoresearch total`."""
    budget: str | None = None
    """What one trial may train: `5m`, `300s` (wall clock), `15cpu` (CPU seconds), `200steps`."""
    hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """How long the session goes on from now; None: until it is stopped."""
    max_experiments: int | None = Field(default=None, gt=0)
    """Stop when this many experiments are decided."""
    max_disk_gb: float = Field(default=20.0, gt=0)
    """What `runs/` may take; beyond it logs, traces and rows of the worst discards go."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where trials run."""
    threads: int = Field(default=1, gt=0)
    """Threads of a trial on the CPU."""
    slots: Numbers = Field(default_factory=lambda: [0], min_length=1)
    """Where trials run at the same time: numbers of cards (`0,1`), or on the CPU of groups of `threads` cores."""
    replicates: int = Field(default=3, ge=2)
    """Trials of the base at the start; they give sigma."""
    seed: int | None = None
    """Seed of the session; every trial's seed follows from it. None: drawn."""
    source: str = "stdlib"
    """Text to train on: `stdlib`, `files:GLOB[,GLOB...]`, `climbmix` or `climbmix:FOLDER`."""
    shards: int | None = Field(default=None, gt=0)
    """Training shards of climbmix; None: ten."""
    vocab_size: int | None = None
    """Tokens in the vocabulary; 256 means plain bytes."""
    seq_len: int | None = Field(default=None, gt=0)
    """Tokens in a row."""
    eval_rows: int | None = Field(default=None, gt=1)
    """Validation rows that every version is scored on."""
    program: str = "program.md"
    """What the human wants, read before every proposal."""
    train: str = "train.py"
    """The one file that may be edited."""
    on_event: str | None = None
    """A line for sh, run when the session finished, has a new best or a suspect, or needs you (docs/guide.md)."""
    on_event_seconds: float = Field(default=10.0, gt=0, le=600)
    """How long that may take."""
    require_strong: bool = False
    """Refuse to run where the cell cannot be graded STRONG."""


def load(root: Path, flags: dict[str, Any]) -> Config:
    """The configuration for a repository; flags that are None were not given. Raises UsageError."""
    values = _from_file(root / FILE) | _from_environment()
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return Config(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"setting {where!r}: {first['msg'].lower().removeprefix('value error, ')} ({FILE}, {PREFIX}* or flag)"
        ) from None


def cache_folder() -> Path:
    """Where data sets and locks live."""
    return Path(os.environ.get(PREFIX + "CACHE") or platformdirs.user_cache_dir("autoresearch"))


def _from_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{FILE} must hold `name: value` lines")
    return values


def _from_environment() -> dict[str, Any]:
    names = {PREFIX + name.upper(): name for name in Config.model_fields}
    return {names[key]: value for key, value in os.environ.items() if key in names and value}
