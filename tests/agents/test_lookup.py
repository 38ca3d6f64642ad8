from dataclasses import replace
from pathlib import Path

import pytest

from autoresearch.agents.lookup import LedgerLibrary, table
from autoresearch.ledger import Ledger
from autoresearch.metric import VAL_BPB
from autoresearch.session import describe
from autoresearch.text import Trace


@pytest.fixture
def library(tmp_path: Path, bigram: str) -> LedgerLibrary:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as store:
        row = store.create_session("t", "autoresearch/t", "sha", "claude", "default", {}, {}, seed=1)
        versions = [bigram, bigram.replace("0.5", "0.25"), bigram.replace("BATCH = 8", "BATCH = 16")]
        for n, version in enumerate(versions):
            made = store.add_experiment(
                row.id, n, parent=0 if n else None, **describe.text_columns(version, versions[0]),
                category="optimiser", hypothesis=f"idea {n}", verdict=["keep", "discard", "crash"][n], reason="why not",
                delta=0.00123456 if n == 1 else None,
            )  # fmt: skip
            trial = store.start_trial(row.id, made.id, "screen", 1, "blob")
            if n == 1:
                store.end_trial(trial.id, "ok", 2.3456789, {"holdout_bpb": 2.777, "reported": {"step": 12.0}})
            else:
                store.end_trial(trial.id, "ok" if n == 0 else "crash", 2.4 if n == 0 else None, {})
            store.update_experiment(made.id, state="settled")
    return LedgerLibrary(path, row.id)


def test_history_is_filtered_by_words(library: LedgerLibrary) -> None:
    assert library.history("").split("\n")[1] == "1 discard +0.0012 [optimiser] idea 1 -- why not"
    assert library.history("Crash OPTIMISER").startswith("2 crash") and "\n" not in library.history("crash")
    assert library.history("nothing like it") == "no experiment matches `nothing like it`"


def test_the_base_has_no_category(library: LedgerLibrary) -> None:
    with Ledger.open(library.path) as store:
        base = store.experiment(1, 0)
        assert base is not None
        store.update_experiment(base.id, category=None, hypothesis="the base", reason="the base")
    assert library.history("").split("\n")[0] == "0 keep the base"


def test_long_histories_are_cut(library: LedgerLibrary) -> None:
    with Ledger.open(library.path, readonly=True) as store:
        rows = store.experiments(library.session_id) * 100
    assert table(rows, "", VAL_BPB).count("\n") == 40 and "(260 older ones are left out)" in table(rows, "", VAL_BPB)


def test_show_has_the_change_and_rounded_scores_but_no_holdout(library: LedgerLibrary) -> None:
    shown = library.show(1)
    assert shown is not None
    assert "-SMOOTHING = 0.5" in shown and "+SMOOTHING = 0.25" in shown and "trials: 2.3457 (12 steps)" in shown
    assert "2.777" not in shown and library.show(9) is None


def test_duplicates_are_known_seeds_aside(library: LedgerLibrary, bigram: str) -> None:
    assert "experiment 2, seeds aside" in str(
        library.find_duplicate(bigram.replace("BATCH = 8", "BATCH = 16") + "# really\n")
    )
    assert "within 1 %" in str(library.find_duplicate(bigram.replace("0.5", "0.2501")))
    assert library.find_duplicate(bigram.replace("BATCH = 8", "BATCH = 32")) is None


def test_secrets_are_cleaned_at_any_depth() -> None:
    trace = Trace(["hunter2-hunter2", "ollama"])
    trace.add(
        "tool",
        input={"hunter2-hunter2": ["x hunter2-hunter2", 3, None]},
        text="Bearer abcdefghij ollama ghp_0123456789abcdef0123",
    )
    (entry,) = trace.entries
    assert entry["input"] == {"[secret]": ["x [secret]", 3, None]}
    assert entry["text"] == "Bearer [secret] ollama [secret]"


def test_show_has_the_last_lines_that_train_py_printed(library: LedgerLibrary) -> None:
    folder = library.path.parent / "t" / "1"
    folder.mkdir(parents=True)
    (folder / "trial-0.log").write_text("old\n")
    (folder / "trial-10.log").write_text("".join(f"line {k}\x1b[2J\n\n" for k in range(30)))
    shown = str(library.show(1)).split("what train.py printed last:\n")[1].split("\n")
    assert shown == [f"line {k}" for k in range(10, 30)]
    assert "printed" not in str(replace(library, shows_prints=False).show(1)) and "printed" not in str(library.show(2))
