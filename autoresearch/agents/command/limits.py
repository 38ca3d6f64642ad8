"""What a coding agent says of its own limits: that one is reached, and when it can be asked again."""

import json
import re
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

MAX_TRUSTED_WAIT_S = 6 * 3600.0  # a time that was misread costs no more than this
RESET_MARGIN_S = 30.0
JUST_PASSED_S = 3600.0  # since a time of the clock at which a limit ends
LAST_LINES = 3  # of the output of a command that calls itself successful

BUSY = re.compile(
    r"(session|usage|weekly|daily|hourly|monthly|spend\w*|rate).?limit|limit (reached|exceeded)|hit your .{0,30}limit"
    r"|out of (extra )?(usage|credits)|credit balance is too low|insufficient.(quota|credit|balance)"
    r"|quota|resource_exhausted|overloaded|too many requests|\b(429|502|503|529)\b",
    re.I,
)
_AT_LIMIT = re.compile(
    r"hit your .{0,30}limit|(session|usage|weekly|daily|rate) limit (reached|exceeded)"
    r"|(exceeded|exhausted) your .{0,30}(quota|limit|capacity)|limit.{0,40}\b(resets?|try again)\b",
    re.I,
)  # words that no change of train.py is described with
_IS_ERROR = re.compile(r'"is_error"\s*:\s*true')

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_SPAN = r"(\d+(?:\.\d+)?)\s*(d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)(?![a-z])"
_AFTER = re.compile(rf"\b(?:resets?|again|retry|retrying)\s+(?:after|in)\s+((?:{_SPAN}[\s,]*(?:and\s+)?)+)", re.I)
_STAMP = re.compile(r"limit reached\|(\d{10})(?:\d{3})?\b")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = rf"({'|'.join(_MONTHS)})[a-z]*\s+(\d{{1,2}})[a-z]{{0,2}},?\s+(?:\d{{4}},?\s+)?(?:at\s+)?"
_CLOCK = re.compile(
    rf"\b(?:resets?|again)\s+(?:(?:on|at)\s+)?(?:{_DATE})?"
    r"(\d{1,2})(?::(\d\d))?\s*([ap]m)?\b(?:\s*\(([\w/+-]+)\))?",
    re.I,
)


def last_words(log: str) -> str:
    """Return the last line of an output, or the text in it if it is the JSON of a result."""
    lines = [line.strip() for line in log.split("\n") if line.strip()]
    last = lines[-1] if lines else ""
    with suppress(ValueError, RecursionError):
        value = json.loads(last)
        if isinstance(value, dict) and isinstance(value.get("result"), str):
            return " ".join(value["result"].split())
    return last


def is_error(log: str) -> bool:
    """Return whether an output is the JSON of a result that calls itself an error, whatever the exit status."""
    return _IS_ERROR.search(log) is not None


def is_at_limit(log: str) -> bool:
    """Return whether the last lines of a command that did not fail say that a limit is reached."""
    lines = [line for line in log.split("\n") if line.strip()]
    return any(_AT_LIMIT.search(line) for line in lines[-LAST_LINES:])


def retry_at(text: str, now: float, otherwise_s: float) -> float:
    """Return when a tool can be asked again (unix seconds): at the time that it names, if it names one."""
    reset = reset_time(text, now)
    if reset is None or reset <= now:
        return now + otherwise_s
    return min(reset + RESET_MARGIN_S, now + MAX_TRUSTED_WAIT_S)


def reset_time(text: str, now: float) -> float | None:
    """Return the time at which a limit is said to end (unix seconds); None if there is none."""
    if stamp := _STAMP.search(text):
        return float(stamp[1])
    if after := _AFTER.search(text):
        return now + sum(float(count) * _UNITS[unit[0].lower()] for count, unit in re.findall(_SPAN, after[1], re.I))
    for match in _CLOCK.finditer(text):
        month, day, hour, minute, half, zone = match.groups()
        if minute is None and half is None:
            continue
        with suppress(ValueError, OverflowError):
            date = (1 + _MONTHS.index(month.lower()), int(day)) if month else None
            hours = int(hour) % 12 + 12 * (half.lower() == "pm") if half else int(hour)
            return _next(date, hours, int(minute or 0), zone, now)
    return None


def _next(date: tuple[int, int] | None, hour: int, minute: int, zone: str | None, now: float) -> float:
    """Return the next time with this date, if there is one, and this clock time. Raises ValueError.

    A clock time that has just passed is returned as it is: the limit ends now, and not in a day.
    """
    here = datetime.fromtimestamp(now, _zone(zone)).replace(hour=hour, minute=minute, second=0, microsecond=0)
    if date is not None:
        here = here.replace(month=date[0], day=date[1])
        return (here if here.timestamp() > now - _UNITS["d"] else here.replace(year=here.year + 1)).timestamp()
    return (here if here.timestamp() > now - JUST_PASSED_S else here + timedelta(days=1)).timestamp()


def _zone(name: str | None) -> tzinfo | None:
    """Return a time zone; None, local time, for no name and for an unknown one."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return None
