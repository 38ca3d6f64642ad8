"""Tools that try a version, as any model gets them: their definitions and their calls, without a provider's form."""

from collections.abc import Callable, Sequence
from typing import Literal

from autoresearch.agents.services import Tools
from autoresearch.brief.tokens import quote
from autoresearch.files import JsonObject

Role = Literal["propose", "idea", "code"]
Call = Callable[[JsonObject], str]

CHECK_HELP = """Check whether train.py as edited could be measured, and run it for some seconds on a spare core, at \
true shapes: train, save, load, causality, time of a step and its parts, memory, what it printed first and last."""
_SAME_HELP = """Whether train.py as edited computes the same function as experiment `n` (without it, the incumbent), \
with the same seed: answers before training and after some steps, and which weights differ."""
_PROFILE_HELP = "Where the time of a training step of train.py as edited goes: by operator (torch) or function (numpy)."
_PROBE_HELP = """Run Python code of yours (at most 8,000 characters) on the training rows, for at most 20 s of CPU \
time (80 s on the clock) on a spare core, and get what it prints (2,000 characters). Names: `rows` (uint16 \
[n, seq_len + 1], of the first shard), `vocab_size`, `seq_len`, `seed`, `np`; `import train` is train.py as edited. \
Measure statistics and times: nothing is kept, and no validation data is there."""

MAX_NUMBER = 2**31  # no experiment has it


def define(name: str, description: str, properties: JsonObject, required: Sequence[str] = ()) -> JsonObject:
    """Return a tool with the JSON schema of its input; an API converts it to its own form."""
    schema = {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}
    return {"name": name, "description": description, "input_schema": schema}


DEFINITIONS = [  # of the tools beside `check`
    define("same", _SAME_HELP, {"n": {"type": "integer"}}),
    define("profile", _PROFILE_HELP, {}),
    define("probe", _PROBE_HELP, {"code": {"type": "string"}}, ["code"]),
]


def calls(tools: Tools, role: Role, text: Callable[[], str]) -> dict[str, Call]:
    """Return the calls of a role by name; `text` returns train.py as edited. A call raises ValueError if it is refused.

    Who only has ideas may probe; who only writes code may not.
    """
    found: dict[str, Call] = {}
    if role != "idea":
        found |= {
            "same": lambda values: quote("cell", tools.same(text(), _read_other(values.get("n")))),
            "profile": lambda values: quote("cell", tools.profile(text())),
        }
    if role != "code":
        found["probe"] = lambda values: quote("cell", tools.probe(text(), _code(values.get("code"))))
    return found


def try_version(tools: Tools | None, text: str) -> str:
    """Return what happens when a version runs for some seconds; without tools, nothing."""
    if tools is None:
        return ""
    try:
        return "\n" + quote("cell", tools.check(text))
    except ValueError as error:
        return f"; it was not run: {error}"


def read_number(value: object) -> int:
    """Read the number of an experiment from the input of a tool. Raises ValueError."""
    try:
        n = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        n = -1
    if not 0 <= n < MAX_NUMBER:
        raise ValueError("`n` has to be the number of an experiment")
    return int(n)


def _read_other(value: object) -> int | None:
    """Read the version to compare with; None, the incumbent, if there is none."""
    return None if value in (None, "") else read_number(value)


def _code(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("`code` has to be a text: Python that prints what you want to know")
    return value
