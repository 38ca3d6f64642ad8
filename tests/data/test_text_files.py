"""Finding and reading the files of a corpus: odd names, links, endings, encodings, and what is left out."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.data import omissions
from autoresearch.data.documents import read_file
from autoresearch.data.text_files import find_files
from autoresearch.errors import UserError

ODD = st.text(st.sampled_from("a[]*?!{},~ .-\n\t$#%\\'\"é日🙂\udcff"), min_size=1, max_size=8)
NAMES = ODD.filter(lambda name: name not in (".", ".."))


def names_of(folder: Path, source: str) -> set[str]:
    return {str(Path(path).relative_to(folder)) for path in find_files(source).paths}


@given(folder=NAMES, names=st.sets(NAMES.map(lambda name: f"{name}.txt"), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_path_that_exists_is_literal_whatever_its_name(folder: str, names: set[str]) -> None:
    with tempfile.TemporaryDirectory() as top:
        place = Path(top, folder)
        place.mkdir()
        for name in names:
            (place / name).write_text("some words")
            assert names_of(place, str(place / name)) == {name}
        visible = {name for name in names if not name.startswith(".")}
        if visible:
            found = find_files(str(place))
            assert {Path(path).name for path in found.paths} == visible
            assert sum(found.left_out.counts.values()) == len(names - visible)
        else:
            with pytest.raises(UserError, match="no file matches"):
                find_files(str(place))


@given(text=ODD)
@settings(max_examples=100, deadline=None)
def test_a_name_that_leads_nowhere_is_one_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as top:
        try:
            find_files(f"{top}/none/{text}")
        except UserError as error:
            assert "\n" not in str(error)


def test_a_pattern_below_a_folder_with_brackets(tmp_path: Path) -> None:
    folder = tmp_path / "[2020] letters"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.txt", "b.md", "deep/c.txt", ".hidden.txt"):
        (folder / name).write_text("some words")
    assert names_of(folder, f"{folder}/*.txt") == {"a.txt"}
    assert names_of(folder, f"{folder}/**/*.txt") == {"a.txt", "deep/c.txt"}
    assert names_of(folder, f"{folder}/[ab].*") == {"a.txt", "b.md"}
    assert names_of(folder, f"{folder}/a.txt,{folder}/deep") == {"a.txt", "deep/c.txt"}


def test_walks_follow_no_links_to_folders(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("some words")
    (folder / "again").symlink_to(".")
    (folder / "up").symlink_to("..")
    (folder / "linked.txt").symlink_to("a.txt")
    (folder / "nowhere.txt").symlink_to("nothing")
    (folder / "circle.txt").symlink_to("circle.txt")
    found = find_files(str(folder))
    assert [Path(path).name for path in found.paths] == ["a.txt", "linked.txt"]
    assert found.left_out.counts == {omissions.LINKED_FOLDER: 2, omissions.NO_FILE: 2}
    assert len(find_files(str(folder / "again")).paths) == 2  # named: followed


def test_endings_in_capitals_are_read_and_others_are_counted(tmp_path: Path) -> None:
    for name in ("A.TXT", "b.Md", "c.rst", "d"):
        (tmp_path / name).write_text("some words")
    found = find_files(str(tmp_path))
    assert [Path(path).name for path in found.paths] == ["A.TXT", "b.Md"]
    assert found.left_out.counts == {omissions.OTHER_ENDING: 2}
    with pytest.raises(UserError, match=r"1 with another ending.* found"):
        find_files(str(tmp_path / "c.rst"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_with_a_mark_are_read(tmp_path: Path, encoding: str) -> None:
    text = "Grüße, 日本 🙂\nzweite Zeile\n"
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    (tmp_path / "a.jsonl").write_bytes("".join(json.dumps({"text": text}) + "\n" for _ in range(3)).encode(encoding))
    plain, lines = read_file(str(tmp_path / "a.txt")), read_file(str(tmp_path / "a.jsonl"))
    assert plain.texts == [text.encode()] and lines.texts == [text.encode()] * 3
    assert not plain.left_out.counts and not lines.left_out.counts


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("Ärger".encode("latin-1"), omissions.NOT_UTF8),
        ("words without a mark".encode("utf-16-le"), omissions.BINARY),
        (b"\xff\xfea", omissions.NOT_UTF8),  # half a character after the mark of UTF-16
        (b" \n", omissions.EMPTY),
    ],
)
def test_what_cannot_be_read_is_counted_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    found = read_file(str(tmp_path / "a.txt"))
    assert found.texts == [] and found.left_out.counts == {reason: 1}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"id": 1, "body": "words"}', r'a\.jsonl:1: .*"text".*\("id", "body"\)'),
        ('{"text": ["words"]}', r'string in the field "text"'),
        ("[" * 100_000, r'string in the field "text"'),
        ('{"text": "\udcff"}', "not UTF-8"),
    ],
)
def test_an_error_in_a_line_names_its_fields(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(line.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=words):
        read_file(str(tmp_path / "a.jsonl"))


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can read everything")
    (tmp_path / "closed").mkdir(mode=0o000)
    (tmp_path / "a.txt").write_text("some words")
    with pytest.raises(UserError, match="closed cannot be read"):
        find_files(str(tmp_path))
