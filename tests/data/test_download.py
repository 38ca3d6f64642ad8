"""Downloads from a server that drops, stalls, truncates, corrupts and refuses."""

import random
from pathlib import Path

import pytest
from support.file_server import serving

from autoresearch.data.download import MAX_TRIES, download, expected_size
from autoresearch.errors import UserError

DATA = random.Random(0).randbytes(300_000)
HALF = f"bytes={len(DATA) // 2}-"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def download_over(folder: Path, faults: list[str], timeout: float = 10.0) -> tuple[list[str | None], list[float]]:
    """Download despite faults; return the requested ranges and the waits between tries."""
    waits: list[float] = []
    with serving({"data": DATA}, faults) as (address, server):
        download(f"{address}/main/data", folder / "data", timeout=timeout, wait=waits.append)
    assert (folder / "data").read_bytes() == DATA
    assert [path.name for path in folder.iterdir()] == ["data"]
    return [asked for _, _, asked in server.asked], waits


def test_a_file_arrives_and_its_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with serving({"data": DATA}, []) as (address, _):
        assert expected_size(f"{address}/main/data") == len(DATA)
        download(f"{address}/main/data", tmp_path / "data", lambda done, total: told.append((done, total)))
    assert (tmp_path / "data").read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA)) and told == sorted(told)


@pytest.mark.parametrize("fault", ["drop", "truncate", "stall"])
def test_what_broke_off_is_gone_on_with(tmp_path: Path, fault: str) -> None:
    ranges, waits = download_over(tmp_path, [fault], timeout=0.3 if fault == "stall" else 10.0)
    assert ranges == [None, HALF]
    assert waits == [1.0]


def test_the_next_run_goes_on_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "data.part").write_bytes(DATA[: len(DATA) // 2])
    assert download_over(tmp_path, [])[0] == [HALF]


def test_a_server_without_ranges_sends_all_of_it_again(tmp_path: Path) -> None:
    assert download_over(tmp_path, ["drop", "no ranges"])[0] == [None, HALF]


def test_a_corrupted_file_is_thrown_away(tmp_path: Path) -> None:
    assert download_over(tmp_path, ["corrupt"])[0] == [None, None]


def test_the_beginning_of_another_file_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "data.part").write_bytes(b"x" * 100)
    assert download_over(tmp_path, [])[0] == ["bytes=100-", None]


def test_a_part_that_is_too_long_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "data.part").write_bytes(DATA + b"x")
    assert download_over(tmp_path, [])[0] == [f"bytes={len(DATA) + 1}-", None]


def test_a_server_that_goes_on_elsewhere_is_not_believed(tmp_path: Path) -> None:
    assert download_over(tmp_path, ["drop", "elsewhere"])[0] == [None, HALF, None]


def test_a_busy_server_is_given_the_time_that_it_asks_for(tmp_path: Path) -> None:
    assert download_over(tmp_path, ["500", "503", "429", "500", "500"])[1] == [7.0, 7.0, 7.0, 8.0, 16.0]


def test_without_a_digest_the_size_is_checked(tmp_path: Path) -> None:
    assert download_over(tmp_path, ["bare"])[0] == [None]


@pytest.mark.parametrize(
    ("name", "faults", "words", "tries"),
    [
        ("absent", [], "the server answers 404", 0),
        ("data", ["403"], "the server answers 403", 1),
        ("data", ["500"] * MAX_TRIES, f"answers 500 .*, {MAX_TRIES} times", MAX_TRIES),
        ("data", ["corrupt"] * MAX_TRIES, "SHA-256", MAX_TRIES),
    ],
)
def test_what_cannot_be_had_is_one_line(tmp_path: Path, name: str, faults: list[str], words: str, tries: int) -> None:
    with serving({"data": DATA}, faults) as (address, server), pytest.raises(UserError, match=words) as told:
        download(f"{address}/main/{name}", tmp_path / name, wait=lambda seconds: None)
    assert "\n" not in str(told.value)
    assert len(server.asked) == tries
    assert not (tmp_path / name).exists()


def test_no_server_is_one_line_and_what_came_is_kept(tmp_path: Path) -> None:
    (tmp_path / "data.part").write_bytes(DATA[:10])
    with serving({}, []) as (address, _):
        pass
    with pytest.raises(UserError, match="cannot be reached"):
        download(f"{address}/main/data", tmp_path / "data", wait=lambda seconds: None)
    assert (tmp_path / "data.part").read_bytes() == DATA[:10]
