"""program.md while a human edits it: what cannot be read leaves the last text in force."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.brief.human_text import HumanText
from autoresearch.files import read_text

STATES = st.lists(st.sampled_from(["gone", "folder", "loop", "one", "two", ""]), max_size=8)


@given(states=STATES)
@settings(max_examples=60, deadline=None)
def test_the_last_text_that_could_be_read_counts(tmp_path_factory: pytest.TempPathFactory, states: list[str]) -> None:
    path, warnings = tmp_path_factory.mktemp("human") / "program.md", list[str]()
    text, expected = HumanText(path, warnings.append), ""
    for state in states:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            path.rmdir()
        before, was_lost = len(warnings), text.is_lost
        if state == "folder":
            path.mkdir()
        elif state == "loop":
            path.symlink_to(path.name)
        elif state != "gone":
            path.write_text(state)
            expected = state
        is_lost = state in ("folder", "loop") or (state == "gone" and expected != "")
        assert text.read() == expected
        assert len(warnings) - before == (is_lost and not was_lost)


def test_texts_of_other_editors(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "program.md").write_bytes("Größer\r\nist besser\n".encode(encoding))
        assert read_text(tmp_path / "program.md") == "Größer\nist besser\n"
    (tmp_path / "program.md").write_bytes(b"caf\xe9")
    assert read_text(tmp_path / "program.md") == "caf\ufffd"
    assert read_text(tmp_path / "none.md") is None
