"""Find changes after which a training curve says less on the score that the version will have."""

import re

# The loss that is logged may have other targets, weights or noise than that of the score.
_LOSS = re.compile(r"loss|nll|nats|cross_entropy|log_softmax|dropout|smoothing|aux|\.log\(|\breport\(", re.I)
# Until a schedule differs from that of the incumbent, the curves are equal; later they may cross.
_SCHEDULE = re.compile(r"progress|schedul|warm|cooldown|anneal|ramp|final_lr|lr_scale|batch", re.I)


def may_log_another_loss(before: str, after: str) -> bool:
    """Return whether a changed line of code says something on the loss."""
    return _matching_lines(_LOSS, before) != _matching_lines(_LOSS, after)


def may_change_schedule(before: str, after: str) -> bool:
    """Return whether a changed line of code says something on a schedule, or on the size of a batch."""
    return _matching_lines(_SCHEDULE, before) != _matching_lines(_SCHEDULE, after)


def _matching_lines(pattern: re.Pattern[str], text: str) -> list[str]:
    """Return the lines that match without what follows a `#`: more than comments may go, on both sides."""
    code = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in code if pattern.search(line)]
