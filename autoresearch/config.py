"""Settings: flags over the environment (`AUTORESEARCH_BUDGET=5m`) over `autoresearch.yaml` over defaults."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from autoresearch.errors import UsageError

FILE = "autoresearch.yaml"
PREFIX = "AUTORESEARCH_"
RENAMED = {"edit": "edit_format"}  # old name of a setting -> its name now


def _split(value: object) -> object:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _require_distinct(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError("the numbers have to be different")
    return values


Words = Annotated[list[str], BeforeValidator(_split)]
"""A list of words. In the environment, commas separate them."""

Numbers = Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_split), AfterValidator(_require_distinct)]
"""A list of different numbers. In the environment, commas separate them."""


class Price(BaseModel):
    """Dollars for a million tokens. Cache prices that are left out follow from `input`, as at Anthropic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)
    """None: the price of `input`."""
    cache_write_5m: float | None = Field(default=None, ge=0)
    """None: 1.25 times `input`."""
    cache_write_1h: float | None = Field(default=None, ge=0)
    """None: twice `input`."""


class Config(BaseModel):
    """All settings of a user. None means that the default depends on the device."""

    model_config = ConfigDict(extra="forbid")

    tag: str | None = None
    """Name of the session and of its branch. None: continue an unfinished session, or make a name."""
    agent: str = "sweep"
    """The agent that proposes changes: `sweep`, `claude`, `claude:MODEL`, `command:TOOL` or `scripted:DIR`."""
    model: str | None = None
    """The model of `claude` or of the tool behind `command`: any name that the server knows. None: its default."""
    effort: Literal["low", "medium", "high", "xhigh", "max"] = "medium"
    """Thinking effort of a Claude model."""
    code_model: str | None = None
    """A second model that writes the code for the idea of the first. None: one model does both."""
    edit_format: Literal["tools", "text"] = "tools"
    """Form of a model's edits: tool calls, or plain text for models that cannot call tools."""
    max_tokens: int = Field(default=16_000, ge=1000)
    """Longest single reply of a model in tokens, thinking included."""
    base_url: str | None = None
    """A server with the Messages API, such as `http://localhost:11434`. None: Anthropic's."""
    auth_token: SecretStr | None = None
    """Key for `base_url`, best set as AUTORESEARCH_AUTH_TOKEN. The key for Anthropic is ANTHROPIC_API_KEY."""
    max_usd: float | None = Field(default=None, gt=0)
    """Limit on the cost of all model calls of the session together; never exceeded."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """Prices by model, which replace those of the built-in table: `{my-model: {input: 1, output: 5}}`."""
    command_minutes: float = Field(default=10.0, gt=0)
    """Time limit of `command` for one proposal."""
    command_read: Words = Field(default_factory=list)
    """Files and folders that `command` may read besides the system, its program and its working folder."""
    command_env: Words = Field(default_factory=list)
    """Names of environment variables that `command` gets, such as a key. It gets no others."""
    judge: Literal["default", "strict", "greedy"] = "default"
    """Rule for a keep: `strict` requires near certainty, `greedy` keeps any lower number, as the original does."""
    max_gpu_gb: float | None = Field(default=None, gt=0)
    """Limit on the GPU memory of a version; more makes it invalid."""
    max_parameters: int | None = Field(default=None, gt=0)
    """Limit on the parameters of a version, as counted in its checkpoint."""
    max_lines: int | None = Field(default=None, gt=0)
    """Limit on the lines of train.py."""
    total_pairs: int = Field(default=3, ge=0)
    """Pairs of trials for the honest total at the end of a session; 0: only `autoresearch total` measures it."""
    budget: str | None = None
    """Training budget of one trial: `5m`, `300s` (wall clock), `15cpu` (CPU seconds), `200steps`."""
    hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Duration of the session from now on. None: until it is stopped."""
    max_experiments: int | None = Field(default=None, gt=0)
    """Stop when this many experiments are decided."""
    max_disk_gb: float = Field(default=20.0, gt=0)
    """Limit on the size of `runs/`; beyond it, logs, traces and rows of the worst discards are deleted."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=1, gt=0)
    """Threads of a trial on the CPU."""
    slots: Numbers = Field(default_factory=lambda: [0], min_length=1)
    """Slots for trials at the same time: numbers of cards (`0,1`), or on the CPU of groups of `threads` cores."""
    replicates: int = Field(default=3, ge=2)
    """Trials of the base at the start, from which sigma is estimated."""
    seed: int | None = None
    """Seed of the session, from which the seed of every trial follows. None: random."""
    source: str = "stdlib"
    """Text to train on: `stdlib`, `files:GLOB[,GLOB...]`, `climbmix` or `climbmix:FOLDER`."""
    shards: int | None = Field(default=None, gt=0)
    """Training shards of climbmix. None: ten."""
    vocab_size: int | None = None
    """Tokens in the vocabulary; 256 means plain bytes."""
    seq_len: int | None = Field(default=None, gt=0)
    """Tokens in a row."""
    eval_rows: int | None = Field(default=None, gt=1)
    """Validation rows that every version is scored on."""
    program: str = "program.md"
    """File with the wishes of the human, read before every proposal."""
    train: str = "train.py"
    """The one file that may be edited."""
    on_event: str | None = None
    """A shell command, run when the session finishes, has a new best or a suspect, or needs you (docs/guide.md)."""
    on_event_seconds: float = Field(default=10.0, gt=0, le=600)
    """Time limit of that command."""
    require_strong: bool = False
    """Refuse to run where the grade of the cell is not STRONG."""


def load(root: Path, flags: Mapping[str, object]) -> Config:
    """Read the configuration of a repository; flags that are None were not given. Raises UsageError."""
    sources: dict[str, Mapping[Any, object]] = {
        FILE: _read_file(root / FILE),
        "environment": _read_environment(),
        "command line": {name: value for name, value in flags.items() if value is not None},
    }
    for source, values in sources.items():
        for old in RENAMED.keys() & values.keys():
            raise UsageError(f"setting {old!r} ({source}): its name is now {RENAMED[old]!r}")
    try:
        return Config.model_validate({name: value for values in sources.values() for name, value in values.items()})
    except ValidationError as error:
        first = error.errors()[0]
    source = [source for source, values in sources.items() if first["loc"][0] in values][-1]
    name, text = ".".join(str(part) for part in first["loc"]), first["msg"].lower().removeprefix("value error, ")
    text = "there is no such setting" if first["type"] == "extra_forbidden" else text
    raise UsageError(f"setting {name!r} ({source}): {text}")


def _read_file(path: Path) -> dict[object, object]:
    if not path.exists():
        return {}
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{FILE} must hold `name: value` lines")
    return values


def _read_environment() -> dict[str, str]:
    """Return the settings among the environment variables; an empty one counts as not set."""
    names = {PREFIX + name.upper(): name for name in [*Config.model_fields, *RENAMED]}
    return {names[key]: value for key, value in os.environ.items() if key in names and value}


def cache_folder() -> Path:
    """Return the folder of data sets and locks."""
    return Path(os.environ.get(PREFIX + "CACHE") or platformdirs.user_cache_dir("autoresearch"))
