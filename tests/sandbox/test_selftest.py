"""Layers, their grade, and the self-attack, as root and as an ordinary user."""

import os
import re
import shutil
import subprocess
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cells import NO_NAMESPACES, ROOT, spec

from autoresearch.sandbox import landlock
from autoresearch.sandbox.cell import Cell
from autoresearch.sandbox.launch import CellSpec
from autoresearch.sandbox.selftest import inspect


def test_layers_are_reported_and_graded() -> None:
    with Cell.start(spec("import time; time.sleep(9)")) as cell:
        assert {"landlock", "seccomp", "nnp", "caps", "ns", "uid", "shm", "rlimits", "reaper"} <= set(cell.layers)
        assert cell.grade == ("WEAK" if cell.weaknesses else "STRONG")


@pytest.mark.parametrize("layer", ["landlock", "seccomp", "nnp", "rlimits"])
def test_without_a_layer_the_grade_falls(layer: str) -> None:
    with Cell.start(spec("import time; time.sleep(9)", off=frozenset({layer, "uid"}))) as cell:
        assert not cell.layers[layer]
        assert cell.grade == "WEAK" and cell.weaknesses


def test_without_namespaces_the_report_says_so_and_the_rest_holds() -> None:
    with Cell.start(spec("import time; time.sleep(9)", off=NO_NAMESPACES)) as cell:
        assert cell.layers["ns"] == [] and cell.layers["shm"] != "private"


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[list[Path]]:
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "val.bin").write_text("x")
    yield [tmp_path / "held", tmp_path / "held" / "val.bin", ROOT]


LIMITED = [frozenset(f"landlock>{abi} ns".split()) for abi in (1, 3, 5)]


@pytest.mark.parametrize("off", [frozenset[str](), NO_NAMESPACES, frozenset({"ns", "uid"}), *LIMITED])
def test_the_self_attack_is_blocked(secret: list[Path], off: frozenset[str]) -> None:
    if not landlock.version():
        pytest.skip("no Landlock here")
    inspection = inspect(secret, CellSpec([], off=off))
    assert [name for name, blocked in inspection.attacks.items() if not blocked] == []
    assert len(inspection.attacks) > 60
    assert inspection.grade == "STRONG", inspection.weaknesses
    assert f"self-attack {len(inspection.attacks)}/{len(inspection.attacks)} blocked" in str(inspection)


@pytest.mark.parametrize("off", [frozenset[str](), NO_NAMESPACES])
def test_with_a_card_the_same_is_blocked_except_what_its_driver_needs(secret: list[Path], off: frozenset[str]) -> None:
    if not landlock.version():
        pytest.skip("no Landlock here")
    without, with_card = (inspect(secret, CellSpec([], off=off, gpu=gpu)) for gpu in (False, True))
    assert [name for name, blocked in with_card.attacks.items() if not blocked] == []
    exempt = {re.sub(r"\d+", "N", name) for name in without.attacks.keys() - with_card.attacks.keys()}
    assert exempt == {"listen on an abstract socket", "see which pages are in memory in /proc/self/task/N"}
    assert {"accept a connection", "connect to an abstract socket", "name a socket"} <= with_card.attacks.keys()


@pytest.mark.parametrize(
    ("off", "through"),
    [
        ("landlock uid", "read {secret}"),
        ("landlock uid", "read {secret} through a symbolic link"),
        ("landlock uid ns", "write to /tmp"),
        ("seccomp uid ns", "send to a path from a socket pair"),
        ("seccomp uid ns", "accept a connection"),
        ("seccomp uid ns", "lock a file"),
        ("seccomp uid ns", "change the time of a file"),
        ("seccomp uid ns", "leave shared memory"),
    ],
)
def test_the_self_attack_finds_what_a_missing_layer_lets_through(secret: list[Path], off: str, through: str) -> None:
    inspection = inspect(secret, CellSpec([], off=frozenset(off.split())))
    assert inspection.attacks[through.format(secret=secret[1])] is False
    assert inspection.grade == "WEAK" and inspection.weaknesses
    assert inspection.attacks["find a secret in the environment"] is True


AS_USER = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from autoresearch.sandbox.launch import CellSpec
    from autoresearch.sandbox.selftest import inspect
    for off in ("", "ns", "landlock>1 ns"):
        inspection = inspect([Path(sys.argv[2])], CellSpec([], off=frozenset(off.split())))
        print(inspection.grade, inspection.weaknesses)
"""


@pytest.fixture
def user_home() -> Iterator[Path]:
    """A folder that an ordinary user may enter, with a copy of the package and a file of its own."""
    folder = Path("/tmp") / f"user-{uuid.uuid4().hex}"
    shutil.copytree(ROOT / "autoresearch", folder / "autoresearch", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "val.bin").write_text("x")
    os.chown(folder / "val.bin", 1234, 1234)
    yield folder
    shutil.rmtree(folder)


def test_an_ordinary_user_is_protected_as_well(request: pytest.FixtureRequest) -> None:
    python = Path("/usr/bin/python3")
    if os.geteuid() != 0 or not python.exists() or not landlock.version():
        pytest.skip("needs root, a Python that everybody can read, and Landlock")
    version = subprocess.check_output([python, "-c", "import sys; print(sys.version_info[:2] >= (3, 11))"])
    if version != b"True\n":
        pytest.skip("the system's Python is too old")
    home: Path = request.getfixturevalue("user_home")
    arguments = [textwrap.dedent(AS_USER), str(home), str(home / "val.bin")]
    result = subprocess.run(
        [python, "-c", *arguments],
        user=1234,
        group=1234,
        extra_groups=[],
        cwd="/",
        env={"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("STRONG []\n" * 3, "")
