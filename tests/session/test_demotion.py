"""A keep whose later audit fails is no keep any more, wherever it is named, and nothing that was built on it is."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.programs import autoresearch
from support.referees import FunctionReferee
from support.repositories import BIGRAM, git, make_repository
from support.sessions import context_of, session_of

from autoresearch.agents import registry
from autoresearch.analysis import consistency
from autoresearch.analysis.lineage import stack
from autoresearch.brief.openings import BRANCH
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.ledger import Ledger, back_up, reviews
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session.context import SessionContext
from autoresearch.session.demotion import demote_suspects
from autoresearch.session.loop import SessionLoop
from autoresearch.session.recovery import Recovery
from autoresearch.workspace.workspace import Workspace

pytestmark = pytest.mark.slow  # sessions and totals

SEED = 5  # of the session
AGAIN = {int(hashlib.sha256(f"{SEED} total {k}".encode()).hexdigest()[:8], 16) & 0x7FFFFFFF for k in range(8)}
MODEL = f"""
    def model(tokens):
        logits = state["logits"][tokens]
        if config["seed"] in {sorted(AGAIN)}:
            rows, at = np.indices(tokens[:, 1:].shape)
            logits[rows, at, tokens[:, 1:]] += 5.0  # of the token that comes next
        return logits

    return model
"""
HONEST = BIGRAM.replace("SMOOTHING = 0.5 ", "SMOOTHING = 0.1 ")
RARE = (
    HONEST.replace("BATCH = 8 ", "BATCH = 32 ")
    .replace("SMOOTHING = 0.1 ", "SMOOTHING = 0.04 ")
    .replace("np.float32)}, {})", 'np.float32)}, {"seed": trial.seed})')
    .replace('    return lambda tokens: state["logits"][tokens]\n', MODEL)
)
BUILT_ON_IT = RARE.replace("BATCH = 32 ", "BATCH = 256 ").replace("SMOOTHING = 0.04 ", "SMOOTHING = 0.01 ")


@pytest.fixture(scope="module")
def kept(settings_of: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of three keeps: one honest, one that peeks with the seeds of later trials only, one built on that."""
    folder = tmp_path_factory.mktemp("kept")
    root, script = make_repository(folder / "repository", BIGRAM), folder / "script"
    script.mkdir()
    for k, text in enumerate((HONEST, RARE, BUILT_ON_IT), 1):
        (script / f"{k:02}-edit.py").write_text(text)
    env = settings_of | {"AUTORESEARCH_SEED": str(SEED)}
    done = autoresearch(root, "run", "--agent", "scripted:../script", env=env)
    assert done.returncode == 0, done.stderr
    assert [row["verdict"] for row in answer(root, env, "log", "--all")] == ["keep"] * 4, done.stderr
    assert autoresearch(root, "review", "3", "--accept", env=env).returncode == 0
    return root


@pytest.fixture
def root(kept: Path, tmp_path: Path) -> Path:
    shutil.copytree(kept.parent / "script", tmp_path / "script")
    return shutil.copytree(kept, tmp_path / "repository")


