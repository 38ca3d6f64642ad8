"""Any coding agent with a command line: `command:claude`, `command:codex`, `command:gemini`, `command:SHELL COMMAND`.

Each proposal is one run in a cell with the network, from which only the edited files and proposal.json are taken.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch import hardware
from autoresearch.agents import rationale
from autoresearch.agents.base import BadProposal, Latency, Proposal, Unavailable, Unusable
from autoresearch.agents.command import limits, workdir
from autoresearch.agents.command.proxy import Proxy
from autoresearch.agents.command.tool import Tool
from autoresearch.agents.services import CallRecord, Services
from autoresearch.config import FILE, Config
from autoresearch.errors import UsageError
from autoresearch.files import JsonObject
from autoresearch.sandbox.cell import Cell, CellError
from autoresearch.sandbox.launch import CellSpec
from autoresearch.source import contract
from autoresearch.source.lines import plain_files
from autoresearch.source_tree import SourceTree
from autoresearch.text import Trace, plain_text, secrets_of_environment

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

POLL_S = 0.05
COUNT_EVERY_S = 2.0  # how often the command's files are counted
MAX_FOLDER_BYTES = 2 << 30
MAX_FILES = 50_000
MAX_LOG_BYTES = 1 << 16  # of the command's output: the beginning and the end
MAX_LAST_LINE_CHARS = 200
LOG_END_CHARS = 2000  # searched for the reason of a failure
NICE = 19
CHECK_TIMEOUT_S = 180.0
BUSY_RETRY_S = 600.0  # until a tool whose server is busy is asked again
NO_ANSWER = {"hypothesis": "a change without a stated reason"}
START_SCRIPT = 'mkdir "$HOME/tmp" && export TMPDIR="$HOME/tmp" && cd work && exec /bin/sh -c "$1"'

_NO_LOGIN = re.compile(
    r"invalid.{0,9}api.?key|not logged in|log ?in again|/login|auth method|unauthori[sz]ed|\b401\b", re.I
)


@dataclass(frozen=True)
class CommandRun:
    """The result of one run of the command.

    `status` is the exit status, None if it was killed; `failure` says how it failed. `text` (the version) and `answer`
    (proposal.json) are the results, `error` the reason why there are none, `changes` what else was changed in the
    scratch folder, `weaknesses` what its cell did not protect.
    """

    log: str
    seconds: float
    status: int | None
    failure: str | None
    text: str = ""
    answer: JsonObject | None = None
    error: str | None = None
    changes: Sequence[str] = ()
    weaknesses: Sequence[str] = ()


class Command:
    """Run a coding agent for each proposal. Raises UsageError, or Unusable if the command does not exist."""

    name = "command"
    repairs = 1
    proposes: Latency = "locally"

    def __init__(self, spec: str, config: Config, services: Services) -> None:
        if config.max_usd is not None:
            reason = "max_usd does not work with a command, whose cost is not known in advance"
            raise UsageError(f"{reason}: remove `max_usd` from {FILE}, or leave out --max-usd")
        self.config, self.services = config, services
        self.tool = Tool.find(spec, config)
        self.model: str | None = self.tool.label

    def check(self) -> None:
        """Start the tool once in its cell, in a way that costs nothing. Raises Unusable."""
        run = self._run(self.tool.check_command, {}, CHECK_TIMEOUT_S)
        if run.failure:
            remedy = "what it has to read can be named in command_read"
            raise Unusable(f"in its cell, `{self.tool.check_command}` {run.failure}; {remedy}")

    def propose(self, brief: "Brief") -> Proposal:
        """Run the command once. Raises BadProposal, Unavailable or Unusable."""
        trace = Trace([*self.tool.secrets, *secrets_of_environment()])
        files = workdir.initial_files(brief)
        trace.add("prompt", text=files["BRIEF.md"].decode())
        call = CallRecord(brief.n, "propose", self.tool.label)
        self.services.on_call(call)
        run = self._run(self.tool.command, files, self.services.time_limit(60 * self.config.command_minutes), brief)
        trace.add(
            "command", command=self.tool.command, seconds=round(run.seconds, 1), status=run.status, output=run.log
        )
        trace.add("files", touched=list(run.changes))
        trace.add("cell", weaknesses=list(run.weaknesses))
        cost = self.tool.cost(run.log)
        what = "the files" if SourceTree.parse(brief.source).framed else "train.py"
        unchanged = f"the command left {what} unchanged" if plain_files(run.text) == plain_files(brief.source) else None
        error = trace.clean(f"the command {run.failure}" if run.failure else run.error or unchanged)
        self.services.on_call(replace(call, seconds=run.seconds, cost_usd=cost, error=error))
        if error:
            raise _exception(run, error, trace)
        return _proposal(run, brief.source, trace, cost)

    def _run(
        self, command: str, files: dict[str, bytes], time_limit: float, brief: "Brief | None" = None
    ) -> CommandRun:
        started = time.monotonic()
        try:
            with Proxy(self.tool.named) as proxy, Cell.start(self._spec(command, files, proxy)) as cell:
                proxy.serve(cell.doors)
                if self.config.require_strong and cell.weaknesses:
                    raise Unusable(f"the cell of the command is {cell.grade}: {'; '.join(cell.weaknesses)}")
                if stopped := _wait(cell, time_limit):
                    cell.kill()
                seconds, status = time.monotonic() - started, None if stopped else cell.exit_status()
                failure, weak = stopped or _exit_error(cell.log(), status), tuple(cell.weaknesses)
                run = CommandRun(cell.log(), seconds, status, failure, weaknesses=weak)
                return _with_results(run, cell.tmp, files, brief) if brief is not None and not stopped else run
        except CellError as error:
            raise Unusable(str(error)) from None

    def _spec(self, command: str, files: dict[str, bytes], proxy: Proxy) -> CellSpec:
        work_files = {f"{workdir.WORK}/{name}": content for name, content in (files or {"empty": b""}).items()}
        return CellSpec(
            program=["/bin/sh", "-c", START_SCRIPT, "sh", command],
            read=self.tool.readable,
            library=self.services.readable_library,
            network=True,
            doors=proxy.doors,
            memory=hardware.memory_bytes() // 2,
            environment={**self.tool.environment, **proxy.environment},
            log_limit=MAX_LOG_BYTES,
            files={**self.tool.files, **work_files},
            nice=NICE,
        )


def _wait(cell: Cell, time_limit: float) -> str | None:
    """Wait for the end; return the reason if the command has to be stopped."""
    started = counted = time.monotonic()
    while cell.is_running():
        now = time.monotonic()
        if now > started + time_limit:
            return f"did not end within {time_limit / 60:.3g} minutes"
        if now > counted + COUNT_EVERY_S:
            size, files = workdir.disk_usage(cell.tmp, MAX_FILES)
            if size > MAX_FOLDER_BYTES or files >= MAX_FILES:
                return f"wrote more than {MAX_FOLDER_BYTES >> 30} GiB or {MAX_FILES} files"
            counted = time.monotonic()
        time.sleep(POLL_S)
    return None


def _with_results(run: CommandRun, home: Path, files: dict[str, bytes], brief: "Brief") -> CommandRun:
    """Read the results of a command that has ended."""
    try:
        run = replace(run, changes=workdir.list_changes(home, files, SourceTree.parse(brief.source).files.keys()))
        return replace(run, text=workdir.read_version(home, brief), answer=workdir.read_answer(home))
    except (ValueError, OSError) as error:
        return replace(run, error=str(error))


def _exit_error(log: str, status: int | None) -> str | None:
    """Describe an exit status that is not 0, with the last words of the output."""
    words = limits.last_words(log)[:MAX_LAST_LINE_CHARS]
    return f"ended with exit status {status}{f': {words}' if words else ''}" if status else None


def _exception(run: CommandRun, error: str, trace: Trace) -> Exception:
    """Return the exception for a failed run: a busy server or a missing login is no broken proposal.

    A tool may say so with any exit status, also 0.
    """
    end, now = run.log[-LOG_END_CHARS:], time.time()
    failed = bool(run.status) or limits.is_error(end)
    words = trace.clean(limits.last_words(run.log)[:MAX_LAST_LINE_CHARS])
    said = error if run.status else f"the command says: {words}"
    if failed and _NO_LOGIN.search(end):
        return Unusable(f"{said}; log in again, or set its key")
    if limits.BUSY.search(end) if failed else limits.is_at_limit(end):
        retry_at = limits.retry_at(end, now, BUSY_RETRY_S)
        return Unavailable(f"{said}; asked again at {time.strftime('%H:%M', time.localtime(retry_at))}", retry_at)
    return BadProposal(error if run.status or not words else f"{error}: {words}", trace=trace.entries)


def _proposal(run: CommandRun, parent: str, trace: Trace, cost: float | None) -> Proposal:
    if trace.clean(run.text) != run.text:
        what = "a file" if SourceTree.parse(run.text).framed else "train.py"
        raise BadProposal(f"{what} holds what looks like a key, so nothing of it is used", trace=trace.entries)
    if complaint := contract.complaint(run.text, parent):
        raise BadProposal(complaint, trace=trace.entries)
    try:
        record = rationale.read(NO_ANSWER if run.answer is None else run.answer)
    except ValueError as error:
        raise BadProposal(f"{workdir.ANSWER}: {error}", trace=trace.entries) from None
    source = record.source and plain_text(trace.clean(record.source))
    opening = record.opening and plain_text(trace.clean(record.opening))
    record = replace(record, hypothesis=plain_text(trace.clean(record.hypothesis)), source=source, opening=opening)
    trace.add("rationale", **vars(record))
    return record.proposal(run.text, cost, trace.entries)
