"""A keep whose later audit fails is no keep any more, wherever it is named, and nothing that was built on it is."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.programs import autoresearch
from support.referees import FunctionReferee
from support.repositories import BIGRAM, git, make_repository
from support.sessions import context_of, session_of

from autoresearch.agents import registry
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.ledger import Ledger, reviews
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session.demotion import demote_suspects
from autoresearch.session.loop import SessionLoop
from autoresearch.workspace.workspace import Workspace

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
HONEST = BIGRAM.replace("SMOOTHING = 0.5 ", "SMOOTHING = 0.02 ")
RARE = (
    HONEST.replace("BATCH = 8 ", "BATCH = 32 ")
    .replace("np.float32)}, {})", 'np.float32)}, {"seed": trial.seed})')
    .replace('    return lambda tokens: state["logits"][tokens]\n', MODEL)
)
BUILT_ON_IT = RARE.replace("BATCH = 32 ", "BATCH = 256 ")


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
        assert events[2].data["was"]["val_bpb"] < 3 and "confirm it" in events[2].data["was"]["reason"]
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


# --- steps that are cut off, or find the base


def failed(root: Path, n: int) -> None:
    """Add a trial of experiment `n` whose audit failed, as a command that was killed then leaves it."""
    with Ledger.open(root / "runs" / "ledger.db") as store:
        experiment = store.experiment(1, n)
        assert experiment is not None and experiment.blob is not None
        trial = store.start_trial(1, experiment.id, "total", 7, experiment.blob)
        store.end_trial(trial.id, "suspect", None, {"reason": "the audit disagrees"})


def test_a_demotion_that_was_cut_off_is_found_and_finished(root: Path, settings_of: dict[str, str]) -> None:
    failed(root, 2)
    found = autoresearch(root, "doctor", "--ledger", env=settings_of)
    assert (
        found.returncode == 1 and "experiment 2 is kept, but a later audit failed: the audit disagrees" in found.stdout
    )
    refs = Workspace(root).refs("t")
    git(root, "update-ref", "refs/autoresearch/t/best", refs[1])  # references move first
    with Ledger.open(root / "runs" / "ledger.db") as store:
        session = store.find_session("t")
        context = context_of(store, session, Workspace(root))
        assert demote_suspects(context) == [2, 3]
        assert demote_suspects(context) == []
    assert verdicts(root, settings_of) == ["keep", "keep", "suspect", "suspect"]
    assert tip(root, "refs/autoresearch/t/best") == refs[1]


def test_the_branch_of_a_user_who_is_on_it_is_left(root: Path, settings_of: dict[str, str]) -> None:
    git(root, "switch", "-q", "autoresearch/t")
    failed(root, 3)
    with Ledger.open(root / "runs" / "ledger.db") as store:
        assert demote_suspects(context_of(store, store.find_session("t"), Workspace(root))) == [3]
    refs = Workspace(root).refs("t")
    assert (tip(root, "refs/autoresearch/t/best"), tip(root, "autoresearch/t")) == (refs[2], refs[3])
    (difference,) = json.loads(autoresearch(root, "doctor", "--ledger", "--json", env=settings_of).stdout)
    git(root, *difference["remedy"].split("`")[1].split()[1:])
    assert tip(root, "autoresearch/t") == refs[2]


def test_a_session_whose_base_is_suspect_ends(root: Path, settings_of: dict[str, str]) -> None:
    failed(root, 0)
    done = autoresearch(root, "run", "--tag", "t", env=settings_of)
    assert done.returncode == 1
    assert "the base of session t is suspect (found later: the audit disagrees" in done.stderr.splitlines()[-1]
    assert verdicts(root, settings_of) == ["suspect"] * 4
    for command, words in (("export --branch x", "nothing is kept any more"), ("run --from t --tag u", "is suspect")):
        done = autoresearch(root, *command.split(), env=settings_of)
        assert done.returncode == 1 and words in done.stderr.splitlines()[-1], done.stderr


# --- in the loop


def loop(
    root: Path, store: Ledger, settings: Settings, data: Dataset, calls: list[str], fails: str, script: Path
) -> SessionLoop:
    """A session whose scores follow from SMOOTHING; the fourth trial of the text `fails` is suspect."""

    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        calls.append(text)
        if text == fails and calls.count(text) == 4:
            return Result("suspect", reason="the audit disagrees", seed=seed)
        smoothing = float(text.split("SMOOTHING = ")[1].split()[0])
        return Result("ok", 2.0 + 0.1 * smoothing + seed % 7 / 1e5, seed=seed, holdout_bpb=2.1, audit={"n": 1.0})

    agent = registry.create(f"scripted:{script}")
    referee = FunctionReferee(measure, settings)
    return session_of(root, store, agent, settings, data, referees=[referee], replicates=3)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    folder = tmp_path / "steps"
    folder.mkdir()
    (folder / "01-a.py").write_text(HONEST)
    (folder / "02-b.py").write_text(HONEST.replace("BATCH = 8 ", "BATCH = 16 "))
    return folder


def test_an_incumbent_that_is_found_suspect_in_the_loop_falls(
    repository: Path, script: Path, quick: Settings, bytes_data: Dataset
) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        running = loop(repository, store, quick, bytes_data, [], HONEST, script)
        assert running.run() == "agent exhausted"
        rows = {row.n: row for row in store.experiments(running.context.id)}
        history = running.candidates.briefing.write(9).history
    assert (rows[1].verdict, rows[1].found_later) == ("suspect", True)
    assert "sentinel trial" in (rows[1].reason or "")
    assert rows[2].reason == "superseded by experiment 0 (experiment 1, on which it was built, is suspect)"
    assert rows[3].origin == 2 and rows[3].parent == 0, "its change was made to the base"
    assert [past.verdict for past in history][:2] == ["keep", "suspect"]
    assert tip(repository, "autoresearch/t") == tip(repository, "refs/autoresearch/t/best")
    assert tip(repository, "refs/autoresearch/t/best") != rows[1].sha


def test_a_base_that_is_found_suspect_in_the_loop_ends_the_session(
    repository: Path, script: Path, quick: Settings, bytes_data: Dataset
) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        running = loop(repository, store, quick, bytes_data, [], BIGRAM, script)
        with pytest.raises(UserError, match="the base of session t is suspect"):
            running.run()
