"""Nothing that a person reads ends a command: terminals go away, pipes break, disks are full, readers fall asleep."""

import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.programs import autoresearch, have_ended, start_session
from support.repositories import BIGRAM, make_repository
from support.sessions import context_of

from autoresearch.config import Config
from autoresearch.ledger import Ledger
from autoresearch.sandbox.selftest import Inspection
from autoresearch.session.events import LedgerEvent, SessionClosed, SessionEvent, SessionOpened
from autoresearch.terminal import standard_streams
from autoresearch.terminal.live_view import Live
from autoresearch.terminal.standard_streams import MAX_QUEUED, make_best_effort, output_failure

LAYERS = {"landlock": 7, "seccomp": True, "caps": 0, "ns": ["pid"], "uid": None}
KINDS = ("pipe", "terminal", "full", "asleep")


@contextmanager
def output(kind: str) -> Iterator[tuple[int, int | None]]:
    """Open a descriptor to write to, and its other end, if closing that is the fault."""
    end: int | None = None
    if kind == "full":
        fd = os.open("/dev/full", os.O_WRONLY)
    elif kind == "terminal":
        end, fd = pty.openpty()
    else:
        end, fd = os.pipe()
    try:
        yield fd, end
    finally:
        for each in (fd, end):
            with suppress(OSError):
                os.close(-1 if each is None else each)


def events(store: Ledger, n: int) -> list[SessionEvent]:
    row = store.create_session("t", "autoresearch/t", "0" * 40, "sweep", "default", {}, {}, seed=5)
    lines = [LedgerEvent("proposed", k, f"idea {k} " + "x" * 500) for k in range(n)]
    return [SessionOpened(row, Inspection(LAYERS, {}, []), dirty=False), *lines, SessionClosed(row, "deadline", True)]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 99), st.integers(0, 99), st.booleans())
def test_a_session_goes_on_when_its_lines_cannot_be_printed(kind: str, before: int, after: int, board: bool) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.open(Path(folder) / "ledger.db") as store,
        output(kind) as (fd, end),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(standard_streams, "STALL_S", 0.05)
        patch.setattr(sys, "stderr", make_best_effort(fd))
        patch.setenv("TERM", "xterm" if board else "dumb")
        slot = SimpleNamespace(gpu=None, name="cpu-0")
        project: Any = SimpleNamespace(
            slot=slot, slots=[slot], runs=Path(folder), ledger=store.path, config=Config(),
            settings=SimpleNamespace(budget="20steps"),
        )  # fmt: skip
        with Live(project) as live:
            all_events = events(store, before + after)
            context = context_of(store, all_events[0].session, listeners=[live.handle])  # type: ignore[union-attr]
            for k, event in enumerate(all_events):
                if k == before and end is not None and kind != "asleep":
                    os.close(end)
                context.notify(event)
        lost = [event.text for event in store.events(context.id, kind="output")]
        assert not store.events(context.id, kind="failed")
        assert len(lost) == (1 if output_failure(sys.stderr) else 0)
        assert lost or kind == "asleep"  # a pipe holds some lines


def test_a_reader_that_catches_up_at_the_last_moment_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_streams, "STALL_S", 0.05)
    read, write = os.pipe()
    event_wait = threading.Event.wait

    def wait(event: threading.Event, limit: float | None = None) -> bool:
        done = event_wait(event, limit)
        if limit == 0.05 and not done:
            while not event.is_set():
                os.read(read, 1 << 16)
                time.sleep(0.01)
            time.sleep(0.1)
        return done

    file = standard_streams.BestEffortFile(write)
    monkeypatch.setattr(threading.Event, "wait", wait)
    file.write(b"x" * (1 << 17))
    file.flush()
    assert not file._is_late
    os.close(read)
    os.close(write)


def test_a_reader_that_wakes_up_gets_the_lines_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_streams, "STALL_S", 0.05)
    with output("asleep") as (fd, end):
        stream, lines = make_best_effort(fd), [f"{k:05} " + "x" * 993 for k in range(300)]
        for line in lines:
            print(line, file=stream)
        assert "nobody" in output_failure(stream)
        data = b""
        while data.count(b"\n") < len(lines):
            data += os.read(end or 0, 1 << 16)
        assert data.decode().splitlines() == lines


