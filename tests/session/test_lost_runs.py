"""runs/ is gone, and git has the versions: the session goes on from them, and nothing moves back."""

import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from support.programs import autoresearch
from support.referees import FunctionReferee
from support.repositories import BIGRAM, git, make_repository
from support.sessions import session_of

from autoresearch.agents import registry
from autoresearch.analysis import consistency, export, summary
from autoresearch.analysis.experiment_details import read_experiment
from autoresearch.analysis.lineage import stack
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.ledger import Ledger, status
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.report import experiment as experiment_page
from autoresearch.report import html, report
from autoresearch.session.git_history import GitHistory
from autoresearch.session.opening import open_session
from autoresearch.session.stopping import Limits
from autoresearch.setup import project
from autoresearch.workspace.workspace import Workspace

NAMES = ("0", "1", "2", "3", "best", "branch")
EDITS = {"01-a": "0.4", "02-b": "0.9", "03-c": "0.3", "04-d": "0.2"}  # keep, discard, keep, keep


def score(text: str, seed: int, plan: TrialPlan) -> Result:
    smoothing = float(re.findall(r"^SMOOTHING = ([\d.]+)", text, re.MULTILINE)[0])
    rows = np.array([[1.0, 2.0]])
    return Result(
        "ok", 2 + smoothing + seed % 97 * 1e-5, seed=seed, audit={"n": 1.0}, rows=rows, log="-", grade="STRONG"
    )


