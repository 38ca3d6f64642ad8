"""Faults of model calls, and the action for each: a table, and pure functions of the server's answer.

wait     temporary: try again later, not before the time that the server asks for
stop     the user has to correct something: one clear line
repair   this request was wrong: it counts as a broken proposal
"""

import email.utils
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAX_WAIT_S = 300.0  # a server may ask for more
MAX_DOUBLINGS = 20  # of a wait: no overflow


@dataclass(frozen=True)
class Fault:
    """One kind of fault: its HTTP statuses and error types, and the first wait in seconds."""

    name: str
    action: Literal["wait", "stop", "repair"]
    statuses: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    first_wait_s: float = 1.0
    advice: str = ""


DROPPED = Fault("dropped connection", "wait")
TIMEOUT = Fault("timeout", "wait", (408, 504), ("timeout_error", "timeout"))
GARBLED = Fault("garbled reply", "wait")
NOT_SENT = Fault("no request can be sent", "stop", advice="correct the key, `base_url` and the variables of proxies")
NO_CREDIT = Fault(
    "no credit",
    "stop",
    (402,),
    ("billing_error", "insufficient_quota", "billing_hard_limit_reached"),
    advice="add credit to the account that the key belongs to",
)
USAGE_LIMIT = Fault("usage limit", "wait", first_wait_s=MAX_WAIT_S)
BAD_REQUEST = Fault(
    "request refused",
    "repair",
    (400, 413, 422),
    ("invalid_request_error", "request_too_large", "exceed_context_size_error", "context_length_exceeded"),
)
AUTHENTICATION = Fault(
    "authentication", "stop", (401,), ("authentication_error", "invalid_api_key"), advice="set the key of this server"
)

TABLE = (
    Fault("rate limit", "wait", (429,), ("rate_limit_error", "rate_limit_exceeded"), first_wait_s=2.0),
    Fault("overloaded", "wait", (503, 529), ("overloaded_error",), first_wait_s=2.0),
    Fault("bad gateway", "wait", (502,)),
    Fault("server error", "wait", (409, 500), ("api_error", "conflict_error", "server_error")),
    TIMEOUT,
    AUTHENTICATION,
    Fault("permission", "stop", (403,), ("permission_error",), advice="use a key that may call this model"),
    Fault(
        "unknown model",
        "stop",
        (404,),
        ("not_found_error", "model_not_found"),
        advice="correct `model` (or `base_url`)",
    ),
    NO_CREDIT,
    BAD_REQUEST,
)

_BY_TYPE = {name: fault for fault in TABLE for name in fault.types}
_BY_STATUS = {status: fault for fault in TABLE for status in fault.statuses}


def is_known(kind: object) -> bool:
    """Return whether this is a server's name of an error that the table has."""
    return kind in _BY_TYPE


def classify(status: int | None, kind: str | None, message: str = "") -> Fault:
    """Return the fault for an HTTP status, the server's own error type and its message.

    An error in the middle of a stream has status 200, so the type decides. Some servers answer with a plain 400 if the
    account is empty or at its limit, so the message decides.
    """
    status = status or 0
    fault = _BY_TYPE.get(kind or "")
    if fault is None or fault is BAD_REQUEST:  # OpenAI calls most errors of a request by one type
        fault = _BY_STATUS.get(status, fault)
    if fault is None:
        if status < 400:
            return Fault("unknown error", "wait") if kind or message else GARBLED
        return Fault(f"HTTP {status}", "repair" if status < 500 else "wait")
    if fault is BAD_REQUEST and re.search("credit balance|insufficient (balance|credits)", message.lower()):
        return NO_CREDIT
    return USAGE_LIMIT if fault is BAD_REQUEST and "usage limit" in message.lower() else fault


def pause(fault: Fault, failures: int, retry_after: float | None, rng: random.Random) -> float:
    """Return the seconds to wait after failures in a row: doubling, with jitter, at least what the server asks for."""
    doubled = fault.first_wait_s * 2.0 ** min(failures, MAX_DOUBLINGS)
    own = min(doubled, max(MAX_WAIT_S, fault.first_wait_s)) * rng.uniform(0.5, 1.0)
    return own if retry_after is None else max(own, retry_after + rng.uniform(0.0, 1.0))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a server asks us to wait; None if it does not say."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return seconds if 0 <= seconds < float("inf") else None
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else max(0.0, email.utils.mktime_tz(date) - now)
