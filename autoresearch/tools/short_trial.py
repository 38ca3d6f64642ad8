"""`check`: run a version for some seconds at true shapes, and say what a trial would run into."""

import math

from autoresearch.files import JsonObject
from autoresearch.measure import parameters, wire
from autoresearch.measure.settings import MAX_CHECKPOINT_BYTES
from autoresearch.text import plausible
from autoresearch.tools.wording import Vocabulary, number, seconds, shares
from autoresearch.tools.workbench import Workbench

TRAIN_S = 3.0  # of CPU time
SAME_LOGIT = 1e-3  # a change of a logit by less is rounding
ROUNDING = 1e-2  # by the place of a row in the batch


def check(bench: Workbench, source: str, seed: int, limit_s: float | None = None) -> tuple[str, str]:
    """Return what was found, in lines, and what the version printed. Raises ToolError."""
    with bench.run("check", source, seed, limit_s, {"seconds": TRAIN_S}) as run:
        message = run.receive("result")
        memory, weights = run.peak_mb(), _count_parameters(message)
        eval_rows = None if bench.scaled else bench.settings.eval_rows
        lines = _describe(message.fields, memory, weights, Vocabulary(source, bench.private), eval_rows)
    return "\n".join(lines), run.printed


def _count_parameters(message: wire.Message) -> int | None:
    try:
        sealed = [fd for fd in message.fds if wire.is_sealed(fd, MAX_CHECKPOINT_BYTES)]
        return parameters.count(sealed[0]) if sealed else None
    finally:
        message.close()


def _describe(
    facts: JsonObject, memory: float | None, weights: int | None, vocabulary: Vocabulary, eval_rows: int | None
) -> list[str]:
    parts = shares(facts.get("parts"), vocabulary)
    step = "unknown (fewer than two `step`s were logged)" if facts.get("step") is None else seconds(facts["step"])
    size = "?" if memory is None else f"{memory:.0f} MB"
    lines = [
        f"setup {seconds(facts.get('setup'))}; {number(facts.get('steps'), '.0f')} steps in {TRAIN_S:g} s, a step takes"
        f" {step}{': ' + parts if parts else ''}; last loss {number(facts.get('loss'))}",
        f"save {seconds(facts.get('save'))}, load {seconds(facts.get('load'))};"
        f" {'?' if weights is None else format(weights, ',')} parameters; memory at most {size}",
    ]
    faults = _faults(facts)
    if "shape" not in facts:
        lines.append(
            f"{number(facts.get('rows'), '.0f')} rows answered in {seconds(facts.get('answer'))}"
            f"{_scoring_time(facts, eval_rows)}, their loss is {number(facts.get('row_loss'))} nats a token;"
            f" later tokens change earlier logits by at most {number(facts.get('leak'), '.1e')},"
            f" other rows of the batch by {number(facts.get('mixes'), '.1e')}"
        )
    verdict = "it fails: " + "; ".join(faults) if faults else "ok: it trains, saves, loads, answers, and is causal"
    return [verdict, *lines]


def _scoring_time(facts: JsonObject, eval_rows: int | None) -> str:
    """Return about how long it takes to answer about all rows of a score."""
    rows, spent = plausible(facts.get("rows")), plausible(facts.get("answer"))
    if not rows or spent is None or eval_rows is None:
        return ""
    return f" (the {eval_rows} rows of a score: about {seconds(spent * eval_rows / rows)})"


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
