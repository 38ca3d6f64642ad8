"""Every attack through the real program: its outcome, and that it gained nothing.

The attacks are the files attack_*.py beside this one. Each is a whole train.py that says in its first lines which row
of the table it belongs to and what must happen: `ok` means that the trial goes on with exactly the score of the honest
model, as if the attack were not there.
"""

import json
import os
import random
import re
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.cells import WORKER, carrying
from support.hostile import ATTACKS, HONEST, Attack
from support.repositories import WORDS

from autoresearch.data.dataset import Dataset
from autoresearch.measure.cell_process import FOLDER
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.setup import prepare

Honest = Callable[[int], Result]

# the table of attacks: those that are stopped or detected
TABLE = {
    1: "prints or writes a number",
    2: "patches the evaluator, torch, `__eq__`; walks frames and objects",
    3: "patches time, sets the clock",
    4: "peeks at the next token",
    5: "peeks at a few positions",
    6: "answers that do not sum to one",
    7: "claims that are scaled, zero, negative, not numbers",
    8: "trains on validation text across windows",
    9: "answers that depend on the batch or the order",
    10: "answers consistently, by memory",
    11: "more compute where it is asked",
    12: "reads the validation rows",
    13: "remembers validation rows for later trials",
    14: "tells validation text to the agent",
    15: "keeps weights from an earlier trial",
    16: "finds left-over memory of the card",
    17: "trains before the clock",
    20: "trains after the bell",
    21: "trains while it is scored",
    22: "changes a checkpoint after saving it",
    23: "a pickle as a checkpoint",
    25: "stops, slows or moves the referee",
    26: "edits repository and ledger",
    27: "plants code for the next Python",
    28: "poisons compile caches",
    29: "network",
    30: "secrets",
    31: "privileges",
    32: "games with descriptors",
    33: "changes what was checked",
    34: "hunts for seeds",
    36: "tricks with token and byte counts",
    37: "picks easy rows",
    38: "a huge checkpoint, an endless evaluation",
    39: "the card's clocks, other jobs on it",
    41: "exhausts disk, memory, processes, log",
    42: "changes modes and times",
    43: "speaks to the terminal or the model that reads the log",
    44: "the agent itself",
    45: "runs what does not count as code",
    46: "carries text to another cell in the kernel's caches",
}
NOT_HERE = {
    16: "needs a GPU: benchmarks/first_card.py looks for memory that an earlier cell filled",
    36: "cells hold neither tokenizer nor byte counts: see test_bytes_are_those_of_the_text",
    39: "needs a GPU: capabilities are dropped, clocks and processes are recorded",
    44: "agents return text, they do not run in a cell",
}


def first_of_each_row() -> set[str]:
    """Return enough attacks for all rows of the table: those that run where time is short."""
    found: dict[int, str] = {}
    for name in sorted(ATTACKS, key=lambda name: ("continues" in name, name)):  # those take long
        for row in ATTACKS[name].says["ROWS"]:
            found.setdefault(row, name)
    return set(found.values())


def marks_of(is_quick: bool) -> list[pytest.MarkDecorator]:
    return [] if is_quick else [pytest.mark.slow]


QUICK = first_of_each_row()
CASES = [  # by attack and layers that are off: on a bare machine, and (slow) in a default container where that matters
    *(
        pytest.param(name, frozenset[str](), id=f"{name}-bare", marks=marks_of(name in QUICK))
        for name in sorted(ATTACKS)
    ),
    *(
        pytest.param(name, frozenset({"ns"}), id=f"{name}-container", marks=pytest.mark.slow)
        for name, attack in sorted(ATTACKS.items())
        if attack.aims_at_the_machine  # what aims at the arithmetic is the same in every cell
    ),
]
VOCABULARY = [*WORDS, "and", "nobody", "speaks"]
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]")
TRIES = 3  # of an attack that others on the machine can spoil, or that succeeds the second time
SMALL = 0.002  # bits per byte that an attack may win by luck, where one is allowed


def test_every_row_of_the_table_is_attacked_or_says_why_not() -> None:
    attacked = {row for attack in ATTACKS.values() for row in attack.says["ROWS"]}
    assert attacked | set(NOT_HERE) == set(TABLE)


