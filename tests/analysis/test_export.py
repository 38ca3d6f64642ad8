"""Exports: branches on the user's base, safe commit messages, tables, JSON lines."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.repositories import git
from typer.testing import CliRunner

from autoresearch import judge
from autoresearch.analysis import export
from autoresearch.cli import app
from autoresearch.errors import UserError
from autoresearch.ledger import Ledger
from autoresearch.workspace.workspace import Workspace

HOSTILE = (
    "fixup! better\n\nSigned-off-by: Linus <l@example.org>\nCo-authored-by: me <m@example.org>\n\n"
    "fixes #12 @everyone\ndiff --git a/x b/x\n---\n# gone \x1b[31mred\x00 " + "x" * 10_000
)


SAME = [judge.Draw(2.0 + k / 1000, k) for k in (0, 2, 1, 0, 2, 1, 0, 2)]  # the draws of two versions that score alike


@pytest.fixture
def repository(finished: Path, tmp_path: Path) -> Path:
    """Copy a session with one keep."""
    return shutil.copytree(finished, tmp_path / "copy")


def create_branch(root: Path, name: str = "home", **options: bool) -> export.Branch:
    with Ledger.open(root / "runs" / "ledger.db") as store:
        session = store.session()
        assert session is not None
        return export.create_branch(export.read_lineage(store, session), Workspace(root), name, **options)


def second_keep(root: Path, hypothesis: str) -> None:
    """Turn the discarded experiment into a keep on the first one."""
    with Ledger.open(root / "runs" / "ledger.db") as store:
        session = store.session()
        assert session is not None
        row = store.experiment(session.id, 2)
        assert row is not None
        store.update_experiment(
            row.id, verdict="keep", parent=1, hypothesis=hypothesis, reason="2 fresh re-runs\n\nconfirm: it"
        )


def measure_base_beside(root: Path) -> None:
    """Add a trial of the base beside experiment 1, which the rule asks for where a gain is in doubt."""
    with Ledger.open(root / "runs" / "ledger.db") as store:
        session = store.session()
        assert session is not None
        base = store.experiment(session.id, 0)
        assert base is not None
        trial = store.start_trial(session.id, base.id, "sentinel", session.seed_of(1, 1), base.blob or "")
        store.end_trial(trial.id, "ok", 2.5, {})


def state(root: Path) -> tuple[str, ...]:
    """Return everything that an export must not change."""
    others = [line for line in git(root, "for-each-ref").splitlines() if "refs/heads/home" not in line]
    return (
        git(root, "status", "--porcelain"),
        git(root, "rev-parse", "HEAD"),
        git(root, "symbolic-ref", "HEAD"),
        "\n".join(others),
    )


def trailers(root: Path, commit: str) -> dict[str, str]:
    lines = git(root, "log", "-1", "--format=%(trailers:only,unfold)", commit).splitlines()
    return dict(line.split(": ", 1) for line in lines if line)


def test_one_commit_for_each_keep_on_the_users_base(repository: Path) -> None:
    (repository / "notes.txt").write_text("not committed")
    measure_base_beside(repository)
    before = state(repository)
    found = create_branch(repository)
    assert state(repository) == before
    assert (found.experiments, found.unreviewed) == ([1], [1])
    assert git(repository, "rev-parse", "home").strip() == found.sha
    assert git(repository, "rev-parse", "home~1") == git(repository, "rev-parse", "main")
    assert git(repository, "diff", "--name-only", "main", "home") == "train.py\n"
    assert git(repository, "show", "home:train.py") == git(repository, "show", "refs/autoresearch/t/1:train.py")
    message = git(repository, "log", "-1", "--format=%B", "home")
    assert message.startswith("Experiment 1: ")
    assert re.findall(r"^  (screen|rerun) +seed \d+ +\d\.\d{6}$", message, re.M) == ["screen", "rerun"]
    assert re.search(r"^  of 0 +seed \d+ +2\.500000$", message, re.M)
    told = trailers(repository, "home")
    assert list(told) == [
        "Session",
        "Experiment",
        "Val-Bpb",
        "Delta",
        "Sigma",
        "Kept-As",
        "Agent",
        "Grade",
        "Reviewed",
        "Honest-Total",
    ]
    assert (told["Experiment"], told["Agent"], told["Reviewed"], told["Kept-As"]) == ("1", "scripted", "no", "gain")


def test_several_keeps_and_all_of_them_in_one(repository: Path) -> None:
    second_keep(repository, "blunt")
    found = create_branch(repository)
    assert found.experiments == [1, 2]
    subjects = git(repository, "log", "--reverse", "--format=%s", "main..home").splitlines()
    assert [subject.split(":")[0] for subject in subjects] == ["Experiment 1", "Experiment 2"]
    assert (
        "Honest-Total" not in trailers(repository, "home~1")
        and trailers(repository, "home")["Honest-Total"] == "not measured"
    )
    create_branch(repository, "squashed", squash=True)
    assert git(repository, "rev-list", "--count", "main..squashed") == "1\n"
    assert git(repository, "rev-parse", "squashed^{tree}") == git(repository, "rev-parse", "home^{tree}")
    assert trailers(repository, "squashed")["Experiments"] == "1, 2"
    assert trailers(repository, "squashed")["Honest-Total"] == "not measured"
    assert git(repository, "log", "-1", "--format=%s", "squashed") == "2 kept changes of session t\n"


@pytest.mark.parametrize("squash", [False, True])
def test_a_hostile_hypothesis_is_plain_text(repository: Path, squash: bool) -> None:
    second_keep(repository, HOSTILE)
    create_branch(repository, squash=squash)
    message = git(repository, "log", "-1", "--format=%B", "home")
    told = trailers(repository, "home")
    assert "Signed-off-by" not in told and "Co-authored-by" not in told and len(told) == (6 if squash else 10)
    subject = message.splitlines()[0]
    assert len(subject) <= 72 and not subject.startswith(("fixup!", "squash!"))
    assert "\x1b" not in message and "#12" not in message and "@everyone" not in message and "<l@e" not in message
    assert not [line for line in message.splitlines() if line.startswith(("#", "---", "diff ", "Signed", "Co-auth"))]
    assert len(message) < 6000 and max(map(len, message.splitlines())) <= 80


def test_constants_that_the_session_chose_are_a_commit_of_their_own(repository: Path) -> None:
    text = git(repository, "show", "main:train.py")
    parent = git(repository, "commit-tree", "main^{tree}", "-m", "older").strip()
    workspace = Workspace(repository)
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        session = store.session()
        assert session is not None
        other = workspace.write(parent, text.replace("BATCH = 8", "BATCH = 16"), "the user's base")
        store.connection.execute("UPDATE sessions SET base_sha = ?", (other,))
    create_branch(repository)
    assert git(repository, "log", "--format=%s", f"{other}..home").splitlines()[1] == "Base of session t"
    assert git(repository, "show", "home~1:train.py") == text


def test_what_was_reviewed_is_not_named_and_the_last_word_counts(repository: Path) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        session = store.session()
        assert session is not None
        store.event(session.id, "review", "accepted", n=1, data={"accepted": True, "by": HOSTILE})
        found = create_branch(repository)
        assert (found.unreviewed, found.rejected) == ([], [])
        assert trailers(repository, "home")["Reviewed"].startswith("accepted by fixup! better Signed-off-by")
        store.event(session.id, "review", "rejected", n=1, data={"accepted": False, "by": "Ann", "note": "too clever"})
    assert (
        create_branch(repository, force=True).rejected == [1]
        and trailers(repository, "home")["Reviewed"] == "rejected by Ann"
    )
    create_branch(repository, squash=True, force=True)
    assert trailers(repository, "home")["Reviewed"] == "1 rejected by Ann"


def test_a_rejection_is_never_cut_off(repository: Path) -> None:
    second_keep(repository, "x")
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        session = store.session()
        assert session is not None
        store.event(session.id, "review", "accepted", n=1, data={"accepted": True, "by": "A" * 60})
        store.event(session.id, "review", "rejected", n=2, data={"accepted": False, "by": "B" * 60})
        lineage = export.read_lineage(store, session)
        many = replace(lineage, keeps=[replace(lineage.keeps[0], n=n) for n in range(10, 60)] + lineage.keeps)
        export.create_branch(many, Workspace(repository), "home", squash=True)
    told = trailers(repository, "home")["Reviewed"]
    assert told.startswith(f"2 rejected by {'B' * 60}; 10 no; ") and told.endswith(f"1 accepted by {'A' * 60}")


def test_a_keep_that_is_no_gain_says_so(repository: Path) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        session = store.session()
        assert session is not None
        row = store.experiment(session.id, 1)
        assert row is not None
        less = judge.decide("default", SAME, SAME, judge.noise([SAME]), simpler=1.0)
        assert less.action == "keep"
        store.update_experiment(row.id, reason=less.reason, delta=0.001, p_gain=0.4)
    create_branch(repository)
    assert trailers(repository, "home")["Kept-As"] == "less code for the same score"
    assert "sure to be better" not in git(repository, "log", "-1", "--format=%B", "home")


def test_a_total_that_shows_nothing_goes_with_the_branch(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The review of a keep that was 97 % probable shows the honest total, too."""
    monkeypatch.chdir(repository)
    assert (
        "the honest total: not measured yet: `autoresearch total`"
        in CliRunner().invoke(app, ["export", "--branch", "early"]).stderr
    )
    interval = {"mean": 0.0025, "low": -0.0122, "high": 0.0173}
    measured = {
        "base": 0,
        "final": 1,
        "pairs": 12,
        "val": interval,
        "holdout": interval,
        "running_minimum": -0.045,
        "optimism": 0.0475,
    }
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        store.event(1, "total", "measured", data=measured)
    done = CliRunner().invoke(app, ["export", "--branch", "home"])
    assert "the honest total: +0.0025, 95 % between -0.0122 and +0.0173: no difference is shown" in done.stderr
    told = trailers(repository, "home")["Honest-Total"]
    assert told == "+0.002500, 95 % between -0.012200 and +0.017300, base against 1"


