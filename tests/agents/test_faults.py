import random
import time
from email.utils import formatdate

import pytest

from autoresearch.agents.llm import faults
from autoresearch.session.fallback import (
    CHANGE_MODE_AFTER,
    FIRST_ABSENCE_S,
    LONGEST_ABSENCE_S,
    STAND_IN_AFTER,
    AgentHealth,
)


@pytest.mark.parametrize(
    ("status", "kind", "message", "name", "action"),
    [
        (429, "rate_limit_error", "", "rate limit", "wait"),
        (529, "overloaded_error", "", "overloaded", "wait"),
        (None, "overloaded_error", "", "overloaded", "wait"),
        (503, None, "", "overloaded", "wait"),
        (502, None, "", "bad gateway", "wait"),
        (504, None, "", "timeout", "wait"),
        (500, "api_error", "", "server error", "wait"),
        (520, None, "", "HTTP 520", "wait"),
        (None, None, "", "garbled reply", "wait"),
        (None, "a type of tomorrow", "", "unknown error", "wait"),
        (None, "exceed_context_size_error", "", "request refused", "repair"),
        (401, "authentication_error", "", "authentication", "stop"),
        (403, "permission_error", "", "permission", "stop"),
        (404, "not_found_error", "", "unknown model", "stop"),
        (402, None, "", "no credit", "stop"),
        (400, "invalid_request_error", "Your credit balance is too low", "no credit", "stop"),
        (400, "invalid_request_error", "You have reached your specified API usage limits.", "usage limit", "wait"),
        (400, "invalid_request_error", "thinking: no", "request refused", "repair"),
        (413, "request_too_large", "", "request refused", "repair"),
        (418, None, "", "HTTP 418", "repair"),
        (401, "invalid_request_error", "Incorrect API key provided", "authentication", "stop"),
        (404, "model_not_found", "", "unknown model", "stop"),
        (429, "insufficient_quota", "", "no credit", "stop"),
        (429, "requests", "", "rate limit", "wait"),
        (400, "context_length_exceeded", "", "request refused", "repair"),
        (500, "server_error", "", "server error", "wait"),
    ],
)
def test_table(status: int | None, kind: str | None, message: str, name: str, action: str) -> None:
    fault = faults.classify(status, kind, message)
    assert (fault.name, fault.action) == (name, action)
    assert bool(fault.advice) == (action == "stop")


def test_waits_double_with_jitter_up_to_a_limit() -> None:
    rng, fault = random.Random(1), faults.classify(529, None)
    waits = [[faults.pause(fault, failures, None, rng) for _ in range(50)] for failures in range(12)]
    for failures, drawn in enumerate(waits):
        top = min(2.0 * 2**failures, faults.MAX_WAIT_S)
        assert top / 2 <= min(drawn) < max(drawn) <= top and len(set(drawn)) > 40
    assert faults.pause(fault, 10**6, None, rng) <= faults.MAX_WAIT_S


def test_a_server_may_ask_for_more_than_we_would_wait() -> None:
    rng = random.Random(1)
    assert 5000 <= faults.pause(faults.classify(429, None), 0, 5000, rng) <= 5001
    assert faults.pause(faults.classify(429, None), 7, 0.0, rng) > 100


def test_retry_after_in_every_form() -> None:
    now = time.time()
    assert faults.retry_after({"retry-after": "7"}, now) == 7
    assert faults.retry_after({"retry-after-ms": "1500", "retry-after": "7"}, now) == 1.5
    assert faults.retry_after({"retry-after": formatdate(now + 60, usegmt=True)}, now) == pytest.approx(60, abs=1.1)
    assert faults.retry_after({"retry-after": formatdate(now - 60, usegmt=True)}, now) == 0
    for nothing in ({}, {"retry-after": "soon"}, {"retry-after": "-3"}, {"retry-after": "inf"}, {"retry-after": "nan"}):
        assert faults.retry_after(nothing, now) is None


def test_broken_proposals_change_the_mode_then_the_agent() -> None:
    health, turns = AgentHealth(), []
    for _ in range(STAND_IN_AFTER):
        turns.append(health.turn(now=100.0))
        health = health.after_broken(now=100.0)
    assert turns == ["agent"] * CHANGE_MODE_AFTER + ["other mode"] * (STAND_IN_AFTER - CHANGE_MODE_AFTER)
    assert health.turn(100.0) == health.turn(99.0 + FIRST_ABSENCE_S) == "stand-in"
    assert health.turn(100.0 + FIRST_ABSENCE_S) == "other mode"  # tried again


def test_on_probation_one_broken_proposal_is_enough_and_a_good_one_forgives_all() -> None:
    health, now, absences = AgentHealth(), 0.0, []
    for _ in range(STAND_IN_AFTER):
        health = health.after_broken(now)
    for _ in range(5):
        absences.append(health.until - now)
        now = health.until
        health = health.after_broken(now)
    assert absences == [FIRST_ABSENCE_S, 2 * FIRST_ABSENCE_S, 4 * FIRST_ABSENCE_S, LONGEST_ABSENCE_S, LONGEST_ABSENCE_S]
    assert health.after_good() == AgentHealth()
    assert health.after_good().after_broken(now).turn(now) == "agent"


def test_a_server_that_is_away_is_not_held_against_the_agent() -> None:
    health = AgentHealth(broken=1).after_unavailable(500.0).after_unavailable(400.0)
    assert health.turn(499.0) == "stand-in" and health.turn(500.0) == "agent"
    assert health.broken == 1 and health.absences == 0


def test_said_done_at_every_fifth_never_costs_the_agent_its_turn() -> None:
    health = AgentHealth()
    for n in range(1, 119):
        assert health.turn(float(n)) == "agent"
        health = health.after_broken(float(n)) if n % 5 == 0 else health.after_good()