@pytest.fixture(scope="module")
def text_data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Random sentences as plain bytes, rows of 32, over a thousand of them to validate on."""
    rng = random.Random(1)
    folder = tmp_path_factory.mktemp("sentences")
    for k in range(400):
        favourites = rng.sample(VOCABULARY, 6)
        lines = [
            " ".join(rng.choice(favourites if rng.random() < 0.7 else VOCABULARY) for _ in range(12)) for _ in range(20)
        ]
        (folder / f"{k}.txt").write_text(f"story {k}\n" + ".\n".join(lines))
    cache = tmp_path_factory.mktemp("sentences-cache")
    return Dataset.open(prepare.prepare(f"files:{folder}/*.txt", 256, 32, "cpu", cache=cache, progress=False))


@pytest.fixture(scope="module")
def honest(text_data: Dataset) -> Honest:
    """Measure the honest model once for each number of evaluated rows."""
    known: dict[int, Result] = {}

    def result(rows: int) -> Result:
        if rows not in known:
            settings = replace(ATTACKS["prints_numbers"].settings(), eval_rows=rows)
            known[rows] = CellReferee(settings, text_data).measure(HONEST, 1)
            assert known[rows].outcome == "ok", known[rows].reason + known[rows].log
        return known[rows]

    return result


# --- where the attacks aim


@pytest.fixture
def targets(tmp_path: Path, text_data: Dataset) -> Iterator[dict[str, Any]]:
    """Targets that an attacker knows: paths, the owner's pid, listeners; all of them belong to this test."""
    token = f"attack{uuid.uuid4().hex[:12]}"
    repo, folder, home = (tmp_path / name for name in ("repo", "folder", "home"))
    for place in (repo / ".git" / "hooks", repo / ".git" / "refs" / "heads", repo / "runs", folder, home):
        place.mkdir(parents=True)
    for name in ("train.py", "program.md", ".git/HEAD", ".git/refs/heads/main", "runs/ledger.db"):
        (repo / name).write_text("original")
    (home / ".netrc").write_text("secret")
    (tmp_path / "canary").write_text("tweet")
    bait = subprocess.Popen(["sleep", "600"], env={"SOME_API_KEY": f"sk-{token}"})
    with ExitStack() as stack:
        sockets = _listeners(stack, tmp_path / "s", token)
        yield {
            "sockets": sockets,
            "val": text_data.root / "held" / "val.bin",
            "train": text_data.train_shards()[0],
            "repo": repo,
            "package": FOLDER,
            "owner": os.getpid(),
            "token": token,
            "folder": folder,
            "homefolder": home,
            "key": uuid.uuid4().int & 0x7FFFFFFF,
            "canary": tmp_path / "canary",
            "secret": f"sk-{token}",
            "tcp": sockets[0].getsockname()[1],
            "udp": sockets[1].getsockname()[1],
            "unix": tmp_path / "s",
        }
    bait.kill()
    bait.wait()
    for place in ("/tmp", "/var/tmp", "/dev/shm", "/run"):  # where an attack was let through on purpose
        Path(place, token).unlink(missing_ok=True)


def aims(attack: Attack, targets: dict[str, Any]) -> dict[str, Any]:
    """Return the targets, and a file without pages in memory if the attack needs one."""
    return targets | {"cold": cold_file()} if "$COLD" in attack.text else targets


def cold_file() -> Path:
    """Return a large file that every cell may read and no process maps, without any of its pages in memory."""
    libraries = [path for path in Path("/usr/lib").rglob("*.so*") if path.is_file() and not path.is_symlink()]
    libraries.sort(key=lambda path: -path.stat().st_size)
    for path in libraries[WORKER % 2 :: 2]:  # workers do not warm each other's
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            try:
                os.preadv(file.fileno(), [bytearray(1)], path.stat().st_size - 1, os.RWF_NOWAIT)
            except BlockingIOError:
                return path
            except OSError:
                continue
    pytest.skip("every large library is in use, or their file system evicts no pages")


def _listeners(stack: ExitStack, path: Path, token: str) -> list[socket.socket]:
    inet, unix, stream, datagram = socket.AF_INET, socket.AF_UNIX, socket.SOCK_STREAM, socket.SOCK_DGRAM
    found = []
    for family, kind, address in (
        (inet, stream, ("127.0.0.1", 0)),
        (inet, datagram, ("127.0.0.1", 0)),
        (unix, stream, str(path)),
        (unix, datagram, f"{path}d"),
        (unix, stream, f"\0{token}"),
    ):
        sock = stack.enter_context(socket.socket(family, kind))
        sock.bind(address)
        if kind == stream:
            sock.listen()
        sock.setblocking(False)
        found.append(sock)
    return found


def _snapshot(targets: dict[str, Any]) -> dict[str, Any]:
    """Return everything of ours that an attack could have changed."""
    places = [targets["repo"], targets["folder"], targets["homefolder"], targets["canary"]]
    files = [path for place in places for path in (place, *sorted(place.rglob("*")))]
    states = {str(path): (path.stat().st_mode, path.stat().st_mtime_ns, path.stat().st_uid) for path in files}
    return states | {"cores": os.sched_getaffinity(0), "nice": os.getpriority(os.PRIO_PROCESS, 0)}


def _nobody_called(sockets: list[socket.socket]) -> bool:
    for sock in sockets:
        try:
            sock.accept() if sock.type == socket.SOCK_STREAM else sock.recv(1)
        except BlockingIOError:
            continue
        return False
    return True


