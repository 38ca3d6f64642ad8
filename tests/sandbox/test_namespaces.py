"""Processes of a namespace, as they are numbered outside of it."""

from pathlib import Path

import pytest

from autoresearch.sandbox.namespaces import find_process


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for pid, numbers in ((70, "70\t1"), (71, "71\t2"), (72, "72\t22"), (2, "2")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "status").write_text(f"Name:\tx\nNSpid:\t{numbers}\nThreads:\t1\n")
    return tmp_path


def test_a_process_is_found_by_its_number_inside(proc: Path) -> None:
    assert find_process(2, [70, 72, 71], str(proc)) == 71
    assert find_process(22, [70, 71, 72, 99], str(proc)) == 72
    assert find_process(7, [70, 71], str(proc)) is None


def test_where_the_kernel_does_not_tell_the_number_it_is_the_first_below_process_1(proc: Path) -> None:
    for pid in (71, 72):
        (proc / str(pid) / "status").write_text("Name:\tx\nThreads:\t1\n")
    assert find_process(2, [71, 72], str(proc)) == 71
    assert find_process(2, [], str(proc)) is None
