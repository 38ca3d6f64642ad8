"""Long output goes to the user's pager, in a terminal only."""

import os
from pathlib import Path

import pytest
from support.programs import autoresearch
from support.terminals import terminal


def environment(folder: Path, pager: str) -> dict[str, str]:
    return os.environ | {"PAGER": f"sh -c 'cat > {folder}/paged; echo by way of {pager}'"}


def test_what_does_not_fit_on_the_screen_is_paged(finished: Path, tmp_path: Path) -> None:
    with terminal(finished, "log", "--all", env=environment(tmp_path, "mine"), rows=4) as shown:
        code, text = shown.end()
    assert code == 0 and text.split() == ["by", "way", "of", "mine"]
    assert "discard" in (tmp_path / "paged").read_text()


def test_what_fits_is_not(finished: Path, tmp_path: Path) -> None:
    with terminal(finished, "log", env=environment(tmp_path, "mine")) as shown:
        code, text = shown.end()
    assert code == 0 and "by way of" not in text and "keep" in text


@pytest.mark.parametrize("pager", ["no-such-pager -x", "less 'x"])
def test_a_pager_that_is_not_there_is_done_without(finished: Path, pager: str) -> None:
    with terminal(finished, "log", "--all", env=os.environ | {"PAGER": pager}, rows=3) as shown:
        assert shown.end()[0] == 0 and "discard" in shown.text


def test_nothing_is_paged_in_a_pipe(finished: Path, tmp_path: Path) -> None:
    done = autoresearch(finished, "show", "1", env=environment(tmp_path, "mine"))
    assert "SMOOTHING" in done.stdout and "\x1b" not in done.stdout and not (tmp_path / "paged").exists()
