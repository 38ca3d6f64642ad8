"""The brief that `autoresearch brief` shows is the one that the agent gets, whenever it is asked for."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import recorded_night
from support.agent_sessions import agent_session
from support.programs import autoresearch
from support.referees import FunctionReferee
from support.repositories import git

from autoresearch import config as configuration
from autoresearch.agents.base import InstantAgent, Proposal
from autoresearch.agents.told import full_text
from autoresearch.brief.brief import CONTRACT, Brief
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger
from autoresearch.measure.result import Overhead, Result
from autoresearch.measure.settings import TrialPlan
from autoresearch.measure.trial_facts import describe_trial
from autoresearch.session.preview import preview
from autoresearch.setup import project, slots
from autoresearch.source.constants import constants


@pytest.fixture
def here(repository: Path, settings_of: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the settings of a small session in the environment."""
    for name, value in settings_of.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AUTORESEARCH_TAG")
    return repository


class Reader(InstantAgent):
    """An agent that keeps what it was told, and what `preview` says meanwhile."""

    name, model = "claude", "a-model"

    def __init__(self, root: Path) -> None:
        self.root, self.told, self.previewed = root, list[str](), list[str]()

    def propose(self, brief: Brief) -> Proposal:
        self.told.append(brief.render())
        self.previewed.append(preview(self.root, {}).brief.render())
        value = constants(brief.source)[0].value
        text = brief.source.replace(f"SMOOTHING = {value:g}", f"SMOOTHING = {value / 2:g}")
        return Proposal(text, "less smoothing", "regularisation", -0.01)


@dataclass(frozen=True)
class DataReferee(FunctionReferee):
    """It measures nothing, and knows its data set."""

    data: Dataset

    def describe(self, base: Overhead | None) -> list[str]:
        return describe_trial(self.settings, self.data, base)


def made_up(source: str, seed: int, plan: TrialPlan) -> Result:
    curve = [{"step": float(step), "loss": 2.0 + step % 3 / 10, "seconds": step / 10} for step in range(1, 21)]
    score = 2.0 + seed % 7 / 1000
    result = Result(outcome="ok", val_bpb=score, seed=seed, curve=curve, reported={"step": 20.0}, train_seconds=2.0)
    result.spent = {"setup": 0.1, "load": 0.1, "answer": 0.1}
    return result


def test_it_is_what_the_agent_gets(here: Path, bytes_data: Dataset) -> None:
    """From another connection, while the session waits for its agent."""
    config = configuration.load(here, {})
    slot = slots.choose(config.device, config.threads, config.slots)[0]
    agent, settings = Reader(here), project.settings(config, slot)
    referees = [DataReferee(made_up, settings, bytes_data)]
    with agent_session(here, settings, bytes_data, agent, None, 2, referees=referees, replicates=3) as loop:
        loop.run()
    assert agent.previewed == agent.told and len(agent.told) == 2
    assert "trial.rows is uint16 [" in agent.told[0] and "| 0, incumbent | 3 | 20 | " in agent.told[0]
    assert "| 1 | regularisation | " in agent.told[1]
    after = preview(here, {}, "t")
    assert (after.brief.n, after.tag) == (3, "t")
    assert after.text.startswith(CONTRACT) and after.text.endswith(after.brief.changing() + "\n")


def test_before_the_first_session_what_is_missing_is_said(here: Path, tmp_path: Path) -> None:
    found = preview(here, {"agent": "claude"})
    assert (found.tag, found.brief.n, found.agent) == (None, 1, "claude")
    assert len(found.missing) == 1 and found.missing[0].startswith("the base is not measured yet")
    assert "trial.rows is uint16 [" in found.text and "SMOOTHING = 0.5" in found.text
    assert "the base, which is not measured yet" in found.text
    assert not (here / "runs").exists()


def test_without_a_data_set_the_rest_is_shown(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    found = preview(here, {"agent": "claude"})
    assert any("`autoresearch prepare` makes it" in line for line in found.missing)
    assert "the data set is not prepared yet" in found.text and "Budget: 20 batches" in found.text
    assert not (tmp_path / "cache").exists()


def test_an_agent_that_reads_nothing_and_an_empty_program_are_named(here: Path) -> None:
    (here / "program.md").unlink()
    missing = preview(here, {}).missing
    assert missing[0] == "sweep reads no brief: this is what a language model would be told"
    assert missing[-1].startswith("program.md is missing or empty: ")


def test_a_recorded_session_is_read_without_being_changed(here: Path) -> None:
    path = recorded_night.restore_before(here / "runs" / "ledger.db", 39)
    Ledger.open(path).close()
    before = path.read_bytes()
    found = preview(here, {})
    assert (found.tag, found.agent, found.brief.n, found.brief.incumbent) == ("llm", "claude:bridge-model", 39, 34)
    assert "Budget: 15 CPU-seconds" in found.text and "Score: 512 rows" not in found.text
    assert found.missing == [
        "the data set 6190b84d29683309 is not in the cache: set AUTORESEARCH_CACHE to the one of the session; text,"
        " vocabulary and rows are left out"
    ]
    assert path.read_bytes() == before


def test_cores_that_a_flag_of_run_has_chosen_are_told(here: Path) -> None:
    path = recorded_night.restore_before(here / "runs" / "ledger.db", 5)
    with closing(sqlite3.connect(path)) as connection, connection:
        sql = "UPDATE trials SET result = json_set(result, '$.slot', json('[2, 3]')) WHERE purpose = 'base'"
        connection.execute(sql)
    assert "Device: cpu: 2 cores of " in (text := preview(here, {}).text) and ", 2 threads for" in text


def test_a_session_without_a_measured_base_has_its_first_brief(here: Path) -> None:
    with Ledger.open(here / "runs" / "ledger.db") as ledger:
        ledger.create_session(
            "t", "autoresearch/t", git(here, "rev-parse", "HEAD"), "claude", "default", {}, {}, seed=5
        )
    found = preview(here, {})
    assert (found.tag, found.brief.n) == ("t", 1) and "not measured yet" in found.missing[-1]


def test_a_command_is_told_what_its_folder_holds(here: Path) -> None:
    config = configuration.load(here, {})
    found = preview(here, {"agent": "command:true"})
    assert found.text.startswith("# Your task") and found.text == full_text("command:x", config, found.brief)


def test_stdout_is_the_text_and_stderr_what_is_missing(here: Path, settings_of: dict[str, str]) -> None:
    printed = autoresearch(here, "brief", "--agent", "claude", env=settings_of)
    assert printed.returncode == 0 and printed.stderr.startswith("the base is not measured yet")
    assert printed.stderr.count("\n") == 1
    told = json.loads(autoresearch(here, "brief", "--agent", "claude", "--json", env=settings_of).stdout)
    assert told["text"] == printed.stdout == preview(here, {"agent": "claude"}).text
    assert told["tokens"] > told["stable_tokens"] > 0 and told["session"] is None


def test_what_cannot_be_shown_is_one_line(here: Path, settings_of: dict[str, str], tmp_path: Path) -> None:
    unknown = autoresearch(here, "brief", "--tag", "x", env=settings_of)
    assert unknown.returncode == 1 and unknown.stderr.count("\n") == 1 and not unknown.stdout
    (tmp_path / "empty").mkdir()
    nothing = autoresearch(tmp_path / "empty", "brief", env=settings_of)
    assert nothing.returncode == 3 and nothing.stderr.count("\n") == 1 and not nothing.stdout
