"""Find changes after which a training curve says less on the score that the version will have."""

import difflib
import re

# The loss that is logged may have other targets, weights or noise than that of the score.
_LOSS = re.compile(r"loss|nll|nats|cross_entropy|log_softmax|dropout|smoothing|aux|\.log\(|\breport\(", re.I)
# Until a schedule differs from that of the incumbent, the curves are equal; later they may cross.
_SCHEDULE = re.compile(r"progress|schedul|warm|cooldown|anneal|ramp|final_lr|lr_scale|batch", re.I)


def may_log_another_loss(before: str, after: str) -> bool:
    """Return whether a changed line of code says something on the loss."""
    return any(map(_LOSS.search, _changed_lines(before, after)))


def may_change_schedule(before: str, after: str) -> bool:
    """Return whether a changed line of code says something on a schedule, or on the size of a batch."""
    return any(map(_SCHEDULE.search, _changed_lines(before, after)))


def _changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(_code(before), _code(after))
    return [line for line in lines if line.startswith(("- ", "+ "))]


def _code(text: str) -> list[str]:
    """Return the lines without what follows a `#`: more than comments may go, on both sides."""
    return [line.partition("#")[0].strip() for line in text.splitlines()]