@pytest.mark.parametrize("words", ["last words\n", "x" * 100_000 + "\n"])
def test_the_last_lines_are_written_and_then_nothing_is_waited_for(words: str) -> None:
    code = (
        "import sys; from autoresearch.terminal import standard_streams as s; s.STALL_S = 0.01; s.LAST_S = 600; "
        "s.prepare_streams(); sys.stdout = s.make_best_effort(1); out, err = sys.stdout, sys.stderr; "
        f"print({words!r}, end='', file=out); s.STALL_S = 600; print('an error', file=err)"
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stderr is not None and program.stderr.readline() == "an error\n"
    time.sleep(1)  # the reader of stdout looks away
    assert program.communicate(timeout=280) == (words, "")
    assert program.returncode == 0


def test_what_nobody_reads_takes_no_more_and_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_streams, "STALL_S", 0.05)
    with output("asleep") as (fd, _):
        stream = make_best_effort(fd)
        for _ in range(2 * MAX_QUEUED):
            print("x" * 100, file=stream)
        assert stream.buffer._queue.qsize() <= MAX_QUEUED + 1  # type: ignore[attr-defined]


def test_a_failing_listener_is_recorded_once_and_ends_nothing(tmp_path: Path) -> None:
    def fail(event: SessionEvent) -> None:
        raise OSError(5, "Input/output error")

    with Ledger.open(tmp_path / "ledger.db") as store:
        first, *others = events(store, 5)
        context = context_of(store, first.session, listeners=[fail])  # type: ignore[union-attr]
        for event in others:
            context.notify(event)
        told = [event.text for event in store.events(context.id, kind="failed")]
    assert len(told) == 1 and "Input/output error" in told[0]


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [
        (">/dev/full", 1, "autoresearch: stdout cannot be written: No space left on device\n"),
        ("| true", 1, ""),
        (">&- 2>&-", 0, ""),
        ("<&- >/dev/null 2>/dev/full", 0, ""),
    ],
)
def test_data_that_cannot_be_written_is_an_error_and_talk_is_none(redirection: str, code: int, words: str) -> None:
    line = f'"{sys.executable}" -m autoresearch --help {redirection}'
    if "|" in redirection:
        line += "; exit ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", line], stderr=subprocess.PIPE, text=True, timeout=280)
    assert (done.returncode, done.stderr) == (code, words)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=5, deadline=None, phases=[Phase.generate])
@given(st.sampled_from(KINDS), st.sampled_from(["cell:", "0  verdict", "1  proposed", "ended:"]))
def test_a_session_whose_terminal_goes_away_ends_as_planned(settings_of: dict[str, str], kind: str, last: str) -> None:
    with tempfile.TemporaryDirectory() as folder, output(kind) as (fd, end):
        root = make_repository(Path(folder) / "repository", BIGRAM)
        process = subprocess.Popen(
            [sys.executable, "-m", "autoresearch", "run", "--max-experiments", "1"],
            cwd=root, env=settings_of, stdin=subprocess.DEVNULL, stdout=fd, stderr=fd, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        )  # fmt: skip
        try:
            seen, deadline = b"", time.monotonic() + 120
            while kind in ("pipe", "terminal") and last.encode() not in seen and time.monotonic() < deadline:
                seen += os.read(end or 0, 1 << 16)
            if end is not None and kind != "asleep":
                os.close(end)
            assert process.wait(120) == 0, seen
        finally:
            process.kill()
            process.wait()
        with Ledger.open(root / "runs" / "ledger.db", readonly=True) as store:
            session = store.session("t")
            assert session is not None and session.stop_reason == "max experiments"
            assert [row.state for row in store.experiments(session.id)] == ["settled"] * 2
            assert store.events(session.id, kind="output") or kind == "asleep" or last == "ended:"


@pytest.mark.slow
def test_a_hangup_ends_a_session_like_ctrl_c_and_leaves_nothing_behind(
    repository: Path, settings_of: dict[str, str]
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a suite under nohup passes on that it is ignored
    with start_session(repository, settings_of | {"AUTORESEARCH_BUDGET": "3cpu"}) as running:
        signal.signal(signal.SIGHUP, before)
        running.wait_for_trial(0)
        children = running.children()
        os.kill(running.process.pid, signal.SIGHUP)
        code, _, said = running.end()
        session = running.session()
    assert session is not None and (code, session.state, session.stop_reason) == (130, "ended", "interrupted"), said
    assert have_ended(children)
    assert autoresearch(repository, "doctor", "--ledger", env=settings_of).returncode == 0