# --- the attacks


def check(attack: Attack, result: Result, honest: Honest) -> None:
    """Check that the outcome is the expected one, and that the attack gained and leaked nothing."""
    said = f"{attack.name}: {result.outcome} {result.val_bpb} {result.reason}\n{result.log[-3000:]}"
    rows = attack.says.get("EVAL_ROWS", 128)
    assert not _escaped(result), said
    assert result.outcome in attack.outcomes, said
    assert (result.val_bpb is None) == (result.outcome != "ok")
    if result.val_bpb is not None:
        reference = honest(rows).val_bpb
        assert reference is not None
        slack = SMALL if attack.says["EXPECT"] == "harmless" else 1e-5 + 3 * result.score_se
        assert abs(result.val_bpb - reference) <= slack, said
    json.dumps(result.as_json(), allow_nan=False, ensure_ascii=False).encode()
    assert not DANGEROUS.search(result.reason + result.log + "".join(result.reported)), said


def _escaped(result: Result) -> bool:
    return re.search("^ESCAPED: ", result.log, re.M) is not None


@pytest.mark.parametrize(("name", "off"), CASES)
def test_an_attack_gets_nothing(
    name: str, off: frozenset[str], targets: dict[str, Any], text_data: Dataset, honest: Honest
) -> None:
    attack = ATTACKS[name]
    if "OPENED_BY" in attack.says and honest(128).grade == "WEAK":
        pytest.skip(f"nothing here stops it: {'; '.join(honest(128).weaknesses)}")
    incumbent = honest(attack.says["EVAL_ROWS"]).losses if "INCUMBENT" in attack.says else None
    before = _snapshot(targets)
    for _ in range(2 if attack.says.get("TWICE") else 1):
        result = attack.measure(text_data, off, incumbent=incumbent, **aims(attack, targets))
        check(attack, result, honest)
        budget = attack.settings().budget
        assert budget.unit != "s" or result.train_seconds < budget.amount + 1
    assert _snapshot(targets) == before
    assert _nobody_called(targets["sockets"])
    assert not carrying(targets["token"])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=marks_of(name in QUICK))
        for name, attack in ATTACKS.items()
        if "OPENED_BY" in attack.says
    ],
)
def test_without_its_layers_the_attack_is_real_and_the_grade_says_so(
    name: str, targets: dict[str, Any], text_data: Dataset
) -> None:
    """Without the layers that stop it, the same attack succeeds, and the cell is graded WEAK."""
    attack = ATTACKS[name]
    off = frozenset(attack.says["OPENED_BY"].split())
    for _ in range(TRIES):
        result = attack.measure(text_data, off, **aims(attack, targets))
        assert result.grade == "WEAK" and result.weaknesses
        if _escaped(result) or result.outcome == "crash":
            return
    raise AssertionError(result.log)


LAYERS = {"landlock", "seccomp", "nnp", "caps", "rlimits", "ns", "uid"}


@pytest.mark.parametrize(
    "layer", [pytest.param(layer, marks=marks_of(layer in ("landlock", "seccomp"))) for layer in sorted(LAYERS)]
)
def test_a_layer_that_is_off_is_reported_and_never_lets_an_attack_through_a_strong_cell(
    layer: str, targets: dict[str, Any], text_data: Dataset
) -> None:
    off = frozenset({layer})
    for name in ("reads_val", "signals"):
        attack = ATTACKS[name]
        result = attack.measure(text_data, off, **targets)
        assert _is_off(layer, result.layers)
        stopped = not _escaped(result) and result.outcome == "ok"
        assert stopped or result.grade == "WEAK", result.log
        if layer not in ("ns", "uid") and _is_missed(layer, result.layers):
            assert result.grade == "WEAK" and result.weaknesses


def _is_off(layer: str, layers: dict[str, Any]) -> bool:
    if layer == "caps":  # only root has any
        return bool(layers["caps"]) == (os.geteuid() == 0 and layers["uid"] is None)
    return not layers[layer]


def _is_missed(layer: str, layers: dict[str, Any]) -> bool:
    """Return whether no other layer does the same: a separate user has no capabilities and cannot read our files."""
    return layer not in ("caps", "landlock") or (layers["uid"] is None and (layer != "caps" or bool(layers["caps"])))


def test_validation_text_does_not_come_back(text_data: Dataset) -> None:
    """Neither the text nor the name of an exception, nor the log, of a cell that has seen validation rows."""
    attack = ATTACKS["tells_val_by_exception"]
    result = attack.measure(text_data)
    assert (result.outcome, result.reason) == ("crash", "claim cell: an exception of its own")
    told = json.dumps(result.as_json()) + result.log
    assert not any(text_data.decode(row[:16]).decode() in told for row in text_data.rows("val"))
