"""One Messages API server: a streamed call at a time, reserved before, reported before and after, bounded in time.

The SDK's own retries are off: each attempt is a call of its own in the ledger, and how long to wait is ours to decide
(faults.py). Every failure leaves here as Unavailable, Unusable, BadProposal or Spent.
"""

import json
import os
import random
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autoresearch.agents.base import BadProposal, Unavailable, Unusable
from autoresearch.agents.claude import faults
from autoresearch.agents.claude.prices import Prices, SpendLimit, Usage
from autoresearch.agents.claude.stream import Broken, Reply, receive
from autoresearch.agents.claude.tools import EDITOR
from autoresearch.agents.services import CallRecord, Services
from autoresearch.config import Config
from autoresearch.text import Trace

if TYPE_CHECKING:
    import anthropic

_EDITOR_OF_CLAUDE = {"type": "text_editor_20250728", "name": EDITOR}  # the one that Claude models were taught

OVERHEAD = 2000  # tokens that a server may add to a prompt: tool definitions have a preamble
HEAD_START = 250  # tokens that may be written before we look at the clock
MARGIN = 1.05  # of a server's own count of tokens, which is an estimate
REFUSED = (400, 422)  # a server's answer to features that it does not know
FASTEST = 500.0  # tokens per second: no model writes faster at standard speed
CONNECT_SECONDS = 15.0
NO_KEY = "there is no key for the model: set ANTHROPIC_API_KEY, or use --agent sweep, which needs none"


@dataclass(frozen=True)
class Request:
    """What to send: `tools` are empty in plain-text mode. `purpose` is for the ledger."""

    model: str
    system: str
    messages: list[dict[str, Any]]
    max_tokens: int
    tools: list[dict[str, Any]] = field(default_factory=list)
    purpose: str = "propose"
    n: int | None = None


