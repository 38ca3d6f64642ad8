"""Client of one Messages API server: each call is budgeted before, reported before and after, and limited in time.

The SDK's own retries are off: each attempt is a call of its own in the ledger, and faults.py decides how long to wait.
Every failure is raised as Unavailable, Unusable, BadProposal or Spent.
"""

import json
import random
import time
from dataclasses import dataclass, field, replace

from autoresearch.agents.base import BadProposal, Unavailable, Unusable
from autoresearch.agents.claude import faults
from autoresearch.agents.claude.endpoint import create_client
from autoresearch.agents.claude.prices import Prices, SpendLimit, Usage
from autoresearch.agents.claude.stream import CallFailed, Reply, receive
from autoresearch.agents.claude.tools import EDITOR
from autoresearch.agents.services import CallRecord, Services
from autoresearch.config import Config
from autoresearch.files import JsonObject
from autoresearch.text import Trace, one_line

_EDITOR_OF_CLAUDE = {"type": "text_editor_20250728", "name": EDITOR}  # Claude models are trained with this one

OVERHEAD_TOKENS = 2000  # that a server may add to a prompt: tool definitions have a preamble
HEAD_START_TOKENS = 250  # that may be written before the clock counts
COUNT_MARGIN = 1.05  # of a server's own count of tokens, which is an estimate
REFUSED_STATUSES = (400, 422)  # a server's answer to features that it does not have
MAX_TOKENS_PER_S = 500.0  # no model writes faster at standard speed
MAX_ERROR_CHARS = 200


@dataclass(frozen=True)
class Request:
    """A request: `tools` are empty in plain-text mode, `purpose` is for the ledger."""

    model: str
    system: str
    messages: list[JsonObject]
    max_tokens: int
    tools: list[JsonObject] = field(default_factory=list)
    purpose: str = "propose"
    n: int | None = None


