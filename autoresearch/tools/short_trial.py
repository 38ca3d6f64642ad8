"""`check`: run a version for some seconds at true shapes, and say what a trial would run into."""

import math
from dataclasses import dataclass

from autoresearch.files import JsonObject
from autoresearch.measure import parameters, wire
from autoresearch.measure.result import Overhead
from autoresearch.measure.settings import MAX_CHECKPOINT_BYTES, Settings, TrialPlan
from autoresearch.text import plausible
from autoresearch.tools.wording import Vocabulary, number, seconds, shares
from autoresearch.tools.workbench import Workbench

TRAIN_S = 3.0  # of CPU time
SAME_LOGIT = 1e-3  # a change of a logit by less is rounding
ROUNDING = 1e-2  # by the place of a row in the batch


def check(
    bench: Workbench, source: str, seed: int, limit_s: float | None = None, base: Overhead | None = None
) -> tuple[str, str]:
    """Return what was found, in lines, and what the version printed. Raises ToolError.

    `base` is what the base spent beside its budget, from which limits follow; None if that is not known.
    """
    with bench.run("check", source, seed, limit_s, {"seconds": TRAIN_S}) as run:
        message = run.receive("result")
        memory, weights = run.peak_mb(), _count_parameters(message)
        trial = None if bench.scaled else _TrialTimes(bench.settings, base, message.fields)
        lines = _describe(message.fields, memory, weights, Vocabulary(source, bench.private), trial)
    return "\n".join(lines), run.printed


def _count_parameters(message: wire.Message) -> int | None:
    try:
        sealed = [fd for fd in message.fds if wire.is_sealed(fd, MAX_CHECKPOINT_BYTES)]
        return parameters.count(sealed[0]) if sealed else None
    finally:
        message.close()


def _describe(
    facts: JsonObject, memory: float | None, weights: int | None, vocabulary: Vocabulary, trial: "_TrialTimes | None"
) -> list[str]:
    parts = shares(facts.get("parts"), vocabulary)
    size = "?" if memory is None else f"{memory:.0f} MB"
    lines = [
        f"before trial.start() {seconds(facts.get('setup'))}{trial.describe_setup() if trial else ''}",
        f"{number(facts.get('steps'), '.0f')} steps in {TRAIN_S:g} s, {_step(facts)}{': ' + parts if parts else ''};"
        f" last loss {number(facts.get('loss'))}",
        f"save {seconds(facts.get('save'))}, load {seconds(facts.get('load'))};"
        f" {'?' if weights is None else format(weights, ',')} parameters; memory at most {size}",
    ]
    faults = _faults(facts)
    if "shape" not in facts:
        lines.append(
            f"{number(facts.get('rows'), '.0f')} rows answered in {seconds(facts.get('answer'))}"
            f"{trial.describe_scoring() if trial else ''}, their loss is {number(facts.get('row_loss'))} nats a token;"
            f" later tokens change earlier logits by at most {number(facts.get('leak'), '.1e')},"
            f" other rows of the batch by {number(facts.get('mixes'), '.1e')}"
        )
    verdict = "ok: it trains, saves, loads, answers, and is causal"
    if slow := trial.too_slow() if trial else []:
        verdict = f"too slow for a trial: {'; '.join(slow)}"
    return ["it fails: " + "; ".join(faults) if faults else verdict, *lines]


def _step(facts: JsonObject) -> str:
    if facts.get("step") is not None:
        return f"a step takes {seconds(facts['step'])}"
    why = "(train.py logged fewer than two `step`s)"
    if facts.get("batch") is not None:
        return f"a batch takes {seconds(facts['batch'])}, the time of a step is unknown {why}"
    return f"the time of a step is unknown {why}"


@dataclass(frozen=True)
class _TrialTimes:
    """Times that a cell reports, against the limits of a trial."""

    settings: Settings
    base: Overhead | None
    facts: JsonObject

    @property
    def _plan(self) -> TrialPlan | None:
        """Return the plan whose limits follow from the base; None if there are none."""
        return None if self.base is None or self.settings.budget.unit == "steps" else TrialPlan(base=self.base)

    @property
    def _scoring_s(self) -> float | None:
        """Return about how long it takes to answer about all rows of a score."""
        rows, spent = plausible(self.facts.get("rows")), plausible(self.facts.get("answer"))
        return spent * self.settings.eval_rows / rows if rows and spent is not None else None

    def describe_setup(self) -> str:
        """Return how much of the setup would be charged to the budget; "" if none."""
        spent, plan = plausible(self.facts.get("setup")), self._plan
        charged = plan.charge_setup(spent, self.settings.budget) if plan and spent is not None else 0.0
        return f", {seconds(charged)} of it charged to the budget" if charged else ""

    def describe_scoring(self) -> str:
        return "" if self._scoring_s is None else f" (the {self._rows}: about {seconds(self._scoring_s)})"

    def too_slow(self) -> list[str]:
        """Return what would take longer than a trial allows."""
        if (plan := self._plan) is None:
            return []
        settings, batches = self.settings, -(-self.settings.eval_rows // self.settings.eval_batch)
        known = [
            ("load()", plausible(self.facts.get("load")), plan.load_limit(settings.budget)),
            (f"answering the {self._rows}", self._scoring_s, plan.answer_limit(settings.budget, math.inf, batches)),
        ]
        return [
            f"{what} takes about {seconds(spent)}, at most {seconds(limit.amount)} are allowed"
            for what, spent, limit in known
            if spent is not None and spent > limit.amount
        ]

    @property
    def _rows(self) -> str:
        return f"{self.settings.eval_rows} rows of a score"


def _faults(facts: JsonObject) -> list[str]:
    """Return what a trial would refuse, or score as nonsense."""
    if "shape" in facts:
        return [f"the logits have the shape {_shape(facts['shape'])} instead of {_shape(facts.get('wanted'))}"]
    faults = []
    if facts.get("finite") is not True:
        faults.append("some logits are not finite")
    if not _is_below(facts.get("leak"), SAME_LOGIT):
        at = number(facts.get("leak_at"), ".0f")
        faults.append(f"NOT CAUSAL: tokens after position {at} change logits up to it, by {number(facts.get('leak'))}")
    if not _is_below(facts.get("varies"), SAME_LOGIT):
        faults.append("the same rows get other logits the second time")
    if not _is_below(facts.get("mixes"), ROUNDING):
        faults.append(f"logits of a row depend on the other rows of its batch, by {number(facts.get('mixes'))}")
    return faults


def _is_below(value: object, most: float) -> bool:
    found = plausible(value)
    return found is not None and math.isfinite(found) and found <= most


def _shape(value: object) -> str:
    sides = value if isinstance(value, list) else []
    return f"[{', '.join(number(side, '.0f') for side in sides[:8])}]"
