"""Any coding agent with a command line: `command:claude`, `command:codex`, `command:gemini`, `command:SHELL COMMAND`.

Each proposal is one run of the command in a scratch folder, in a cell with the network but without the GPU, the
repository, the ledger, validation data, or our environment. Only the bytes of train.py and what proposal.json says come
back; everything else dies with the cell.
"""

import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autoresearch import hardware
from autoresearch.agents import rationale
from autoresearch.agents.base import BadProposal, Proposal, Unavailable, Unusable
from autoresearch.agents.command import workdir
from autoresearch.agents.command.tool import Tool
from autoresearch.agents.services import CallRecord, Services
from autoresearch.config import Config
from autoresearch.errors import UsageError
from autoresearch.sandbox.cell import Cell, CellError, CellSpec
from autoresearch.source import contract
from autoresearch.text import Trace, plain_text, secrets_of_environment

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

POLL = 0.05  # s
COUNT_EVERY = 2.0  # s between two looks at what the command has written
MOST_BYTES = 2 << 30  # in its folder
MOST_FILES = 50_000
OUTPUT = 1 << 16  # bytes of its output that are kept: the beginning and the end
NICE = 19
TRY_TIME = 180.0  # s for a tool to say its version
BUSY_FOR = 600.0  # s until a tool whose server is busy is asked again
START = 'mkdir "$HOME/tmp" && export TMPDIR="$HOME/tmp" && cd work && exec /bin/sh -c "$1"'

_BUSY = re.compile(r"rate.?limit|usage limit|quota|overloaded|too many requests|\b(429|502|503|529)\b", re.I)
_LOCKED_OUT = re.compile(
    r"invalid.{0,9}api.?key|not logged in|log ?in again|/login|auth method|unauthori[sz]ed|\b401\b", re.I
)


@dataclass(frozen=True)
class Run:
    """How one run of the command went.

    `status` is the exit status, `stopped` why it was killed instead. `text` and `answer` (proposal.json) are what came
    back, `wrong` why nothing could; `touched` is what else was changed in the scratch folder.
    """

    log: str
    seconds: float
    status: int | None = None
    stopped: str | None = None
    text: str = ""
    answer: dict[str, object] | None = None
    wrong: str | None = None
    touched: Sequence[str] = ()


class Command:
    """Runs a coding agent for each proposal. Raises UsageError, or Unusable where the command does not exist."""

    name = "command"
    repairs = 1
    thinks: Literal["here"] = "here"

    def __init__(self, spec: str, config: Config, services: Services) -> None:
        if config.max_usd is not None:
            raise UsageError("max_usd cannot be held: what a command spends is not known before; leave it out")
        self.config, self.services = config, services
        self.tool = Tool.find(spec, config)
        self.model: str | None = self.tool.label

    def check(self) -> None:
        """Start the tool once in its cell, where that costs nothing. Raises Unusable."""
        ran = self._run(self.tool.trial, {}, TRY_TIME)
        if ran.stopped or ran.status:
            raise Unusable(
                f"in its cell, `{self.tool.trial}` {ran.stopped or _ended(ran)}; what it has to read can be named in"
                " command_read"
            )

    def propose(self, brief: "Brief") -> Proposal:
        """One run of the command. Raises BadProposal, Unavailable or Unusable."""
        trace = Trace([*self.tool.secrets, *secrets_of_environment()])
        files = workdir.files(brief)
        trace.add("prompt", text=files["BRIEF.md"].decode())
        call = CallRecord(uuid.uuid4().hex, brief.n, "propose", self.tool.label, time.time())
        self.services.on_call(call)
        ran = self._run(self.tool.command, files, self._time_limit())
        trace.add(
            "command", command=self.tool.command, seconds=round(ran.seconds, 1), status=ran.status, output=ran.log
        )
        trace.add("files", touched=list(ran.touched))
        cost = self.tool.cost(ran.log)
        wrong = _wrong(ran) or (None if ran.text != brief.source else "the command left train.py unchanged")
        self.services.on_call(replace(call, seconds=ran.seconds, cost_usd=cost, error=wrong))
        if wrong:
            raise _fault(ran, trace.clean(wrong), trace)
        return _proposal(ran, trace, cost)

    def _time_limit(self) -> float:
        limit = 60 * self.config.command_minutes
        left = self.services.left()
        return limit if left is None else min(limit, max(left, 1.0))

    def _run(self, command: str, files: dict[str, bytes], limit: float) -> Run:
        started = time.monotonic()
        try:
            with Cell.start(self._spec(command, files)) as cell:
                if self.config.require_strong and cell.weaknesses:
                    raise Unusable(f"the cell of the command is {cell.grade}: {'; '.join(cell.weaknesses)}")
                stopped = _watch(cell, limit)
                if stopped:
                    cell.kill()
                    return Run(cell.log(), time.monotonic() - started, stopped=stopped)
                ran = Run(cell.log(), time.monotonic() - started, cell.exit_status())
                return _taken_back(ran, cell.tmp, files) if files else ran
        except CellError as error:
            raise Unusable(str(error)) from None

    def _spec(self, command: str, files: dict[str, bytes]) -> CellSpec:
        at_work = {f"{workdir.WORK}/{name}": content for name, content in (files or {"empty": b""}).items()}
        return CellSpec(
            program=["/bin/sh", "-c", START, "sh", command],
            read=self.tool.read,
            library=self.services.readable_library,
            network=True,
            memory=hardware.memory_bytes() // 2,
            environment=self.tool.environment,
            log_limit=OUTPUT,
            files={**self.tool.files, **at_work},
            nice=NICE,
        )