class Server:
    """The server of the models. Raises Unusable if there is no key for it, UsageError for a wrong address."""

    def __init__(self, config: Config, services: Services) -> None:
        self.config, self.services = config, services
        self.prices, self.spend_limit = Prices(config.prices), SpendLimit(config.max_usd, services.spent_usd)
        self.client = create_client(config, services.max_call_s)
        self.failures = 0  # calls in a row
        self._plain_models: set[str] = set()  # Claude models whose server refused what only they support
        self._max_density = 0.0  # tokens per byte of a request
        self._random = random.Random()

    @property
    def secrets(self) -> list[str]:
        return [secret for secret in (self.client.api_key, self.client.auth_token) if secret]

    def is_native(self, model: str) -> bool:
        """Return whether the model gets thinking, effort, cache marks and the typed editor, as only Claude does."""
        return "claude" in model.lower() and model not in self._plain_models

    def send(self, request: Request, trace: Trace) -> Reply:
        """Return the reply; wait and try again after faults, for at most `max_wait_s`."""
        waited, tried_plain = 0.0, False
        while True:
            try:
                reply = self._call(request, trace)
            except CallFailed as failure:
                trace.add("fault", name=failure.fault.name, message=failure.message)
                if failure.status in REFUSED_STATUSES and self.is_native(request.model) and not tried_plain:
                    tried_plain = True
                    self._plain_models.add(request.model)
                    continue
                if tried_plain and failure.status in REFUSED_STATUSES:
                    self._plain_models.discard(request.model)  # the features were not the reason
                waited += self._wait(failure, request, waited, trace)
            else:
                self.failures = 0
                return reply

    def _wait(self, failure: CallFailed, request: Request, waited: float, trace: Trace) -> float:
        """Wait before the next attempt and return the seconds. Raises Unusable, BadProposal, Unavailable."""
        fault, message = failure.fault, one_line(trace.clean(failure.message), MAX_ERROR_CHARS)
        if fault.action == "stop":
            where = self.client.base_url.host
            raise Unusable(f"{request.model} at {where}: {fault.name} ({message}): {fault.advice}")
        if fault.action == "repair":
            raise BadProposal(f"{fault.name}: {message}")
        pause = faults.pause(fault, self.failures, failure.retry_after, self._random)
        self.failures += 1
        left = self.services.seconds_left()
        if waited + pause > self.services.max_wait_s or (left is not None and pause > left):
            raise Unavailable(f"{fault.name}: {message}", time.time() + pause)
        self.services.sleep(pause)
        return pause

    def _call(self, request: Request, trace: Trace) -> Reply:
        body = self._body(request)
        size = len(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
        reserved = self.spend_limit.reserve(self._max_cost(request, body, size))
        has_price = self.prices.price(request.model) is not None
        record = CallRecord(request.n, request.purpose, request.model, cost_usd=reserved if has_price else None)
        final: CallRecord | None = None
        try:
            self.services.on_call(record)
            try:
                reply = receive(self.client, body, self.services.time_limit(self.services.max_call_s))
                self._max_density = max(self._max_density, reply.usage.prompt_tokens / size)
                final = self._with_usage(record, reply.usage, None)
                return replace(reply, request_bytes=size)
            except CallFailed as failure:
                final = self._with_failure(record, failure, request, size)
                raise
        finally:
            final = final or replace(record, seconds=time.time() - record.started, error="interrupted")
            self.spend_limit.settle(reserved, final.cost_usd)
            trace.add("call", **{k: v for k, v in final.columns().items() if v is not None})
            self.services.on_call(replace(final, error=trace.clean(final.error)))

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
        """Return the record of a failed call. Its cost is unknown: the most that it can have cost so far counts.

        If the server has not reported the tokens of the prompt, they are estimated by the highest density so far.
        """
        error = f"{failure.fault.name}: {one_line(failure.message, MAX_ERROR_CHARS)}"
        if failure.free:
            return self._with_usage(record, Usage(), error)
        seconds = time.time() - record.started
        written = min(request.max_tokens, HEAD_START_TOKENS + int(MAX_TOKENS_PER_S * seconds))
        if failure.usage is not None:
            cost = self.prices.cost(record.model, replace(failure.usage, output=max(written, failure.usage.output)))
            record = self._with_usage(record, failure.usage, None)
        else:
            prompt_tokens = OVERHEAD_TOKENS + int(COUNT_MARGIN * (self._max_density or 1.0) * size)
            cost = self.prices.max_cost(record.model, prompt_tokens, written)
        return replace(record, cost_usd=cost, seconds=seconds, error=f"{error}; cost: at most")

    def _max_cost(self, request: Request, body: JsonObject, size: int) -> float | None:
        """Return the most that a call can cost. A token has at least one byte; if that bound is too high, count."""
        prompt_tokens = size + OVERHEAD_TOKENS
        cost = self.prices.max_cost(request.model, prompt_tokens, request.max_tokens)
        if self.spend_limit.fits(cost) or not self.is_native(request.model):
            return cost
        count = self._count_tokens(body)
        prompt_tokens = prompt_tokens if count is None else int(count * COUNT_MARGIN) + 1
        return self.prices.max_cost(request.model, prompt_tokens, request.max_tokens)

    def _count_tokens(self, body: JsonObject) -> int | None:
        """Let the server count the tokens of the prompt, which costs nothing; None if it cannot."""
        import anthropic

        prompt = {name: value for name, value in body.items() if name != "max_tokens"}
        try:
            return self.client.messages.count_tokens(**prompt).input_tokens
        except anthropic.APIError:
            return None

    def _body(self, request: Request) -> JsonObject:
        native = self.is_native(request.model)
        body: JsonObject = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "system": [{"type": "text", "text": request.system}],
            "messages": request.messages if native else [_without_marks(message) for message in request.messages],
        }
        if request.tools:
            body["tools"] = [_EDITOR_OF_CLAUDE if native and tool["name"] == EDITOR else tool for tool in request.tools]
        if native:
            # summarised, not omitted: what a model says between tool calls is also returned as thinking
            body["thinking"] = {"type": "adaptive", "display": "summarized"}
            body["output_config"] = {"effort": self.config.effort}
        return body


def _without_marks(message: JsonObject) -> JsonObject:
    """Remove cache marks, for servers that do not support them."""
    content = [
        {name: value for name, value in block.items() if name != "cache_control"} for block in message["content"]
    ]
    return {**message, "content": content}
