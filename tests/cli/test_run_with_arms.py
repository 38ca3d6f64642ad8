"""Sessions with several researchers, as a user runs them: real processes, cells and git."""

import json
from pathlib import Path

import pytest
from support.programs import autoresearch

from autoresearch.ledger import Ledger


@pytest.fixture
def folders(tmp_path: Path, bigram: str) -> list[Path]:
    """Two folders of edits with the same names."""
    made = [tmp_path / name for name in ("even", "odd")]
    for k, folder in enumerate(made):
        folder.mkdir()
        for n in (1, 2):
            value = f"SMOOTHING = 0.{5 - 2 * n - k} "
            (folder / f"{n:02}-edit.py").write_text(bigram.replace("SMOOTHING = 0.5 ", value))
    return made


@pytest.mark.slow
def test_two_folders_are_two_arms_and_stay_so(
    repository: Path, settings_of: dict[str, str], folders: list[Path]
) -> None:
    spec = ",".join(f"scripted:{folder}" for folder in folders)
    done = autoresearch(repository, "run", "--agent", spec, "--max-experiments", "2", env=settings_of)
    assert done.returncode == 0, done.stderr
    first = done.stderr.splitlines()[0]
    assert first.startswith("researchers: scripted:even = ") and "; scripted:odd = " in first
    done = autoresearch(repository, "run", "--tag", "t", "--max-experiments", "4", env=settings_of)
    assert done.returncode == 0 and "new or changed" not in done.stderr, done.stderr
    rows = json.loads(autoresearch(repository, "log", "--all", "--json", env=settings_of).stdout)[1:]
    assert sorted(row["arm"] for row in rows if not row["origin"]) == ["scripted:even"] * 2 + ["scripted:odd"] * 2
    assert "scripted:odd" in autoresearch(repository, "log", "--all", env=settings_of).stdout
    assert "scripted:even (scripted)" in " ".join(
        autoresearch(
            repository, "show", str(next(row["n"] for row in rows if row["arm"] == "scripted:even"))
        ).stdout.split()
    )
    status = json.loads(autoresearch(repository, "status", "--json", env=settings_of).stdout)
    assert status["agent"] == "mix: scripted:even, scripted:odd"
    done = autoresearch(
        repository, "run", "--tag", "t", "--agent", f"{spec},sweep", "--max-experiments", "5", env=settings_of
    )
    assert "(new or changed: sweep)" in done.stderr


@pytest.mark.slow
def test_an_arm_that_cannot_work_is_left_out_and_none_is_refused(
    repository: Path, settings_of: dict[str, str], folders: list[Path]
) -> None:
    done = autoresearch(repository, "run", "--agent", "claude,openai", env=settings_of)
    assert done.returncode == 3 and "no arm can work: claude: " in done.stderr and "Traceback" not in done.stderr
    (repository / "autoresearch.yaml").write_text("arms: [sweep, {agent: sweep, program: other.md}]\n")
    done = autoresearch(repository, "run", env=settings_of)
    assert done.returncode == 2 and "there is no file other.md" in done.stderr
    spec = f"claude,scripted:{folders[0]}"
    done = autoresearch(repository, "run", "--agent", spec, "--max-experiments", "1", env=settings_of)
    assert done.returncode == 0 and "the session goes on without claude: " in done.stderr
    with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
        assert [row.arm for row in store.experiments(1)] == [None, "scripted:even"]
