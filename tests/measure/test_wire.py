"""The wire against a far end that sends anything: the near end never crashes, hangs, leaks descriptors or grows."""

import array
import fcntl
import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoresearch.measure import training, wire
from autoresearch.measure.clock import Budget, Clock
from autoresearch.measure.loss_curve import CURVE_POINTS
from autoresearch.measure.reported_errors import KNOWN
from autoresearch.measure.result import Result
from autoresearch.measure.scoring_cell import EvaluationError, receive

ANYTHING = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)
NUMBERS = st.floats() | st.integers() | st.integers(10**300, 10**320) | st.booleans()


@pytest.fixture
def ends() -> Iterator[tuple[wire.Channel, socket.socket]]:
    """Yield our end and theirs."""
    ours, theirs = wire.Channel.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def hand_over(theirs: socket.socket, data: bytes, fds: list[int]) -> None:
    theirs.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def receive_all(channel: wire.Channel) -> None:
    """Receive as the referee would, until nothing is left or the channel is closed."""
    try:
        while (message := channel.receive(0)) is not None:
            assert isinstance(message.kind, str) and isinstance(message.fields, dict)
            message.close()
    except wire.Closed:
        pass


@ANYTHING
@given(
    messages=st.lists(
        st.binary(min_size=1, max_size=300) | st.builds(lambda value: json.dumps(value).encode(), JSON), max_size=5
    )
)
def test_bytes_of_any_kind(messages: list[bytes]) -> None:
    before = descriptors()
    ours, theirs = wire.Channel.pair()
    for data in messages:
        theirs.send(data)
    receive_all(ours)
    ours.close()
    theirs.close()
    assert descriptors() == before


@ANYTHING
@given(fields=st.dictionaries(st.text(max_size=10), JSON, max_size=4), kind=st.text(max_size=20))
def test_what_is_sent_is_what_arrives(fields: dict[str, object], kind: str) -> None:
    fields = {name: value for name, value in fields.items() if name not in ("kind", "fds", "timeout_s", "self")}
    ours, theirs = wire.Channel.pair()
    with theirs:
        theirs.send(json.dumps({**fields, "kind": kind}).encode())
        message = ours.receive(1)
        ours.close()
    assert message is not None and message.kind == kind
    assert json.dumps(message.fields) == json.dumps(fields)


@ANYTHING
@given(
    count=st.integers(0, 250),
    room=st.sampled_from([1, 250]),
    text=st.sampled_from([b'{"kind": "x"}', b"no message", b"[]"]),
)
def test_any_number_of_descriptors_is_closed_again(count: int, room: int, text: bytes) -> None:
    before = descriptors()
    ours, theirs = wire.Channel.pair()
    ours.receive_fds = room
    with theirs:
        hand_over(theirs, text, [0] * count)
        receive_all(ours)
        ours.close()
    assert descriptors() == before


def test_a_large_message_ends_the_conversation(ends: tuple[wire.Channel, socket.socket]) -> None:
    ours, theirs = ends
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    theirs.send(b'{"kind": "' + b"x" * (wire.MAX_MESSAGE_BYTES + 1) + b'"}')
    with pytest.raises(wire.Closed, match="too large"):
        ours.receive(1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"null",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"kind": 1}',
        b'{"kind": "x", "n": ' + b"9" * 5000 + b"}",
        b"\xff\xfe{",
        b'{"kind": "\xc3"}',
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_message_ends_the_conversation(data: bytes, ends: tuple[wire.Channel, socket.socket]) -> None:
    ours, theirs = ends
    theirs.send(data)
    with pytest.raises(wire.Closed):
        ours.receive(1)


def test_a_silent_end_is_not_waited_for_longer_than_asked(ends: tuple[wire.Channel, socket.socket]) -> None:
    assert ends[0].receive(0.05) is None


def test_an_end_that_does_not_read_is_given_up(ends: tuple[wire.Channel, socket.socket]) -> None:
    ours, _ = ends
    with pytest.raises(wire.Closed):
        for _ in range(100_000):
            ours.send("saved", timeout_s=0)


@pytest.mark.slow
def test_a_flood_is_read_without_growing(ends: tuple[wire.Channel, socket.socket]) -> None:
    ours, theirs = ends
    data = json.dumps({"kind": "log", "values": {str(k): float(k) for k in range(3000)}}).encode()
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            try:
                theirs.send(data)
            except OSError:
                return

    thread = threading.Thread(target=flood)
    thread.start()
    before, open_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, descriptors()
    for _ in range(500):
        message = ours.receive(1)
        assert message is not None
    stop.set()
    ours.close()
    thread.join()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
    assert descriptors() <= open_before


# --- what may be a checkpoint


def memory(size: int, seals: int | None) -> int:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    if seals is not None:
        fcntl.fcntl(fd, wire.F_ADD_SEALS, seals)
    return fd


