"""Data sets as `prepare` makes them, the script prepare.py, and the reader of data sets, on small corpora."""

import fcntl
import hashlib
import json
import os
import random
import re
import signal
import stat
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

from autoresearch.data import builder, encoding, omissions, stdlib, workers
from autoresearch.data.dataset import Dataset
from autoresearch.data.text_files import find_files
from autoresearch.errors import Blocker, UsageError, UserError
from autoresearch.setup import prepare

SCRIPT = Path(__file__).resolve().parents[2] / "prepare.py"


def story(seed, words=120):
    """Make a text of common words, so that byte pairs merge, with some multi-byte characters."""
    rng = random.Random(seed)
    syllables = ["ra", "to", "mi", "len", "ska", "é", "日本", "🙂", "un", "do"]
    return " ".join("".join(rng.choices(syllables, k=rng.randint(1, 3))) for _ in range(words)) + "\n"


@pytest.fixture
def texts(tmp_path):
    """Make a folder with 60 documents in .txt, .md, .py and .jsonl files."""
    folder = tmp_path / "texts"
    (folder / "deep" / "er").mkdir(parents=True)
    for seed in range(30):
        suffix = (".txt", ".md", ".py")[seed % 3]
        (folder / ("deep/er" if seed % 2 else ".") / f"{seed}{suffix}").write_text(story(seed))
    lines = [json.dumps({"text": story(seed), "other": 1}) for seed in range(30, 60)]
    (folder / "lines.jsonl").write_text("\n\n".join(lines) + "\n")
    return folder


def make(folder, cache, vocab_size=256, seq_len=32, **more):
    return prepare.prepare(f"files:{folder}", vocab_size, seq_len, cache=cache, progress=False, **more)


def stream(data, split):
    """Return the token stream of a split's rows, without the dropped end."""
    rows = data.rows(split)
    assert np.array_equal(rows[1:, 0], rows[:-1, -1])
    return np.concatenate([rows[0, :1], rows[:, 1:].ravel()])


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def run_script(cache, *args):
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--search", "0", "--cache", str(cache), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize("vocab_size", [256, 300])
def test_scored_rows_hold_every_document_once_in_order_of_its_hash(texts, tmp_path, vocab_size):
    data = Dataset.open(make(texts, tmp_path, vocab_size))
    bos = data.meta["tokenizer"]["bos"]
    expected = {hashlib.sha256(story(seed).encode()).hexdigest(): story(seed).encode() for seed in range(60)}
    for split in ("val", "holdout"):
        tokens, counts = stream(data, split), data.meta["splits"][split]
        assert 0 <= counts["tokens"] - len(tokens) < data.seq_len
        assert tokens[0] == bos
        documents = [data.decode(part) for part in np.split(tokens, np.flatnonzero(tokens == bos))[1:]]
        assert len(documents) == counts["documents"]
        digests = [hashlib.sha256(document).hexdigest() for document in documents[:-1]]  # the last has lost its end
        assert digests == sorted(digests)
        assert set(digests) <= expected.keys()


@pytest.mark.parametrize("vocab_size", [256, 300])
def test_no_document_is_in_two_splits(texts, tmp_path, vocab_size):
    data = Dataset.open(make(texts, tmp_path, vocab_size))
    bos = data.meta["tokenizer"]["bos"]
    # in training a document may go on in the next row, which then begins with the last token of this one
    parts = [row if row[0] == bos else row[1:] for row in data.rows("train")]
    train = data.decode(np.concatenate(parts))
    kept = [text for text in (story(seed).encode() for seed in range(60)) if text in train]
    held = [stream(data, split) for split in ("val", "holdout")]
    scored = [data.decode(part) for tokens in held for part in np.split(tokens, np.flatnonzero(tokens == bos))[1:]]
    assert not any(text[:50] in train for text in scored)
    assert len(kept) + len(scored) in (59, 60)  # the end of train is dropped
    assert data.meta["splits"]["train"]["tokens"] - len(np.concatenate(parts)) <= data.seq_len


@pytest.mark.parametrize("vocab_size", [256, 300])
def test_token_lengths_add_up_to_the_bytes_of_the_text(texts, tmp_path, vocab_size):
    data = Dataset.open(make(texts, tmp_path, vocab_size))
    lengths = data.token_bytes()
    assert lengths.dtype == np.int64 and lengths.shape == (vocab_size,) == (data.vocab_size,)
    assert lengths[data.meta["tokenizer"]["bos"]] == 0
    assert sum(counts["bytes"] for counts in data.meta["splits"].values()) == sum(
        len(story(seed).encode()) for seed in range(60)
    )
    for split in data.meta["splits"]:
        tokens = data.rows(split).ravel()
        assert lengths[tokens].sum() == len(data.decode(tokens))