@pytest.mark.parametrize("option", ["--tsv", "--jsonl", "--sft", "--checkpoint"])
def test_a_device_or_a_folder_is_not_replaced_by_a_file(
    option: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link", "."):
        done = CliRunner().invoke(app, ["export", option, str(tmp_path / name)])
        assert "is not a file, and would be replaced by one: choose another name" in str(done.exception)
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()


def test_a_link_stays_a_link(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    (tmp_path / "link").symlink_to("table.tsv")
    done = CliRunner().invoke(app, ["export", "--tsv", str(tmp_path / "link")])
    assert done.stdout == f"{tmp_path}/link\n" and (tmp_path / "link").is_symlink()
    assert (tmp_path / "table.tsv").read_text() == (repository / "runs/t/results.tsv").read_text()


def test_a_branch_that_is_there_is_replaced_only_on_request(repository: Path) -> None:
    git(repository, "branch", "home", "HEAD")
    there = git(repository, "rev-parse", "home")
    with pytest.raises(UserError, match="branch home exists already: choose another name, or --force"):
        create_branch(repository)
    assert git(repository, "rev-parse", "home") == there
    create_branch(repository, force=True)
    assert git(repository, "rev-parse", "home") != there
    with pytest.raises(UserError, match="branch main is checked out"):
        create_branch(repository, "main", force=True)


@pytest.mark.parametrize("name", ["-x", "HEAD", "a..b", "a b", "x.lock", "autoresearch/t", ""])
def test_names_that_no_branch_may_have(repository: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"cannot be the name of a branch|belong to sessions"):
        create_branch(repository, name, force=True)


def test_nothing_kept_is_nothing_to_export(repository: Path) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        store.connection.execute("UPDATE experiments SET verdict = 'discard' WHERE n = 1")
    with pytest.raises(UserError, match="nothing was kept in this session"):
        create_branch(repository)


def test_the_command_says_what_it_made_and_warns_of_what_nobody_read(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    files = ["--tsv", "out/all.tsv", "--jsonl", "out/all.jsonl", "--sft", "out/sft.jsonl"]
    done = CliRunner().invoke(app, ["export", "--branch", "home", *files])
    assert done.exit_code == 0
    assert re.fullmatch(
        r"home [0-9a-f]{7}: 1 kept on [0-9a-f]{7}\n"
        r"out/all.tsv\nout/all.jsonl\nout/sft.jsonl\nout/sft.pairs.jsonl\n",
        done.stdout,
    )
    assert "no model was asked in this session: out/sft.jsonl is empty" in done.stderr
    assert re.search(r"read it with `git log -p [0-9a-f]{7}\.\.home`", done.stderr)
    assert "kept without a review: experiments 1;" in done.stderr
    assert (repository / "out/all.tsv").read_text() == (repository / "runs/t/results.tsv").read_text()
    records = [json.loads(line) for line in (repository / "out/all.jsonl").read_text().splitlines()]
    assert [record["n"] for record in records] == [0, 1, 2]
    assert "SMOOTHING = 0.02" in records[1]["text"] and records[1]["trials"][0]["purpose"] == "screen"
    assert "name an export" in str(CliRunner().invoke(app, ["export"]).exception)


def test_without_a_holdout_there_is_no_total_to_wait_for(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        store.query("UPDATE sessions SET settings = json_set(settings, '$.holdout', json('false'))")
    monkeypatch.chdir(repository)
    done = CliRunner().invoke(app, ["export", "--branch", "home"])
    assert done.exit_code == 0 and "the honest total: none: there is no holdout" in done.stderr


def test_the_originals_analysis_reads_the_table(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a table as the original's notebook does: no crashes, keeps, their running minimum."""
    monkeypatch.chdir(repository)
    assert CliRunner().invoke(app, ["export", "--tsv", "all.tsv"]).exit_code == 0
    head, *rows = [line.split("\t") for line in (repository / "all.tsv").read_text().splitlines()]
    assert head == ["commit", "val_bpb", "memory_gb", "status", "description"]
    valid = [dict(zip(head, row, strict=True)) for row in rows if row[3] != "crash"]
    kept = [float(row["val_bpb"]) for row in valid if row["status"] == "keep"]
    assert len(kept) == 2 and min(kept) == kept[-1] < kept[0]