@settings(max_examples=40, deadline=None)
@given(
    seals=st.sets(st.sampled_from([wire.SEAL_SEAL, wire.SEAL_SHRINK, wire.SEAL_GROW, wire.SEAL_WRITE])),
    size=st.integers(0, 200),
)
def test_only_a_wholly_sealed_memory_file_of_the_right_size_is_sealed(seals: set[int], size: int) -> None:
    fd = memory(size, sum(seals))
    try:
        assert wire.is_sealed(fd, 100) == (sum(seals) == wire.ALL_SEALS and size <= 100)
    finally:
        os.close(fd)


def test_other_files_are_not_sealed() -> None:
    reader, writer = os.pipe()
    others = [os.open("/", os.O_RDONLY), os.open("/dev/null", os.O_RDWR), os.open("/", os.O_PATH), reader, writer]
    others.append(os.open("/proc/self/status", os.O_RDONLY))
    assert not any(wire.is_sealed(fd, 1 << 30) for fd in others)
    for fd in others:
        os.close(fd)
    assert not wire.is_sealed(others[0], 1 << 30)


# --- the referee behind it


class _FakeProcess:
    """The part of a cell process that the receiver uses."""

    def __init__(self, channel: wire.Channel) -> None:
        self.channel, self.cell = channel, SimpleNamespace(pid=os.getpid())


@pytest.mark.slow
@ANYTHING
@given(
    messages=st.lists(
        st.fixed_dictionaries(
            {"kind": st.sampled_from(["log", "checkpoint", "ready", "done", "error", "?"])},
            optional={
                "values": JSON | st.dictionaries(st.text(max_size=8), NUMBERS, max_size=20),
                "error": JSON,
                "text": JSON,
                "reason": JSON,
            },
        ),
        max_size=6,
    ),
    fds=st.integers(0, 3),
    sealed=st.booleans(),
)
def test_the_referee_survives_messages_of_any_kind(messages: list[dict[str, object]], fds: int, sealed: bool) -> None:
    before = descriptors()
    result = Result()
    ours, theirs = wire.Channel.pair()
    fd = memory(8, wire.ALL_SEALS if sealed else None)
    receiver = training._Receiver(_FakeProcess(ours), result, "", Budget(15.0, "cpu"), False)  # type: ignore[arg-type]
    clock = Clock(Budget.parse("9s"), os.getpid())
    try:
        for message in messages:
            hand_over(theirs, json.dumps(message).encode(), [fd] * fds)
            received = receiver.next(1)
            assert received is not None
            if receiver.handle(received, clock):
                break
    except (wire.Closed, training._TrainingFailed) as end:
        str(end).encode()
    receiver.drop()
    for sock in (ours, theirs):
        sock.close()
    os.close(fd)
    assert descriptors() == before
    json.dumps(result.as_json(), allow_nan=False, ensure_ascii=False).encode()
    assert len(result.reported) <= training.REPORTED_NAMES and len(result.curve) <= len(messages)
    assert 0 <= training._fraction(Clock(Budget.parse("9steps"), os.getpid()), result) <= 1


def test_what_a_cell_reports_is_bounded() -> None:
    result = Result()
    ours, theirs = wire.Channel.pair()
    receiver = training._Receiver(_FakeProcess(ours), result, "", Budget(15.0, "cpu"), False)  # type: ignore[arg-type]
    clock = Clock(Budget.parse("9s"), os.getpid())
    for k in range(5000):
        receiver.handle(wire.Message("log", {"values": {f"name {k}": 1.0, "loss": float(k), "seconds": -1.0}}), clock)
    assert len(result.reported) <= training.REPORTED_NAMES
    assert 100 < len(result.curve) <= CURVE_POINTS
    assert all(point["seconds"] >= 0 for point in result.curve)
    ours.close()
    theirs.close()


def test_an_evaluation_ends_at_its_cap_whatever_is_sent(ends: tuple[wire.Channel, socket.socket]) -> None:
    ours, theirs = ends

    def chatter() -> None:
        try:
            while True:
                hand_over(theirs, b'{"kind": "log", "values": {"loss": 1}}', [0])
        except OSError:
            return

    thread = threading.Thread(target=chatter)
    thread.start()
    before = descriptors()
    with pytest.raises(EvaluationError, match=r"claim cell: answering took over 0\.3s"):
        receive(ours, "claim", "done", Clock(Budget(0.3, "s"), os.getpid()), "answering")
    ours.close()
    thread.join()
    assert descriptors() < before


@ANYTHING
@given(name=JSON)
def test_an_evaluating_cell_can_name_only_known_exceptions(name: object) -> None:
    ours, theirs = wire.Channel.pair()
    with theirs:
        theirs.send(json.dumps({"kind": "error", "error": name, "text": "secret"}).encode())
        with pytest.raises(EvaluationError) as failure:
            receive(ours, "audit", "done", Clock(Budget(5.0, "s"), os.getpid()), "answering")
        ours.close()
    assert failure.value.error in KNOWN | {"an exception of its own"}