def test_rows_are_read_only_uint16_on_disk(texts, tmp_path):
    data = Dataset.open(make(texts, tmp_path, 300))
    rows = data.rows("val")
    assert rows.dtype == np.uint16 and rows.shape == (data.meta["splits"]["val"]["rows"], 33)
    with pytest.raises(ValueError, match="read-only"):
        rows[0, 0] = 1
    assert data.train_shards() == [data.root / "train-0000.bin"]


def test_held_out_splits_are_for_the_owner_alone(texts, tmp_path):
    root = make(texts, tmp_path)
    assert stat.S_IMODE((root / "held").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (root / "held").iterdir()} == {0o600}
    assert {path.name for path in (root / "held").iterdir()} == {"val.bin", "holdout.bin"}


def test_held_out_splits_take_their_share(texts, tmp_path):
    splits = Dataset.open(make(texts, tmp_path)).meta["splits"]
    total = sum(counts["bytes"] for counts in splits.values())
    for split in ("val", "holdout"):
        assert 0.05 <= splits[split]["bytes"] / total < 0.08


def test_exact_duplicates_are_removed(texts, tmp_path):
    before = Dataset.open(make(texts, tmp_path)).hash
    (texts / "copy.txt").write_text(story(3))
    with (texts / "lines.jsonl").open("a") as file:
        file.write(json.dumps({"text": story(4)}) + "\n")
    data = Dataset.open(make(texts, tmp_path))
    assert data.meta["duplicates"] == 2
    assert data.hash == before


def test_what_is_no_text_is_left_out_and_counted(texts, tmp_path):
    before = Dataset.open(make(texts, tmp_path)).hash
    (texts / "latin.txt").write_bytes("Ärger".encode("latin-1"))
    (texts / "nul.md").write_bytes(b"zero\0byte")
    (texts / "empty.txt").write_text(" \n")
    (texts / "surrogate.jsonl").write_text('{"text": "\\ud800"}\n')
    (texts / "picture.png").write_bytes(b"\x89PNG")
    data = Dataset.open(make(texts, tmp_path))
    counts = {entry["reason"]: entry["count"] for entry in data.left_out}
    expected = {omissions.NOT_UTF8: 2, omissions.BINARY: 1, omissions.EMPTY: 1, omissions.OTHER_ENDING: 1}
    assert counts == expected
    assert data.hash == before


@pytest.mark.parametrize("vocab_size", [256, 300])
def test_same_text_gives_the_same_bytes(texts, tmp_path, vocab_size):
    one, two = (make(texts, tmp_path / cache, vocab_size) for cache in ("one", "two"))
    assert contents(one) == contents(two)
    assert Dataset.open(one).hash == Dataset.open(two).hash


def test_hash_depends_on_settings_and_text(texts, tmp_path):
    hashes = [Dataset.open(make(texts, tmp_path, *args)).hash for args in ((256, 32), (256, 33), (300, 32))]
    (texts / "new.txt").write_text(story(99))
    hashes.append(Dataset.open(make(texts, tmp_path)).hash)
    assert len(set(hashes)) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", digest) for digest in hashes)


def test_all_cores_give_the_same_bytes(texts, tmp_path, monkeypatch):
    alone = make(texts, tmp_path / "alone", 300)
    monkeypatch.setattr(workers, "PARALLEL_BYTES", 0)
    assert contents(make(texts, tmp_path / "together", 300)) == contents(alone)


def test_several_shards_make_the_same_rows(texts, tmp_path, monkeypatch):
    rows = Dataset.open(make(texts, tmp_path / "one")).rows("train")
    monkeypatch.setattr(builder, "SHARD_BYTES", 4000)
    monkeypatch.setattr(encoding, "CHUNK_BYTES", 2000)
    data = Dataset.open(make(texts, tmp_path / "many"))
    assert len(data.train_shards()) > 5
    assert np.array_equal(data.rows("train"), rows)
    assert not data.rows("train").flags.writeable


def test_one_book_is_enough(tmp_path):
    book = "\n".join(story(seed, 40) for seed in range(400))
    (tmp_path / "book.txt").write_text(book)
    splits = Dataset.open(make(tmp_path / "book.txt", tmp_path)).meta["splits"]
    assert sum(counts["bytes"] for counts in splits.values()) == len(book.encode())
    assert all(counts["documents"] >= 5 for counts in splits.values())


def test_endless_blanks_and_lines_without_blanks(texts, tmp_path):
    (texts / "odd.txt").write_text(" " * 200_000 + "x" + "\n" * 50_000 + "日" * 50_000 + "\t \n" * 20_000)
    data = Dataset.open(make(texts, tmp_path, 300))
    assert data.meta["duplicates"] > 0


