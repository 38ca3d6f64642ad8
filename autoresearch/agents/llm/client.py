"""Client of one server of models: each call is budgeted before, reported before and after, and limited in time.

An SDK's own retries are off: each attempt is a call of its own in the ledger, and faults.py decides how long to wait.
Every failure is raised as Unavailable, Unusable, BadProposal or Spent.
"""

import json
import random
import time
from dataclasses import replace

from autoresearch.agents.base import BadProposal, Unavailable, Unusable
from autoresearch.agents.llm import faults
from autoresearch.agents.llm.api import Api
from autoresearch.agents.llm.messages import Reply, Request
from autoresearch.agents.llm.prices import Prices, Usage
from autoresearch.agents.llm.stream import CallFailed
from autoresearch.agents.services import CallRecord, Services
from autoresearch.agents.spend_limit import SpendLimit
from autoresearch.config import Config
from autoresearch.files import JsonObject
from autoresearch.text import Trace, encodable, one_line

OVERHEAD_TOKENS = 2000  # that a server may add to a prompt: tool definitions have a preamble
HEAD_START_TOKENS = 250  # that may be written before the clock counts
COUNT_MARGIN = 1.05  # of a server's own count of tokens, which is an estimate
REFUSED_STATUSES = (400, 422)  # a server's answer to features that it does not have
MAX_TOKENS_PER_S = 500.0  # no model writes faster at standard speed
MAX_ERROR_CHARS = 200


class Server:
    """The server of the models."""

    def __init__(self, api: Api, prices: Prices, config: Config, services: Services) -> None:
        self.api, self.prices, self.config, self.services = api, prices, config, services
        self.spend_limit = SpendLimit(config.max_usd, services.spent_usd, services.session_limit)
        self.failures = 0  # calls in a row
        self._max_density = 0.0  # tokens per byte of a request
        self._random = random.Random()

    def send(self, request: Request, trace: Trace) -> Reply:
        """Return the reply; wait and try again after faults, for at most `max_wait_s`."""
        waited, left_out = 0.0, set[str]()
        while True:
            try:
                reply = self._call(request, trace)
            except CallFailed as failure:
                trace.add("fault", name=failure.fault.name, message=failure.message)
                if failure.status in REFUSED_STATUSES and failure.fault.action == "repair":
                    if names := self.api.leave_out(request.model, failure.message):
                        left_out |= names
                        continue
                    self.api.restore(request.model, left_out)  # what was left out was not the reason
                waited += self._wait(failure, request, waited, trace)
            else:
                self.failures = 0
                return reply

    def _wait(self, failure: CallFailed, request: Request, waited: float, trace: Trace) -> float:
        """Wait before the next attempt and return the seconds. Raises Unusable, BadProposal, Unavailable."""
        fault, message = failure.fault, one_line(trace.clean(failure.message), MAX_ERROR_CHARS)
        if fault.action == "stop":
            advice = self.api.advice.get(fault.name, fault.advice)
            raise Unusable(f"{request.model} at {self.api.host}: {fault.name} ({message}): {advice}")
        if fault.action == "repair":
            raise BadProposal(f"{fault.name}: {message}")
        pause = faults.pause(fault, self.failures, failure.retry_after, self._random)
        self.failures += 1
        left = self.services.seconds_left()
        if waited + pause > self.services.max_wait_s or (left is not None and pause > left):
            advice = f": {advice}" if (advice := self.api.advice.get(fault.name, "")) else ""
            raise Unavailable(f"{fault.name}: {message}{advice}", time.time() + pause)
        self.services.sleep(pause)
        return pause

    def _call(self, request: Request, trace: Trace) -> Reply:
        body: JsonObject = encodable(self.api.body(request))  # a model may have written half a character
        size = len(json.dumps(body, ensure_ascii=False).encode())
        reserved = self.spend_limit.reserve(self._max_cost(request, body, size))
        has_price = self.prices.price(request.model) is not None
        record = CallRecord(request.n, request.purpose, request.model, cost_usd=reserved if has_price else None)
        final: CallRecord | None = None
        try:
            self.services.on_call(record)
            try:
                reply = self.api.receive(body, self._time_limit())
            except CallFailed as failure:
                final = self._with_failure(record, failure, request, size)
                raise
            final = self._with_reply(record, reply, request, size)
            return replace(reply, request_bytes=size)
        finally:
            final = final or replace(record, seconds=time.time() - record.started, error="interrupted")
            self.spend_limit.settle(reserved, final.cost_usd)
            trace.add("call", **{k: v for k, v in final.columns().items() if v is not None})
            self.services.on_call(replace(final, error=trace.clean(final.error)))

    def _time_limit(self) -> float:
        """Return the seconds that a call may take now."""
        return self.services.time_limit(self.services.max_call_s)

    def _with_reply(self, record: CallRecord, reply: Reply, request: Request, size: int) -> CallRecord:
        if reply.usage is None:
            return self._at_most(record, request, size)
        self._max_density = max(self._max_density, reply.usage.prompt_tokens / size)
        return self._with_usage(record, reply.usage, None)

    def _with_usage(self, record: CallRecord, usage: Usage, error: str | None) -> CallRecord:
        return replace(
            record,
            input_tokens=usage.input,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write_5m + usage.cache_write_1h,
            output_tokens=usage.output,
            cost_usd=self.prices.cost(record.model, usage),
            seconds=time.time() - record.started,
            error=error,
        )

    def _with_failure(self, record: CallRecord, failure: CallFailed, request: Request, size: int) -> CallRecord:
        """Return the record of a failed call. Its cost is unknown: the most that it can have cost so far counts."""
        error = f"{failure.fault.name}: {one_line(failure.message, MAX_ERROR_CHARS)}"
        if failure.free:
            return self._with_usage(record, Usage(), error)
        if failure.usage is None:
            return replace(self._at_most(record, request, size), error=f"{error}; cost: at most")
        written = max(self._max_written(record, request), failure.usage.output)
        cost = self.prices.cost(record.model, replace(failure.usage, output=written))
        record = self._with_usage(record, failure.usage, f"{error}; cost: at most")
        return replace(record, cost_usd=cost)

    def _at_most(self, record: CallRecord, request: Request, size: int) -> CallRecord:
        """Return the record of a call whose tokens the server has not counted, with the most that it can have cost.

        The tokens of the prompt are estimated by the highest density so far.
        """
        prompt_tokens = OVERHEAD_TOKENS + int(COUNT_MARGIN * (self._max_density or 1.0) * size)
        cost = self.prices.max_cost(record.model, prompt_tokens, self._max_written(record, request))
        return replace(record, cost_usd=cost, seconds=time.time() - record.started)

    def _max_written(self, record: CallRecord, request: Request) -> int:
        """Return the most tokens that a model can have written until now."""
        seconds = time.time() - record.started
        return min(request.max_tokens, HEAD_START_TOKENS + int(MAX_TOKENS_PER_S * seconds))

    def _max_cost(self, request: Request, body: JsonObject, size: int) -> float | None:
        """Return the most that a call can cost. A token has at least one byte; if that bound is too high, count."""
        prompt_tokens = size + OVERHEAD_TOKENS
        cost = self.prices.max_cost(request.model, prompt_tokens, request.max_tokens)
        if self.spend_limit.fits(cost) or (count := self.api.count_tokens(body, self._time_limit())) is None:
            return cost
        return self.prices.max_cost(request.model, int(count * COUNT_MARGIN) + 1, request.max_tokens)
