"""Libraries of a driver and device files: found where they lie, and nothing beside them."""

import functools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.cells import ROOT, run
from support.drivers import build_driver

from autoresearch.sandbox import card_files, landlock
from autoresearch.sandbox.layers import choose_uid

CU_INIT = """
import ctypes, sys
try:
    print(ctypes.CDLL("libcuda.so.1").cuInit(0))
except OSError as error:
    print("hidden")
try:
    print(open(sys.argv[1]).read())
except PermissionError:
    print("refused")
"""
OPEN_TO_ALL = frozenset({"uid"})  # a folder of tests may be private to our user


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = build_driver(tmp_path / "driver")
    monkeypatch.setenv("LD_LIBRARY_PATH", f":relative:{folder}:/nowhere")
    return folder


def test_a_driver_anywhere_is_readable_in_cells_with_a_card_and_its_neighbours_are_not(driver: Path) -> None:
    if not landlock.version():
        pytest.skip("no Landlock here")
    secret, loads = str(driver / "secret"), {"LD_LIBRARY_PATH": str(driver)}
    assert run(CU_INIT, secret, gpu=True, off=OPEN_TO_ALL)[1].split() == ["0", "refused"]
    assert run(CU_INIT, secret, gpu=False, environment=loads, off=OPEN_TO_ALL)[1].split() == ["hidden", "refused"]


def test_libraries_are_real_files_and_found_in_all_folders_that_a_driver_may_lie_in(tmp_path: Path) -> None:
    for folder in ("cuda/lib64", "cuda/lib", "driver", "store"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("cuda/lib64/libnvrtc.so.12", "cuda/lib/notes.txt", "driver/libnvidia-ml.so.1", "store/libcuda.so.1"):
        (tmp_path / name).write_text("x")
    (tmp_path / "driver" / "libcuda.so").symlink_to(tmp_path / "store" / "libcuda.so.1")
    (tmp_path / "driver" / "libnvidia-gone.so").symlink_to(tmp_path / "gone")
    folders = card_files.library_folders({"LD_LIBRARY_PATH": f"{tmp_path}/driver:", "CUDA_HOME": f"{tmp_path}/cuda"})
    expected = {"cuda/lib64/libnvrtc.so.12", "driver/libnvidia-ml.so.1", "store/libcuda.so.1"}
    assert card_files.find_libraries(tuple(folders)) == tuple(sorted(str(tmp_path / name) for name in expected))
    assert card_files.library_folders({}) == []


def test_device_files_are_files(tmp_path: Path) -> None:
    for name in ("nvidia-caps", "nvidia-caps-imex-channels", "dri/by-path"):
        (tmp_path / name).mkdir(parents=True)
    names = {"nvidia0", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1", "dri/renderD128", "kfd"}
    for name in [*names, "sda"]:
        (tmp_path / name).touch()
    assert set(card_files.devices(tmp_path)) == {str(tmp_path / name) for name in names}


@pytest.mark.parametrize(
    ("device", "is_needed"),
    [
        *(("/dev/nvidia0", True), ("/dev/nvidia11", True), ("/dev/nvidiactl", True), ("/dev/nvidia-uvm", True)),
        *(("/dev/kfd", True), ("/dev/dxg", True), ("/dev/null", True), ("/dev/dri/card0", False)),
        *(("/dev/nvidia-caps/nvidia-cap1", False), ("/dev/nvidia-uvm-tools", False), ("/dev/nvidia-modeset", False)),
        *(("/dev/nvidia-fs0", False), ("/dev/nvidia-nvswitchctl", False)),
    ],
)
def test_a_user_of_its_own_needs_the_devices_that_compute(device: str, is_needed: bool) -> None:
    assert card_files.is_needed(device) == is_needed


def test_a_cell_gets_a_user_of_its_own_beside_devices_that_belong_to_root(tmp_path: Path) -> None:
    if choose_uid([], ["/dev/null"]) is None:
        pytest.skip("only root can take other users")
    private = tmp_path / "nvidia-modeset"
    private.touch(mode=0o600)
    assert choose_uid([], [str(private)]) is None
    assert choose_uid([], list(filter(card_files.is_needed, ["/dev/null", "/dev/nvidia-modeset"]))) is not None


def test_cuda_is_initialised_outside_before_the_devices_are_listed(
    driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "nvidia-uvm"
    monkeypatch.setenv("TEST_DEVICE_FILE", str(made))
    wake = functools.partial(card_files.wake_driver.__wrapped__, made)
    wake()
    assert made.exists()
    made.write_text("as it was")
    wake()
    assert made.read_text() == "as it was"


def test_without_a_driver_nothing_is_initialised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    card_files.wake_driver.__wrapped__(tmp_path / "nvidia-uvm")
    assert "torch" not in sys.modules


INSPECT = "from autoresearch.sandbox import layers; print(layers.can_inspect(layers.CELL_UIDS[0]))"


def test_a_container_without_the_right_to_inspect_other_users_is_noticed() -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None or choose_uid([], []) is None:
        pytest.skip("only root can take other users and give up rights")
    program = [sys.executable, "-c", INSPECT]
    assert subprocess.check_output(program, cwd=ROOT, text=True) == "True\n"
    without = [setpriv, "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace", *program]
    assert subprocess.check_output(without, cwd=ROOT, text=True) == "False\n"
