"""Read the structured record in which a model explains its own change. All of it is a claim."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from autoresearch.agents.base import Proposal
from autoresearch.files import JsonObject
from autoresearch.ledger.categories import CATEGORIES
from autoresearch.metric import Metric
from autoresearch.source.lines import split_lines

SOURCES = """where the idea comes from: an experiment (its n), an idea of ideas.md (idea 3), a note, a paper, or your \
own knowledge"""
OPENINGS = "the opening of the brief that you took, by its name (refine 12), or `own` if you went your own way"
MAX_FIELD_CHARS = 600
MAX_OPENING_CHARS = 60

_SYNONYMS = {
    **dict.fromkeys(["optimizer", "optimization", "optimisation"], "optimiser"),
    **dict.fromkeys(["systems", "speed", "performance"], "throughput"),
    **dict.fromkeys(["bugfix", "bug-fix"], "bug"),
    **dict.fromkeys(["reliability", "stability"], "robustness"),
    "regularization": "regularisation",
    "simplify": "simplification",
    "learning-rate": "schedule",
    "data": "data-order",
}
# both are linear in the length of a reply, which may be hostile
_LINE = re.compile(
    r"[\s>*#-]{0,40}(hypothesis|category|predicted(?:[ _]delta)?|confidence|source|opening|start[ _]from)"
    r"\W{0,9}?[:=]\**[ \t]*(\S.*)",
    re.I,
)
_OBJECT = re.compile(r"\{[^{}]*\}")
_NUMBER = re.compile(r"[-+\u2212]?\d*\.?\d+(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Rationale:
    """Reason and prediction: `predicted` is a change of the number, `confidence` the probability that it improves.

    `opening` is what it took of the brief's offers, `start_from` the experiment whose text was changed.
    """

    hypothesis: str
    category: str
    predicted: float | None
    confidence: float | None
    source: str | None
    opening: str | None = None
    start_from: int | None = None

    def proposal(self, text: str, cost_usd: float | None, trace: list[JsonObject]) -> Proposal:
        """Return the proposal of a text for these reasons."""
        claims = {"confidence": self.confidence, "source": self.source}
        params = {name: value for name, value in claims.items() if value is not None}
        return Proposal(
            text=text,
            hypothesis=self.hypothesis,
            category=self.category,
            predicted=self.predicted,
            cost_usd=cost_usd,
            params=params,
            trace=trace,
            opening=self.opening,
            start_from=self.start_from,
        )


def properties(metric: Metric) -> JsonObject:
    """Return the JSON schema of the fields, all of them required."""
    hypothesis = "what you changed and why it should help, one or two sentences"
    return {
        "hypothesis": {"type": "string", "description": hypothesis},
        "category": {"type": "string", "enum": list(CATEGORIES)},
        "predicted_delta": {"type": "number", "description": predicted_words(metric)},
        "confidence": {"type": "number", "description": confidence_words(metric)},
        "source": {"type": "string", "description": SOURCES},
        "opening": {"type": "string", "description": OPENINGS},
    }


def predicted_words(metric: Metric) -> str:
    """Say what `predicted` is: a difference of raw values, or a share of them on a logarithmic scale."""
    unit = " as a share of it, -0.05 for 5 % less" if metric.is_log else f" in {metric.unit}" if metric.unit else ""
    return f"expected change of {metric.name}{unit}; {metric.better} is better"


def confidence_words(metric: Metric) -> str:
    return f"probability that {metric.name} {metric.gains} at all, 0 to 1"


def read(values: Mapping[str, object]) -> Rationale:
    """Read a record, tolerant of its form. Raises ValueError without a hypothesis."""
    hypothesis = _text(values.get("hypothesis"))
    if not hypothesis:
        raise ValueError("`hypothesis` is missing: say what you changed and why it should help")
    confidence = _number(values.get("confidence"))
    return Rationale(
        hypothesis=hypothesis,
        category=_category(values.get("category")),
        predicted=_number(values.get("predicted_delta", values.get("predicted"))),
        confidence=None if confidence is None else min(max(confidence / (100 if confidence > 1 else 1), 0.0), 1.0),
        source=_text(values.get("source")) or None,
        opening=_text(values.get("opening"))[:MAX_OPENING_CHARS] or None,
        start_from=_experiment(values.get("start_from", values.get("start"))),
    )


def find_in_reply(reply: str) -> Rationale:
    """Read the record in a plain-text reply: `Hypothesis: ...` lines or a JSON object. Raises ValueError."""
    for match in _OBJECT.finditer(reply):
        if '"hypothesis"' in match[0]:
            try:
                return read(json.loads(match[0]))
            except (ValueError, RecursionError):
                continue
    found: dict[str, str] = {}
    for match in filter(None, map(_LINE.match, split_lines(reply))):
        found.setdefault(match[1].lower().split()[0].split("_")[0], match[2].strip("* \t"))
    return read(found)


def count_in_reply(reply: str) -> int:
    """Return how many records a plain-text reply has, by their hypotheses."""
    lines: int = sum(match[1].lower() == "hypothesis" for match in map(_LINE.match, split_lines(reply)) if match)
    return max(lines, sum('"hypothesis"' in match[0] for match in _OBJECT.finditer(reply)))


def _experiment(value: object) -> int | None:
    """Return the number of an experiment, None if there is none."""
    number = _number(value)
    return int(number) if number is not None and 0 <= number < 1e9 else None


def _text(value: object) -> str:
    return " ".join(value.split())[:MAX_FIELD_CHARS] if isinstance(value, str) else ""


def _category(value: object) -> str:
    name = re.sub(r"[\s_]+", "-", _text(value).lower()).strip("-.`'\"")
    name = _SYNONYMS.get(name, name)
    return name if name in CATEGORIES else "other"


def _number(value: object) -> float | None:
    if isinstance(value, str):
        match = _NUMBER.search(value)
        value = float(match[0].replace("\u2212", "-")) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON has integers that no float can hold
        return None
    return number if math.isfinite(number) else None
