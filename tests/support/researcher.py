"""A simulated model for the loopback server: it reads train.py and edits it through real tool calls.

It views the file, moves one numeric constant, checks, and proposes; if the check refuses, it moves it differently.
"""

import random
import re
from collections.abc import Callable

from support.messages_server import Block, Drop, Reply, Request, Status, Step, text, thinking, tool

from autoresearch.source.constants import Constant, constants, with_constants

EDITOR = "str_replace_based_edit_tool"
DONE = "I am done: I see no further improvement. Shall I stop here?"


class Researcher:
    """A server's plan. In every `done_every`-th conversation it says that it is done."""

    def __init__(self, done_every: int = 0, seed: int = 0) -> None:
        self.done_every, self.seed = done_every, seed
        self.conversations = 0

    def __call__(self, request: Request) -> Step:
        if len(request.body.get("tools", [])) < 2:
            return Reply([text("ready")])  # a test of the connection
        if request.turn == 0:
            self.conversations += 1
        if self.done_every and self.conversations % self.done_every == 0:
            return Reply([thinking("Nothing left."), text(DONE)])
        results = request.results() if request.turn else []
        if len(results) == 1:
            return Reply(self._edit(results[0], request.turn))
        if len(results) == 2 and results[1].startswith("ok"):
            return Reply([self._proposal(request)])
        return Reply([thinking("Let me look at the file."), tool(EDITOR, command="view", path="train.py")])

    def _edit(self, view: str, turn: int) -> list[Block]:
        source = re.sub(r"^ *\d+\t", "", view, flags=re.M)
        rng = random.Random(f"{self.seed} {self.conversations} {turn}")
        constant = rng.choice(constants(source))
        old = source.split("\n")[constant.line - 1]
        new = with_constants(source, {constant.name: _move(constant, rng)}).split("\n")[constant.line - 1]
        edit = tool(EDITOR, command="str_replace", path="train.py", old_str=old + "\n", new_str=new + "\n")
        return [text(f"I move {constant.name}."), edit, tool("check")]

    def _proposal(self, request: Request) -> Block:
        name = [words for words in request.said() if words.startswith("I move")][-1]
        return tool(
            "propose",
            hypothesis=f"{name} It may suit the budget better.",
            category="optimiser",
            predicted_delta=-0.002,
            confidence=0.4,
            source="own knowledge",
        )


def _move(constant: Constant, rng: random.Random) -> int | float:
    factor = 2 ** rng.uniform(-1, 1)
    if isinstance(constant.value, int):
        return max(1, round(constant.value * factor)) + (round(constant.value * factor) == constant.value)
    return constant.value * factor


FAULTS: list[Step] = [
    Status(429, "rate_limit_error", headers={"retry-after": "0.01"}),
    Status(529, "overloaded_error"),
    Reply([text("half a reply, then")], ends="error:overloaded_error"),
    Reply([text("half a reply, then")], ends="drop"),
    Reply([text("half a reply, then")], ends="close"),
    Reply([text("half a reply, then")], ends="garbage"),
    Status(502, body="<html>bad gateway</html>"),
    Status(500, "api_error"),
    Drop(),
]


class Faulty:
    """Another plan, with faults for a share of the calls, one kind after the other."""

    def __init__(self, plan: Callable[[Request], Step], share: float, seed: int = 0) -> None:
        self.plan, self.share, self.failed = plan, share, 0
        self._random = random.Random(seed)

    def __call__(self, request: Request) -> Step:
        if self._random.random() < self.share:
            self.failed += 1
            return FAULTS[self.failed % len(FAULTS)]
        return self.plan(request)