def test_again_there_is_nothing_to_do(texts, tmp_path, capfd):
    source = f"files:{texts}"
    first = run_script(tmp_path, "--source", source, "--vocab-size", "300", "--seq-len", "32")
    assert first.returncode == 0, first.stderr
    assert re.search(r"^val +\d+ ", first.stdout, re.M)
    root = prepare.dataset_path(source, 300, 32, cache=tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    before = os.times()
    second = run_script(tmp_path, "--source", source, "--vocab-size", "300", "--seq-len", "32")
    assert os.times().children_user - before.children_user < 2  # s of CPU; 0.3 on a quiet machine
    assert second.stdout == first.stdout
    assert stamps == {path: path.stat().st_mtime_ns for path in root.rglob("*")}


@pytest.mark.parametrize("name", ["train-0000.bin", "held/val.bin", "token_bytes.bin", "meta.json"])
def test_half_a_file_is_found_and_made_again(texts, tmp_path, capfd, name):
    root = make(texts, tmp_path)
    whole = contents(root)
    (root / name).write_bytes(whole[name][: len(whole[name]) // 2])
    with pytest.raises(Blocker, match="damaged"):
        Dataset.open(root)
    prepare.prepare(f"files:{texts}", 256, 32, cache=tmp_path)
    assert "damaged" in capfd.readouterr().err
    assert contents(root) == whole


def test_a_changed_byte_is_found_by_verify(texts, tmp_path):
    root = make(texts, tmp_path)
    whole = contents(root)
    (root / "train-0000.bin").write_bytes(b"!" + whole["train-0000.bin"][1:])
    with pytest.raises(Blocker, match=r"train-0000\.bin"):
        Dataset.open(root).verify()
    make(texts, tmp_path, verify=True)
    Dataset.open(root).verify()
    assert contents(root) == whole


def test_no_data_set_is_a_blocker_that_says_what_to_do(tmp_path):
    with pytest.raises(Blocker, match="autoresearch prepare"):
        Dataset.open(tmp_path / "none")


def test_the_path_follows_the_files(texts, tmp_path):
    def path():
        return prepare.dataset_path(f"files:{texts}/*.txt", 256, 32, cache=tmp_path)

    before = path()
    assert before == path()
    (texts / "0.txt").write_text("changed")
    assert path() != before


def test_globs_are_recursive_and_separated_by_commas(texts):
    found = find_files(f"{texts}/**/*.md, {texts}/lines.jsonl")
    assert len(found.paths) == 11
    assert find_files(str(texts)) == find_files(f"{texts}/**")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"source": "files:{}/nothing/*.txt"}, UserError, "no file matches"),
        ({"source": "files:{}/tiny.png"}, UserError, "no file matches"),
        ({"source": "files:"}, UsageError, "needs a path"),
        ({"source": "web:x"}, UsageError, "unknown source"),
        ({"source": "files:{}/empty.txt"}, UserError, "too little text"),
        ({"source": "files:{}/tiny.txt"}, UserError, "too little text: train has 0 rows"),
        ({"source": "files:{}/dull.txt", "vocab_size": 1000}, UserError, "--vocab-size 256"),
        ({"source": "files:{}/bad.jsonl"}, UserError, r"bad\.jsonl:3: not a JSON object"),
        ({"source": "files:{}/list.jsonl"}, UserError, r"list\.jsonl:1: not a JSON object"),
        ({"source": "files:{}/dull.txt", "vocab_size": 255}, UsageError, "vocabulary of 255"),
        ({"source": "files:{}/dull.txt", "vocab_size": 65536}, UsageError, "vocabulary of 65536"),
        ({"source": "files:{}/dull.txt", "seq_len": 1}, UsageError, "rows of 1 token"),
        ({"source": "files:{}/dull.txt", "device": "abacus"}, UsageError, "abacus"),
    ],
)
def test_bad_input_is_one_clear_line_and_leaves_nothing(tmp_path, arguments, error, says):
    (tmp_path / "tiny.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "tiny.txt").write_text("a few words\n")
    (tmp_path / "dull.txt").write_text("".join(f"{number % 7}\n" * 3 for number in range(20_000)))
    (tmp_path / "bad.jsonl").write_text('{"text": "good"}\n\n{"text": half\n')
    (tmp_path / "list.jsonl").write_text('["text"]\n')
    arguments["source"] = arguments["source"].format(tmp_path)
    with pytest.raises(error, match=says) as caught:
        prepare.prepare(**{"vocab_size": 256, **arguments}, cache=tmp_path / "cache", progress=False)
    assert "\n" not in str(caught.value)
    data = tmp_path / "cache" / "data"
    assert not data.exists() or [path.name for path in data.iterdir()] == [".lock"]


def test_parquet_columns_are_read(texts, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    before = Dataset.open(make(texts, tmp_path)).hash
    values = [json.loads(line)["text"] for line in (texts / "lines.jsonl").read_text().split("\n\n")]
    parquet.write_table(pyarrow.table({"text": [*values, None]}), texts / "lines.parquet")
    (texts / "lines.jsonl").unlink()
    assert Dataset.open(make(texts, tmp_path)).hash == before
    parquet.write_table(pyarrow.table({"body": values}), texts / "lines.parquet")
    with pytest.raises(UserError, match=r'lines\.parquet: no column "text"'):
        make(texts, tmp_path)


def test_a_missing_reader_of_parquet_is_named(texts, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (texts / "table.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="-m pip install pyarrow`"):
        make(texts, tmp_path)


def test_a_full_disk_is_said_and_leaves_nothing(texts, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left"):
        make(texts, tmp_path)
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_made_is_said(texts, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file"):
        make(texts, tmp_path / "file")


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_a_builder_that_is_stopped_leaves_no_half_data_set(texts, tmp_path, kill):
    (texts / "long.jsonl").write_text("".join(json.dumps({"text": story(n, 900)}) + "\n" for n in range(600)))
    source, data = f"files:{texts}", tmp_path / "cache" / "data"
    arguments = ["--source", source, "--vocab-size", "4000", "--cache", str(tmp_path / "cache")]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where it is ignored (nohup)
    builder = subprocess.Popen([sys.executable, str(SCRIPT), *arguments], stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not list(data.glob(".*.new")) and time.monotonic() < deadline:
        time.sleep(0.005)
    builder.send_signal(kill)
    _, talk = builder.communicate(timeout=280)
    assert builder.returncode == (130 if kill == signal.SIGINT else -kill)
    assert "Traceback" not in talk
    assert not prepare.dataset_path(source, 4000, 64, cache=tmp_path / "cache").exists()
    if kill == signal.SIGKILL:
        assert list(data.glob(".*.new"))
        make(texts, tmp_path / "cache")
    assert not list(data.glob(".*.new"))


@pytest.mark.slow
def test_a_second_builder_waits_for_the_first(texts, tmp_path):
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, str(SCRIPT), "--source", f"files:{texts}", "--vocab-size", "256"]
        command += ["--cache", str(tmp_path)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as waiting:
            assert waiting.stderr is not None
            assert "waiting" in waiting.stderr.readline()
            assert waiting.poll() is None
            fcntl.flock(lock, fcntl.LOCK_UN)
            waiting.communicate(timeout=280)
    assert waiting.returncode == 0


def test_text_that_cannot_be_hidden_is_noted(tmp_path):
    source = Path(sysconfig.get_path("stdlib")) / "json"
    assert "not hidden" in Dataset.open(make(source, tmp_path)).meta["grade_note"]


def test_text_elsewhere_can_be_hidden(texts, tmp_path):
    assert Dataset.open(make(texts, tmp_path)).meta["grade_note"] is None
    assert Dataset.open(make(texts, tmp_path)).readable_library() is None


def test_the_script_reports_errors_in_one_line_with_an_exit_code(tmp_path):
    failed = run_script(tmp_path, "--source", "files:/does/not/exist/*.md")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: no file matches") and failed.stderr.count("\n") == 1
    assert run_script(tmp_path, "--source", "web").returncode == 2


@pytest.mark.slow
def test_no_held_out_library_text_can_be_read(own_library):
    readable = own_library.readable_library()
    root = Path(own_library.meta["library_root"])
    seen = {hashlib.sha256((root / file).read_bytes()).hexdigest() for file in readable}
    hidden = set(stdlib.library_files(root)) - set(readable)
    splits = own_library.meta["splits"]
    assert len(hidden) == splits["val"]["documents"] + splits["holdout"]["documents"]
    assert readable == sorted(readable)
    texts = {(root / file).read_bytes() for file in hidden}
    for split in ("val", "holdout"):
        tokens = stream(own_library, split)
        documents = [own_library.decode(part) for part in np.split(tokens, np.flatnonzero(tokens == 0))[1:]]
        assert set(documents[:-1]) <= texts
        assert not {hashlib.sha256(document).hexdigest() for document in documents} & seen


@pytest.mark.slow
def test_what_python_needs_stays_readable(own_library):
    modules = "numpy, json, subprocess, multiprocessing.pool, concurrent.futures, asyncio, encodings.utf_16"
    program = f"import sys, {modules}; print([getattr(m, '__file__', '') or '' for m in sys.modules.values()])"
    answer = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    hidden = set(stdlib.library_files(stdlib.library_root())) - set(own_library.readable_library())
    assert hidden
    assert not [file for file in hidden if str(stdlib.library_root() / file) in answer.stdout]


@pytest.mark.slow
def test_the_library_is_split_by_its_share(own_library):
    splits = own_library.meta["splits"]
    total = sum(counts["bytes"] for counts in splits.values())
    for split in ("val", "holdout"):
        assert 0.04 < splits[split]["bytes"] / total < 0.1