class Bench:
    """A session `t` whose trials cost nothing."""

    def __init__(self, root: Path, script: Path, settings: Settings, data: Dataset) -> None:
        self.root, self.script, self.settings, self.data = root, script, settings, data
        self.workspace = Workspace(root)

    def run(self, experiments: int, store: Ledger) -> None:
        agent = registry.create(f"scripted:{self.script}")
        referees = [FunctionReferee(score, self.settings)]
        limits = Limits(max_experiments=experiments)
        session_of(self.root, store, agent, self.settings, self.data, referees=referees, limits=limits).run()

    def open(self) -> Ledger:
        return Ledger.open(self.root / "runs" / "ledger.db")

    def go_on(self, experiments: int = 3) -> list[tuple[int, str | None]]:
        """Go on as `run --tag t` does, and return the verdicts."""
        with self.open() as store:
            session = open_session(project.open_project({"tag": "t"}, self.root), store, self.workspace)
            store.update_session(session.id, identity={}, settings={})
            self.run(experiments, store)
            return [(row.n, row.verdict) for row in store.experiments(session.id)]

    def references(self) -> dict[str, str]:
        lines = git(self.root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return {name: sha for name, sha in (line.split() for line in lines)}


@pytest.fixture(scope="module")
def template(bytes_data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a session of two keeps and a discard, and its script beside it."""
    folder = tmp_path_factory.mktemp("template")
    root, script = make_repository(folder / "repository", BIGRAM), folder / "script"
    script.mkdir()
    for name, value in EDITS.items():
        (script / f"{name}.py").write_text(BIGRAM.replace("SMOOTHING = 0.5 ", f"SMOOTHING = {value} "))
    bench = Bench(root, script, Settings(Budget.parse("20steps"), eval_rows=64, eval_batch=16), bytes_data)
    with bench.open() as store:
        bench.run(3, store)
        assert [row.verdict for row in store.experiments(1)] == ["keep", "keep", "discard", "keep"]
    return folder


@pytest.fixture
def bench(
    template: Path,
    tmp_path: Path,
    quick: Settings,
    bytes_data: Dataset,
    settings_of: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    for name, value in settings_of.items():
        if name.startswith("AUTORESEARCH_"):
            monkeypatch.setenv(name, value)
    root = shutil.copytree(template / "repository", tmp_path / "repository")
    return Bench(root, template / "script", quick, bytes_data)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "words"), [({"judge": "greedy"}, r"judge \(default\)"), ({"budget": "9steps"}, r"budget \(20steps\)")]
)
def test_scores_of_other_settings_are_not_mixed(bench: Bench, flags: dict[str, str], words: str) -> None:
    pinned = {"budget": "20steps", "eval_rows": 64, "judge": "default"}
    with bench.open() as store:
        store.update_session(1, settings=pinned)
        bench.run(4, store)
        assert store.experiments(1)[-1].verdict == "keep"
    references = bench.references()
    shutil.rmtree(bench.root / "runs")
    with bench.open() as store:
        changed = project.open_project({"tag": "t", **flags}, bench.root)
        with pytest.raises(UserError, match=f"session `t` was started with another {words}: .* set the same, or"):
            open_session(changed, store, bench.workspace)
        assert store.sessions() == [] and bench.references() == references
        assert open_session(project.open_project({"tag": "t"}, bench.root), store, bench.workspace).tag == "t"


def test_the_session_goes_on_from_what_git_knows(bench: Bench) -> None:
    with bench.open() as store:
        before = store.experiments(1)
    references = bench.references()
    shutil.rmtree(bench.root / "runs")
    assert bench.go_on() == [(0, "keep"), (1, "keep"), (2, "discard"), (3, "keep")]
    assert bench.references() == references
    assert consistency.check(bench.root) == []
    with bench.open() as store:
        after, session = store.experiments(1), store.find_session("t")
        assert [row.n for row in stack(store, session)] == [0, 1, 3]
        assert {trial.experiment_id for trial in store.trials(1)} == {after[0].id}, "nothing but the base is measured"
    for name in ("n", "parent", "sha", "blob", "fingerprint", "hypothesis", "change", "reason", "agent"):
        assert getattr(after[3], name) == getattr(before[3], name), name
    for name in ("val_bpb", "delta", "sigma"):
        assert getattr(after[3], name) == pytest.approx(getattr(before[3], name), abs=1e-6)
    assert after[2].val_bpb is None and "no verdict is known" in str(after[2].reason)


def test_what_was_read_from_git_can_be_looked_at_and_exported(bench: Bench) -> None:
    shutil.rmtree(bench.root / "runs")
    bench.go_on()
    with bench.open() as store:
        session = store.find_session("t")
        for experiment in store.experiments(session.id):
            details = read_experiment(store, session, bench.root / "runs", experiment)
            json.dumps(details.as_json(), allow_nan=False)
            assert list(experiment_page.layout(details))
        facts = status(store, session, time.time())
        assert (facts.best, facts.kept, facts.experiments) == (3, 2, 3)
        text = html.page("t", report.layout(summary.read(store, session, bench.root / "runs", time.time())))
        assert "1 fresh re-run confirms it" in text
        made = export.create_branch(export.read_lineage(store, session), bench.workspace, "mine")
    assert made.experiments == [1, 3]
    assert git(bench.root, "diff", "mine", "autoresearch/t") == ""


def test_a_session_of_another_working_tree_is_not_taken(bench: Bench, tmp_path: Path) -> None:
    git(bench.root, "worktree", "add", "-q", "--detach", str(tmp_path / "other"))
    other = Bench(tmp_path / "other", bench.script, bench.settings, bench.data)
    with pytest.raises(UserError, match=f"session `t` belongs to the working tree {bench.root}: run it there"):
        other.go_on()


def test_looking_says_what_is_gone(bench: Bench, settings_of: dict[str, str]) -> None:
    shutil.rmtree(bench.root / "runs")
    done = autoresearch(bench.root, "status", env=settings_of)
    assert done.returncode == 1
    assert "runs/ has no record of t, of which git has the versions: `autoresearch run --tag t` goes on" in done.stderr


@pytest.mark.slow
def test_a_new_keep_has_to_beat_the_incumbent_again(bench: Bench) -> None:
    best = bench.workspace.best("t")
    shutil.rmtree(bench.root / "runs")
    *_, last = bench.go_on(9)  # the script begins again: what is known is a duplicate
    assert last == (7, "keep")
    assert bench.workspace.parent(str(bench.workspace.best("t"))) == best
    assert bench.workspace.branch("t") == bench.workspace.best("t")
    assert consistency.check(bench.root) == []
    with bench.open() as store:
        three = store.experiments(1)[3]
        purposes = [trial.purpose for trial in store.trials(1, three.id)]
        assert purposes[:2] == ["sentinel"] * 2, "its earlier trials are gone"


@pytest.mark.slow
@pytest.mark.parametrize("gone", [["1"], ["best", "branch"], ["0", "1", "3"], list(NAMES)])
def test_references_that_are_gone_too(gone: list[str], bench: Bench) -> None:
    references = bench.references()
    shutil.rmtree(bench.root / "runs")
    for name in gone:
        git(bench.root, "update-ref", "-d", f"refs/autoresearch/t/{name}")
    verdicts = bench.go_on()
    assert {(0, "keep"), (1, "keep"), (3, "keep")} <= set(verdicts)
    found = bench.references()
    assert references.items() - found.items() <= {("refs/autoresearch/t/2", references["refs/autoresearch/t/2"])}


@pytest.mark.slow
def test_a_branch_that_is_gone_too_is_made_again(bench: Bench) -> None:
    shutil.rmtree(bench.root / "runs")
    git(bench.root, "branch", "-D", "autoresearch/t")
    bench.go_on()
    assert bench.workspace.branch("t") == bench.workspace.best("t") == bench.workspace.refs("t")[3]


def test_a_keep_that_the_copy_of_the_ledger_saw_unfinished(bench: Bench) -> None:
    best = bench.workspace.best("t")
    with bench.open() as store:
        three = store.experiments(1)[3]
        store.connection.execute("DELETE FROM trials WHERE experiment_id = ?", (three.id,))
        store.update_experiment(three.id, state="committed", verdict=None, val_bpb=None, delta=None, settled=None)
    (bench.root / "runs/t/3/experiment.json").unlink()
    shutil.rmtree(bench.root / "runs/t/3")
    with bench.open() as store:
        bench.run(3, store)
        three = store.experiments(1)[3]
    assert (three.state, three.verdict, three.sha) == ("settled", "keep", best)
    assert bench.workspace.best("t") == best


def test_a_keep_never_replaces_a_version_that_the_ledger_does_not_know(bench: Bench) -> None:
    stranger = bench.workspace.write(str(bench.workspace.best("t")), "X = 1\n", "by another program")
    git(bench.root, "update-ref", "refs/autoresearch/t/best", stranger)
    with bench.open() as store, pytest.raises(UserError, match=f"/best is at {stranger[:7]}, .*`git update-ref refs/"):
        bench.run(9, store)
    assert bench.workspace.best("t") == stranger


def test_a_keep_whose_own_reference_power_loss_left_behind(bench: Bench) -> None:
    best = str(bench.workspace.best("t"))
    before = bench.workspace.write(bench.workspace.parent(best), bench.workspace.read(best), "proposed")
    git(bench.root, "update-ref", "refs/autoresearch/t/3", before)
    with bench.open() as store:
        store.update_experiment(store.experiments(1)[3].id, state="decided", sha=before, settled=None)
        bench.run(3, store)
    assert bench.workspace.best("t") == bench.workspace.refs("t")[3] == best


def test_a_version_that_was_demoted_is_no_keep_again(bench: Bench) -> None:
    refs = bench.workspace.refs("t")
    bench.workspace.fall_back("t", refs[1])
    shutil.rmtree(bench.root / "runs")
    assert bench.go_on() == [(0, "keep"), (1, "keep"), (2, "discard"), (3, "discard")]
    assert bench.workspace.best("t") == refs[1]


@pytest.mark.slow
def test_seeds_of_the_lost_trials_do_not_come_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_SEED", "5")  # that of the first session
    with bench.open() as store:
        before = {trial.seed for trial in store.trials(1)}
    shutil.rmtree(bench.root / "runs")
    bench.go_on(9)
    with bench.open() as store:
        assert not before & {trial.seed for trial in store.trials(1)}


@pytest.mark.slow
def test_a_session_that_was_started_from_another_one(bench: Bench) -> None:
    best = str(bench.workspace.best("t"))
    with bench.open() as store:
        session = open_session(project.open_project({"tag": "u"}, bench.root), store, bench.workspace, "t")
        assert (session.from_tag, session.from_n) == ("t", 3)
    bench.workspace.start("u", best)
    shutil.rmtree(bench.root / "runs")
    with bench.open() as store:
        again = open_session(project.open_project({"tag": "u"}, bench.root), store, bench.workspace)
    assert (again.from_tag, again.from_n, again.base_sha, again.head) == ("t", 3, best, bench.workspace.head())


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 7])
def test_keeps_of_the_session_that_it_was_started_from_are_not_its_own(n: int, bench: Bench) -> None:
    workspace, base = bench.workspace, str(bench.workspace.best("t"))
    workspace.start("u", base)
    proposed = workspace.commit("u", n, "X = 1\n", base, "a change")
    message = f"a change\n\nit is better\n\nExperiment: {n}\nVal-Bpb: 2.1\nDelta: -0.1\nSigma: 0.1\n"
    best = workspace.keep("u", n, proposed, message)
    workspace.start("v", best)
    workspace.remove("u")
    git(bench.root, "update-ref", "refs/autoresearch/u/best", best)
    history = GitHistory.read(workspace, "u")
    assert history == GitHistory(best, {n: best}, base, base)


@pytest.mark.slow
def test_text_of_an_agent_that_looks_like_a_keep(bench: Bench) -> None:
    """Only what `best` is built on counts."""
    forged = "x\n\nreason\n\nExperiment: 4\nVal-Bpb: 0.1\nDelta: -1\nSigma: 0.1\n"
    bench.workspace.commit("t", 4, "X = 1\n", str(bench.workspace.best("t")), forged)
    history = GitHistory.read(bench.workspace, "t")
    assert history is not None and list(history.kept) == [3, 1] and history.best == bench.workspace.refs("t")[3]
    shutil.rmtree(bench.root / "runs")
    assert bench.go_on(4)[4] == (4, "discard")