class Server:
    """Where the models are. Raises Unusable if there is no key for it."""

    def __init__(self, config: Config, services: Services) -> None:
        self.config, self.services = config, services
        self.prices, self.purse = Prices(config.prices), SpendLimit(config.max_usd, services.spent_usd)
        self.client = _client(config, services)
        self.failures = 0  # calls in a row
        self._plain: set[str] = set()  # models that refused what only Claude models know
        self._density = 0.0  # tokens per byte of a request: the most so far
        self._random = random.Random()

    @property
    def secrets(self) -> list[str]:
        """What may never be stored."""
        return [secret for secret in (self.client.api_key, self.client.auth_token) if secret]

    def native(self, model: str) -> bool:
        """Whether to send what only Claude models know: thinking, effort, cache marks, the typed editor."""
        return "claude" in model.lower() and model not in self._plain

    def send(self, request: Request, trace: Trace) -> Reply:
        """One reply, with waits in between as long as patience lasts."""
        waited, tried_plainly = 0.0, False
        while True:
            try:
                reply = self._attempt(request, trace)
            except Broken as broken:
                trace.add("fault", name=broken.fault.name, message=broken.message)
                if broken.status in REFUSED and self.native(request.model) and not tried_plainly:
                    tried_plainly = True
                    self._plain.add(request.model)
                    continue
                if tried_plainly and broken.status in REFUSED:
                    self._plain.discard(request.model)  # that was not the reason
                waited += self._after(broken, request, waited, trace)
                continue
            self.failures = 0
            return reply

    def _after(self, broken: Broken, request: Request, waited: float, trace: Trace) -> float:
        """Wait before the next attempt, and return how long; or give up."""
        fault, said = broken.fault, _line(trace.clean(broken.message))
        if fault.action == "stop":
            where = self.client.base_url.host
            raise Unusable(f"{request.model} at {where}: {fault.name} ({said}): {fault.advice}")
        if fault.action == "repair":
            raise BadProposal(f"{fault.name}: {said}")
        pause = faults.pause(fault, self.failures, broken.retry_after, self._random)
        self.failures += 1
        left = self.services.left()
        if waited + pause > self.services.patience or (left is not None and pause > left):
            raise Unavailable(f"{fault.name}: {said}", time.time() + pause)
        self.services.sleep(pause)
        return pause

    def _attempt(self, request: Request, trace: Trace) -> Reply:
        body = self._body(request)
        size = len(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
        reserved = self.purse.reserve(self._most(request, body, size))
        known = self.prices.of(request.model) is not None
        record = CallRecord(uuid.uuid4().hex, request.n, request.purpose, request.model, time.time())
        record = replace(record, cost_usd=reserved if known else None)
        ended: CallRecord | None = None
        try:
            self.services.on_call(record)
            try:
                reply = receive(self.client, body, self._limit())
                self._density = max(self._density, reply.usage.prompt / size)
                ended = self._ended(record, reply.usage, None)
                return reply
            except Broken as broken:
                ended = self._broken(record, broken, request, size)
                raise
        finally:
            ended = ended or replace(record, seconds=time.time() - record.started, error="interrupted")
            self.purse.settle(reserved, ended.cost_usd)
            trace.add("call", **{k: v for k, v in ended.columns().items() if v is not None})
            self.services.on_call(replace(ended, error=trace.clean(ended.error)))

    def _ended(self, record: CallRecord, usage: Usage, error: str | None) -> CallRecord:
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

    def _broken(self, record: CallRecord, broken: Broken, request: Request, size: int) -> CallRecord:
        """The record of a call without an end. What it cost is not known: the most that it can have cost so far counts.

        Where the server had not even counted the prompt, the densest one so far tells its tokens.
        """
        error = f"{broken.fault.name}: {_line(broken.message)}"
        if broken.free:
            return self._ended(record, Usage(), error)
        seconds = time.time() - record.started
        written = min(request.max_tokens, HEAD_START + int(FASTEST * seconds))
        if broken.usage is not None:
            cost = self.prices.cost(record.model, replace(broken.usage, output=max(written, broken.usage.output)))
            record = self._ended(record, broken.usage, None)
        else:
            prompt = OVERHEAD + int(MARGIN * (self._density or 1.0) * size)
            cost = self.prices.most(record.model, prompt, written)
        return replace(record, cost_usd=cost, seconds=seconds, error=f"{error}; cost: at most")

    def _limit(self) -> float:
        """Seconds that a call may take: not past the session's deadline."""
        left = self.services.left()
        return max(min(self.services.call_seconds, float("inf") if left is None else left), 1.0)

    def _most(self, request: Request, body: dict[str, Any], size: int) -> float | None:
        """The most that a call can cost. A token has at least one byte; where that bound is too wide, ask."""
        prompt = size + OVERHEAD
        most = self.prices.most(request.model, prompt, request.max_tokens)
        if self.purse.fits(most) or not self.native(request.model):
            return most
        counted = self._count(body)
        prompt = prompt if counted is None else int(counted * MARGIN) + 1
        return self.prices.most(request.model, prompt, request.max_tokens)

    def _count(self, body: dict[str, Any]) -> int | None:
        """Tokens of the prompt as the server counts them, which costs nothing; None if it does not say."""
        import anthropic

        asked = {name: value for name, value in body.items() if name != "max_tokens"}
        try:
            return self.client.messages.count_tokens(**asked).input_tokens
        except anthropic.APIError:
            return None

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "system": [{"type": "text", "text": request.system}],
            "messages": request.messages,
        }
        if request.tools:
            body["tools"] = request.tools
        if not self.native(request.model):
            plain: dict[str, Any] = _without_marks(body)
            return plain
        if request.tools:
            body["tools"] = [_EDITOR_OF_CLAUDE if tool["name"] == EDITOR else tool for tool in request.tools]
        # summarised, not omitted: what a model says between tool calls comes back as thinking, too
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        body["output_config"] = {"effort": self.config.effort}
        return body


def _without_marks(value: Any) -> Any:
    """Without cache marks, for servers that do not know them."""
    if isinstance(value, dict):
        return {name: _without_marks(each) for name, each in value.items() if name != "cache_control"}
    return [_without_marks(each) for each in value] if isinstance(value, list) else value


def _client(config: Config, services: Services) -> "anthropic.Anthropic":
    import anthropic

    timeout = anthropic.Timeout(services.call_seconds, connect=CONNECT_SECONDS)
    options: dict[str, Any] = {"max_retries": 0, "timeout": timeout}
    token = config.auth_token.get_secret_value() if config.auth_token else None
    if config.base_url:
        options["base_url"] = config.base_url.rstrip("/").removesuffix("/v1")
        # the key for Anthropic is not for another server: one that needs a key is given `auth_token`
        if not _is_anthropic(config.base_url):
            token = token or "none"
    try:
        client = anthropic.Anthropic(auth_token=token, **options) if token else anthropic.Anthropic(**options)
    except anthropic.CredentialsError as error:
        raise Unusable(f"{NO_KEY} ({_line(str(error))})") from None
    if not (client.api_key or client.auth_token or client.credentials):
        raise Unusable(NO_KEY)
    return client


def _is_anthropic(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "anthropic.com" or host.endswith(".anthropic.com") or url == os.environ.get("ANTHROPIC_BASE_URL")


def _line(text: str) -> str:
    return " ".join(str(text).split())[:200]
