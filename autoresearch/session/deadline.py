"""When a run ends: after some hours, or at a time of day."""

import time
from datetime import datetime, timedelta

from autoresearch.config import Config
from autoresearch.errors import UserError
from autoresearch.measure.clock import since_boot


def end_of_run(config: Config, asked: float) -> float | None:
    """Return when a run ends, on the clock of `since_boot`; None without a limit. Raises UserError.

    `asked` is when the user asked for it (unix seconds): it may have waited for its slots since then.
    """
    if config.hours is not None:
        return since_boot() + 3600 * config.hours
    if config.until is None:
        return None
    left = next_time(config.until, asked) - time.time()
    if left <= 0:
        raise UserError(f"it is {config.until} already, after the wait for the slots: nothing was run")
    return since_boot() + left


def next_time(text: str, after: float) -> float:
    """Return the next time (unix seconds) at which clocks here show `text`, such as 07:00.

    An hour that is repeated or left out when clocks are changed counts as they show it.
    """
    hour, minute = map(int, text.split(":"))
    today = datetime.fromtimestamp(after).replace(hour=hour, minute=minute, second=0, microsecond=0)
    days = (today + timedelta(days=count) for count in (0, 1))
    moments = [day.replace(fold=fold).timestamp() for day in days for fold in (0, 1)]
    return next(moment for moment in moments if moment > after)