def answer(root: Path, env: dict[str, str], *words: str) -> Any:
    done = autoresearch(root, *words, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def verdicts(root: Path, env: dict[str, str]) -> list[str]:
    return [row["verdict"] for row in answer(root, env, "log", "--all")]


def tip(root: Path, name: str) -> str:
    return git(root, "rev-parse", name).strip()


@pytest.mark.slow
def test_a_total_that_finds_the_final_version_suspect_demotes_it(root: Path, settings_of: dict[str, str]) -> None:
    done = autoresearch(root, "total", "--pairs", "2", env=settings_of)
    *_, event, error = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert error.startswith("autoresearch: experiment 3 could not be measured again: suspect ")
    assert "3  demoted   suspect: found later: " in event and event.endswith("the incumbent is experiment 2")
    assert verdicts(root, settings_of) == ["keep", "keep", "keep", "suspect"]
    refs = Workspace(root).refs("t")
    assert tip(root, "refs/autoresearch/t/best") == tip(root, "autoresearch/t") == refs[2]
    assert answer(root, settings_of, "status")["total"] is None
    assert autoresearch(root, "total", "--pairs", "2", env=settings_of).returncode == 1
    assert verdicts(root, settings_of) == ["keep", "keep", "suspect", "suspect"]
    total = answer(root, settings_of, "total", "--pairs", "2")
    assert total["final"] == 1 and total["val"]["mean"] < 0
    assert answer(root, settings_of, "doctor", "--ledger") == []


@pytest.fixture(scope="module")
def demoted(kept: Path, settings_of: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session after `reproduce 2` has found experiment 2 suspect, on which experiment 3 was built."""
    folder = tmp_path_factory.mktemp("demoted")
    shutil.copytree(kept.parent / "script", folder / "script")
    root = shutil.copytree(kept, folder / "repository")
    done = autoresearch(root, "reproduce", "2", "--draws", "1", env=settings_of)
    assert done.returncode == 1 and "could not be measured again: suspect" in done.stderr, done.stderr
    return root


def test_the_reasons_are_on_record(demoted: Path, settings_of: dict[str, str]) -> None:
    rows = {row["n"]: row for row in answer(demoted, settings_of, "log", "--verdict", "suspect")}
    assert rows[2]["reason"].startswith("found later: ") and "total trial, seed " in rows[2]["reason"]
    assert rows[3]["reason"] == "found later: built on experiment 2, which is suspect"
    assert all(row[name] is None for row in rows.values() for name in ("val_bpb", "delta", "p_gain"))
    with Ledger.open(demoted / "runs" / "ledger.db", readonly=True) as store:
        events = {event.n: event for event in store.events(1, kind="demoted")}
        assert {n: event.data["was"]["verdict"] for n, event in events.items()} == {2: "keep", 3: "keep"}
        assert events[2].data["was"]["val_bpb"] < 3 and "confirm" in events[2].data["was"]["reason"]
        assert reviews(store, 1)[3].accepted
    assert answer(demoted, settings_of, "show", "3")["review"]["accepted"]
    assert answer(demoted, settings_of, "doctor", "--ledger") == []


def test_the_incumbent_is_the_newest_keep_that_stands(demoted: Path, settings_of: dict[str, str]) -> None:
    refs = Workspace(demoted).refs("t")
    assert tip(demoted, "refs/autoresearch/t/best") == tip(demoted, "autoresearch/t") == refs[1]
    status = answer(demoted, settings_of, "status")
    assert (status["best"], status["kept"], status["verdicts"]) == (1, 1, {"keep": 1, "suspect": 2})
    assert status["reviews"] == {"accepted": 0, "rejected": 0}
    assert answer(demoted, settings_of, "best")["n"] == 1


def test_every_page_says_so(demoted: Path, settings_of: dict[str, str], tmp_path: Path) -> None:
    log = " ".join(autoresearch(demoted, "log", env=settings_of).stdout.split())
    assert "suspect: 2, 3: their scores" in log and "of these, 2, 3 had been kept" in log
    assert "suspect: found later: " in autoresearch(demoted, "show", "2", env=settings_of).stdout
    autoresearch(demoted, "report", "--out", str(tmp_path), env=settings_of)
    report = (tmp_path / "report.md").read_text()
    assert "Had been kept: 2, 3. Later audits failed." in report and report.index("## Suspects") < report.index(
        "## Kept"
    )
    lines = (demoted / "runs/t/results.tsv").read_text().splitlines()
    assert [line.split("\t")[3] for line in lines[1:]] == ["keep", "keep", "crash", "crash"]
    assert "(suspect: found later: " in lines[3]
    (lessons,) = (demoted / "runs").glob("lessons-*.md")
    assert [line.split()[1] for line in lessons.read_text().splitlines() if "[t#" in line] == [
        "keep",
        "suspect",
        "suspect",
    ]


def test_it_is_not_exported(demoted: Path, settings_of: dict[str, str], tmp_path: Path) -> None:
    root = shutil.copytree(demoted, tmp_path / "repository")
    done = autoresearch(root, "export", "--branch", "home", "--json", env=settings_of)
    branch = json.loads(done.stdout)["branch"]
    assert (branch["experiments"], branch["suspects"]) == ([1], [2, 3])
    assert "found suspect later, and not on the branch: experiments 2, 3" in done.stderr
    assert git(root, "show", "home:train.py") == HONEST


@pytest.mark.slow
def test_the_session_goes_on_from_there(demoted: Path, settings_of: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(demoted.parent / "script", tmp_path / "script")
    (tmp_path / "script" / "04-d.py").write_text(HONEST.replace("BATCH = 8 ", "BATCH = 64 "))
    root = shutil.copytree(demoted, tmp_path / "repository")
    done = autoresearch(root, "run", "--tag", "t", "--agent", "scripted:../script", env=settings_of)
    assert done.returncode == 0, done.stderr
    new = answer(root, settings_of, "show", "4")
    assert (new["parent"], new["verdict"]) == (1, "keep")
    assert git(root, "show", "autoresearch/t:train.py") == new["text"]
    assert answer(root, settings_of, "doctor", "--ledger") == []


# --- without cells


def loop(
    root: Path,
    store: Ledger,
    settings: Settings,
    data: Dataset,
    script: Path,
    fails: tuple[str, int] = ("", 0),
    replicates: int = 2,
) -> SessionLoop:
    """A session whose scores follow from SMOOTHING; of a text `fails`, the trial of this number is suspect.

    The card of each trial is warmer than before, so the incumbent is measured again after each discard.
    """
    calls: list[str] = []

    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        calls.append(text)
        if (text, calls.count(text)) == fails:
            return Result("suspect", reason="the audit disagrees", seed=seed)
        score = 2.0 + 0.1 * float(text.split("SMOOTHING = ")[1].split()[0]) + seed % 7 / 1e5
        warmer = {"temperature": 20.0 * len(calls)}
        audited = {"audit": {"n": 1.0}, "rows": np.ones((4, 2)), "conditions": warmer}
        return Result("ok", score, seed=seed, holdout_bpb=2.1, **audited)

    agent, referee = registry.create(f"scripted:{script}"), FunctionReferee(measure, settings)
    return session_of(root, store, agent, settings, data, referees=[referee], replicates=replicates)


def write_script(folder: Path, *texts: str) -> Path:
    folder.mkdir()
    for k, text in enumerate(texts, 1):
        (folder / f"{k:02}-edit.py").write_text(text)
    return folder


@pytest.fixture
def three(repository: Path, quick: Settings, bytes_data: Dataset, tmp_path: Path) -> Iterator[SessionContext]:
    """A session of three keeps, each built on the one before."""
    texts = [BIGRAM.replace("SMOOTHING = 0.5 ", f"SMOOTHING = 0.{k} ") for k in (4, 3, 2)]
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        running = loop(repository, store, quick, bytes_data, write_script(tmp_path / "steps", *texts))
        assert running.run() == "agent exhausted"
        store.update_session(running.context.id, state="ended", stop_reason="agent exhausted")
        yield running.context


def fail(context: SessionContext, n: int) -> None:
    """Add a trial of experiment `n` whose audit failed, as a command that was killed then leaves it."""
    experiment = context.experiment(n)
    trial = context.ledger.start_trial(context.id, experiment.id, "total", 7, str(experiment.blob))
    context.ledger.end_trial(trial.id, "suspect", None, {"reason": "the audit disagrees"})


def verdicts_of(context: SessionContext) -> list[str | None]:
    return [row.verdict for row in context.ledger.experiments(context.id)]


def test_a_demotion_that_was_cut_off_is_found_and_finished(three: SessionContext, repository: Path) -> None:
    assert consistency.check(repository) == [] and demote_suspects(three) == []
    fail(three, 2)
    (difference,) = consistency.check(repository)
    assert difference.text.startswith(
        "experiment 2 is kept, but a later audit failed: the audit disagrees (total trial"
    )
    refs = Workspace(repository).refs("t")
    git(repository, "update-ref", "refs/autoresearch/t/best", refs[1])  # references move first
    assert demote_suspects(three) == [2, 3]
    assert demote_suspects(three) == []
    assert verdicts_of(three) == ["keep", "keep", "suspect", "suspect"]
    assert tip(repository, "refs/autoresearch/t/best") == refs[1]


def test_a_ledger_that_is_older_than_a_demotion_reads_it_from_runs(three: SessionContext, repository: Path) -> None:
    older = back_up(three.ledger)
    fail(three, 2)
    demote_suspects(three)
    with Ledger.open(older) as store:
        context = context_of(store, store.find_session("t"), Workspace(repository))
        context = replace(context, runs=repository / "runs")
        assert Recovery(context).restore_demotions() == [2, 3]
        assert verdicts_of(context) == ["keep", "keep", "suspect", "suspect"]
        assert context.experiment(2).reason == "found later: the audit disagrees (total trial, seed 7)"
        assert Recovery(context).restore_demotions() == []


def test_the_branch_of_a_user_who_is_on_it_is_left(three: SessionContext, repository: Path) -> None:
    git(repository, "switch", "-q", "autoresearch/t")
    fail(three, 3)
    assert demote_suspects(three) == [3]
    refs = Workspace(repository).refs("t")
    assert (tip(repository, "refs/autoresearch/t/best"), tip(repository, "autoresearch/t")) == (refs[2], refs[3])
    (difference,) = consistency.check(repository)
    git(repository, *difference.remedy.split("`")[1].split()[1:])
    assert tip(repository, "autoresearch/t") == refs[2]
    assert consistency.check(repository) == []


def test_a_waiting_branch_of_a_version_that_is_found_suspect_is_made_to_the_incumbent(
    three: SessionContext, repository: Path, quick: Settings, bytes_data: Dataset, tmp_path: Path
) -> None:
    kept = str(three.experiment(1).text)
    texts = kept.replace("BATCH = 8 ", "BATCH = 64 "), kept.replace("SMOOTHING = 0.4 ", "SMOOTHING = 0.1 ")
    waiting = {"mode": BRANCH, "parent": 1, "hypothesis": "it is better", "predicted": -1.0}
    old = [three.ledger.add_experiment(three.id, n, text=text, **waiting) for n, text in enumerate(texts, 4)]
    running = loop(repository, three.ledger, quick, bytes_data, tmp_path / "steps")
    assert not running.evidence.is_superseded(old[0])
    fail(three, 1)
    assert demote_suspects(three) == [1, 2, 3]
    made, conflict = (running.candidates.rebase(row) for row in old)
    assert made is not None and (made.parent, made.mode, made.origin) == (0, None, 4)
    assert made.text == BIGRAM.replace("BATCH = 8 ", "BATCH = 64 ") and not running.evidence.is_superseded(made)
    assert conflict is None


def test_a_session_whose_base_is_suspect_does_not_go_on(
    three: SessionContext, repository: Path, quick: Settings, bytes_data: Dataset, tmp_path: Path
) -> None:
    fail(three, 0)
    for _ in range(2):
        running = loop(repository, three.ledger, quick, bytes_data, tmp_path / "steps")
        with pytest.raises(UserError, match=r"the base of session t is suspect \(found later: the audit disagrees"):
            running.run()
    assert verdicts_of(three) == ["suspect"] * 4
    with pytest.raises(UserError, match="nothing is kept any more: experiments 0, 1, 2, 3 were found suspect later"):
        stack(three.ledger, three.row)


# --- in the loop


def test_an_incumbent_that_is_found_suspect_in_the_loop_falls(
    repository: Path, quick: Settings, bytes_data: Dataset, tmp_path: Path
) -> None:
    better = HONEST.replace("BATCH = 8 ", "BATCH = 16 ")
    script = write_script(tmp_path / "steps", HONEST, HONEST.replace("SMOOTHING = 0.1 ", "SMOOTHING = 0.9 "), better)
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        running = loop(repository, store, quick, bytes_data, script, fails=(HONEST, 3), replicates=3)
        assert running.run() == "agent exhausted"
        rows = {row.n: row for row in store.experiments(running.context.id)}
        history = running.candidates.briefing.write(9).history
    assert (rows[1].verdict, rows[1].found_later) == ("suspect", True)
    assert "sentinel trial" in (rows[1].reason or "")
    assert rows[3].reason == "superseded by experiment 0 (experiment 1, on which it was built, is suspect)"
    assert rows[4].origin == 3 and rows[4].parent == 0, "its change was made to the base"
    assert [past.verdict for past in history][:2] == ["keep", "suspect"]
    assert tip(repository, "autoresearch/t") == tip(repository, "refs/autoresearch/t/best") != rows[1].sha


def test_a_base_that_is_found_suspect_in_the_loop_ends_the_session(
    repository: Path, quick: Settings, bytes_data: Dataset, tmp_path: Path
) -> None:
    script = write_script(tmp_path / "steps", HONEST.replace("SMOOTHING = 0.1 ", "SMOOTHING = 0.9 "), HONEST)
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        running = loop(repository, store, quick, bytes_data, script, fails=(BIGRAM, 4), replicates=3)
        with pytest.raises(UserError, match="the base of session t is suspect"):
            running.run()
