"""One version ends or hangs no session: each of these did, and again whenever the session was continued."""

from pathlib import Path

import pytest
from support.programs import autoresearch
from support.repositories import git
from support.sessions import session_of

from autoresearch.agents import registry
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger
from autoresearch.measure.settings import Settings
from autoresearch.sandbox.supervisor import DISK_IS_FULL

FORGE = """from autoresearch.measure import checkpoint_file
    header = ('{"w": {"dtype": "F32", "shape": %s, "data_offsets": [0, 4]}}').encode()
    checkpoint_file._parts = lambda *_: [len(header).to_bytes(8, "little"), header, bytes(4)]
    trial.save("""
GOOD = ("SMOOTHING = 0.5 ", "SMOOTHING = 0.02 ")
PROPOSALS = {  # what is replaced in the base, by what, and the verdict
    "digits": ("trial.save(", FORGE % f"[{'9' * 4300}, {'9' * 4300}]", "crash"),
    "infinity": ("trial.save(", FORGE % "[Infinity]", "crash"),
    "factors": ("trial.save(", FORGE.replace("%s", "[' + ','.join(['999999999'] * 90_000) + ']"), "crash"),
    "folders": (
        "    trial.start()",
        "    import os\n    for k in range(30_000):\n        os.mkdir(f'{k}')\n    trial.start()",
        "discard",
    ),
    "product": ("SHARPNESS = 1.0", "BIG = " + "10**64 * " * 990 + "1\nSHARPNESS = 0.4", "invalid"),
    "attributes": ("SHARPNESS = 1.0", "if 0: a" + ".b" * 990 + "\nSHARPNESS = 0.3", "invalid"),
    "claims": ("        step += 1", "        step += 1\n        trial.log(epochs=1e400, num_params=-1e300)", "keep"),
    "after": ("SHARPNESS = 1.0", "SHARPNESS = 0.2", "discard"),
}


@pytest.fixture
def script(tmp_path: Path, bigram: str) -> Path:
    folder = tmp_path / "script"
    folder.mkdir()
    for k, (name, (before, after, verdict)) in enumerate(PROPOSALS.items()):
        assert before in bigram
        text = bigram.replace(*GOOD, 1) if verdict == "keep" else bigram
        (folder / f"{k:02}-{name}.py").write_text(text.replace(before, after, 1))
    return folder


@pytest.mark.slow
def test_a_session_of_versions_that_ended_sessions(
    repository: Path, script: Path, quick: Settings, bytes_data: Dataset
) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        session = session_of(repository, store, registry.create(f"scripted:{script}"), quick, bytes_data)
        assert session.run() == "agent exhausted"
        rows = {row.n: row for row in store.experiments(session.context.id)}
        brief = session.candidates.briefing.write(len(rows))
    found = {name: rows[n].verdict for n, name in enumerate(PROPOSALS, 1)}
    expected = {name: verdict for name, (*_, verdict) in PROPOSALS.items()}
    assert found == expected, {name: rows[n].reason for n, name in enumerate(PROPOSALS, 1)}
    assert "inf" not in " ".join(brief.facts) and brief.render()
    for command in (["show", "7"], ["show", "7", "--json"], ["log"], ["report"], ["show", "1"], ["show", "6"]):
        shown = autoresearch(repository, *command)
        assert shown.returncode == 0, shown.stderr


@pytest.mark.slow
def test_a_version_that_fills_the_disk_is_a_crash(
    small_disk: None, repository: Path, tmp_path: Path, bigram: str, quick: Settings, bytes_data: Dataset
) -> None:
    fills = "    for k in range(10_000):\n        open(str(k), 'w').close()\n    trial.start()"
    (tmp_path / "script").mkdir()
    for k, text in enumerate((bigram.replace("    trial.start()", fills, 1), bigram.replace(*GOOD, 1))):
        (tmp_path / "script" / f"{k}-edit.py").write_text(text)
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        agent = registry.create(f"scripted:{tmp_path / 'script'}")
        session = session_of(repository, store, agent, quick, bytes_data)
        assert session.run() == "agent exhausted"
        found = [(row.verdict, row.reason) for row in store.experiments(session.context.id)]
    assert [verdict for verdict, _ in found] == ["keep", "crash", "keep"], found
    # its write may fail before it is seen
    assert DISK_IS_FULL in found[1][1] or "No space left" in found[1][1]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("X = a" + ".b" * 990, id="deep"),
        pytest.param("X = (", id="open", marks=pytest.mark.slow),
        pytest.param("X = 1\n" * 60_000, id="long", marks=pytest.mark.slow),
    ],
)
def test_a_base_that_cannot_be_read_is_one_line(repository: Path, settings_of: dict[str, str], line: str) -> None:
    (repository / "train.py").write_text((repository / "train.py").read_text() + line + "\n")
    git(repository, "commit", "-q", "-a", "-m", "deep")
    for _ in range(2):
        ran = autoresearch(repository, "run", "--agent", "sweep", env=settings_of)
        assert ran.returncode == 3
        assert "autoresearch: train.py, as committed, does not parse: " in ran.stderr.splitlines()[-1]
        assert "Traceback" not in ran.stderr