def _watch(cell: Cell, limit: float) -> str | None:
    """Wait for the end; why the command has to be stopped, if it has to. `limit` is in seconds."""
    started = counted = time.monotonic()
    while cell.is_running():
        now = time.monotonic()
        if now > started + limit:
            return f"did not end within {limit / 60:.3g} minutes"
        if now > counted + COUNT_EVERY:
            size, files = workdir.occupied(cell.tmp, MOST_FILES)
            if size > MOST_BYTES or files >= MOST_FILES:
                return f"wrote more than {MOST_BYTES >> 30} GiB or {MOST_FILES} files"
            counted = time.monotonic()
        time.sleep(POLL)
    return None


def _taken_back(ran: Run, home: Path, files: dict[str, bytes]) -> Run:
    """What the command left, read after its death."""
    try:
        ran = replace(ran, touched=workdir.touched(home, files))
        return replace(ran, text=workdir.read_back(home), answer=workdir.answer(home))
    except (ValueError, OSError) as error:
        return replace(ran, wrong=str(error))


def _wrong(ran: Run) -> str | None:
    """Why nothing can be made of a run, in one sentence."""
    if ran.stopped:
        return f"the command {ran.stopped}"
    if ran.status:
        return f"the command {_ended(ran)}"
    return ran.wrong


def _ended(ran: Run) -> str:
    lines = [line.strip() for line in ran.log.splitlines() if line.strip()]
    said = f": {lines[-1][:200]}" if lines else ""
    return f"ended with exit status {ran.status}{said}"


def _fault(ran: Run, wrong: str, trace: Trace) -> Exception:
    """A command that failed because its server is busy, or does not know us, is not a broken proposal."""
    end = ran.log[-2000:]
    if ran.status and _LOCKED_OUT.search(end):
        return Unusable(f"{wrong}; log in again, or set its key")
    if ran.status and _BUSY.search(end):
        return Unavailable(wrong, time.time() + BUSY_FOR)
    return BadProposal(wrong, trace=trace.entries)


def _proposal(ran: Run, trace: Trace, cost: float | None) -> Proposal:
    if trace.clean(ran.text) != ran.text:
        raise BadProposal("train.py holds what looks like a key, so nothing of it is used", trace=trace.entries)
    if complaint := contract.complaint(ran.text):
        raise BadProposal(complaint, trace=trace.entries)
    try:
        said = rationale.read(
            ran.answer if ran.answer is not None else {"hypothesis": "a change without a stated reason"}
        )
    except ValueError as error:
        raise BadProposal(f"{workdir.ANSWER}: {error}", trace=trace.entries) from None
    claims = {
        name: plain_text(value) if isinstance(value, str) else value for name, value in trace.clean(vars(said)).items()
    }
    trace.add("rationale", **claims)
    return Proposal(
        text=ran.text,
        hypothesis=claims["hypothesis"],
        category=said.category,
        predicted=said.predicted,
        cost_usd=cost,
        params={name: claims[name] for name in ("confidence", "source") if claims[name] is not None},
        trace=trace.entries,
    )
