"""The search for lines of val and holdout in what a cell can read."""

import importlib.util
import os
import py_compile
import re
from pathlib import Path

from support.readable import copy_readable

from autoresearch.data import exposure
from autoresearch.data.dataset import Dataset
from autoresearch.setup import prepare

LINE = b"a line of the validation text that is long enough to matter"
OTHER = b"another line of it, which is also longer than forty bytes"


def find(*roots: Path, seconds: float = 10) -> exposure.Exposure:
    return exposure.search({LINE, OTHER}, list(map(str, roots)), seconds)


def test_lines_are_found_in_text_of_any_name_whatever_their_indentation(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "NOTES").write_bytes(b"first\r\n\t  " + LINE + b"  \r\nlast")
    found = find(tmp_path)
    assert (found.lines, found.found, found.is_complete) == (2, 1, True)
    assert found.example == str(tmp_path / "deep" / "er" / "NOTES")
    assert find(tmp_path / "deep" / "er" / "NOTES").found == 1


def test_a_part_of_a_line_is_not_the_line(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(LINE[:-1] + b"\n" + OTHER + b" and more\n")
    assert find(tmp_path).found == 0


def test_docstrings_are_found_in_compiled_files_without_a_source(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text(f'def outer():\n    class Inner:\n        """Title.\n\n        {LINE.decode()}\n        """\n')
    compiled = Path(py_compile.compile(str(source), doraise=True))
    source.unlink()
    assert find(tmp_path).example == str(compiled)
    compiled.write_bytes(b"\1\2\r\n" + compiled.read_bytes()[4:])  # of another Python
    assert find(tmp_path).found == 1
    compiled.write_bytes(importlib.util.MAGIC_NUMBER + b"\0" * 20)
    assert find(tmp_path).found == 0


def test_what_cannot_be_read_or_is_no_text_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\0\n" + LINE + b"\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert find(tmp_path, tmp_path / "none", Path("/proc")).found == 0


def test_a_tree_inside_another_is_searched_once(tmp_path: Path) -> None:
    inner = tmp_path / "lib" / "site-packages"
    inner.mkdir(parents=True)
    (inner / "text.txt").write_bytes(LINE)
    assert find(tmp_path, inner).searched_bytes == len(LINE)


def test_the_search_ends_at_its_limit(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(LINE)
    found = find(tmp_path, seconds=-1)
    assert (found.found, found.is_complete) == (0, False)


def test_few_lines_are_told_and_more_are_a_weakness() -> None:
    few, more = (exposure.Exposure(10_000, count, "/usr/x", 1, True) for count in (20, 21))
    assert few.note is None and str(few) == "20 of 10,000 lines of val and holdout, the first in /usr/x"
    assert more.note is not None and more.note.startswith("training code can read 21 of 10,000 lines")


def test_long_lines_of_val_and_holdout_are_looked_for(bytes_data: Dataset) -> None:
    lines = exposure.held_out_lines(bytes_data)
    held = b"".join(bytes_data.decode(bytes_data.rows(split)[:, 1:].ravel()) for split in ("val", "holdout"))
    assert lines and all(len(line) >= exposure.MIN_LINE_BYTES and line in held for line in lines)


def test_prepare_grades_a_corpus_with_a_copy_in_sight(tmp_path: Path) -> None:
    copy_readable(tmp_path / "texts")
    source = f"files:{tmp_path}/texts"
    unknown = Dataset.open(prepare.prepare(source, 256, 32, cache=tmp_path / "one", progress=False, search_s=0))
    assert unknown.weaknesses == []
    exposed = Dataset.open(prepare.prepare(source, 256, 32, cache=tmp_path / "two", progress=False, search_s=1))
    assert exposed.hash == unknown.hash
    assert len(exposed.weaknesses) == 1
    assert re.match(r"training code can read [\d,]+ of .*-packages/.*: remove that copy", exposed.weaknesses[0])
