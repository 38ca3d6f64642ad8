"""The folders of `examples/`, each copied, committed and run as its README says, on prepared changes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.programs import call_main
from support.repositories import git

ROOT = Path(__file__).parents[2]
CHANGES = ROOT / "tests" / "examples"


class Example:
    """A copy of an example in a repository of its own."""

    def __init__(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self.root, self._monkeypatch = name, folder / name, monkeypatch
        shutil.copytree(ROOT / "examples" / name, self.root, ignore=shutil.ignore_patterns("runs", "__pycache__"))
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
            git(self.root, *command)
        monkeypatch.setenv("AUTORESEARCH_CACHE", str(folder / "cache"))
        monkeypatch.setenv("AUTORESEARCH_SEED", "1")
        monkeypatch.chdir(self.root)

    def call(self, *arguments: str) -> int:
        """Call a command in the repository."""
        return call_main(self._monkeypatch, *arguments)

    def run(self, changes: str = "") -> int:
        """Run a session on the prepared changes of this example, or on others."""
        folder = CHANGES / (changes or self.name)
        return self.call("run", "--agent", f"scripted:{folder}", "--device", "cpu", "--tag", "t")

    def rows(self, capfd: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
        """Return what `log` says of each change, by its name without the number; the base is `the-base`."""
        capfd.readouterr()
        assert self.call("log", "--all", "--json") == 0
        return {_name(row["hypothesis"]): row for row in json.loads(capfd.readouterr().out)}

    def verdicts(self, capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
        """Return the verdict of each change."""
        return {name: row["verdict"] for name, row in self.rows(capfd).items()}

    def gains(self, capfd: pytest.CaptureFixture[str]) -> tuple[float, float]:
        """Return the honest total, and that of the holdout; positive is a gain."""
        capfd.readouterr()
        assert self.call("total", "--json") == 0
        total = json.loads(capfd.readouterr().out)
        return -total["val"]["mean"], -total["holdout"]["mean"]


def _name(hypothesis: str) -> str:
    """Return the name of a change, also of one that could not be applied."""
    broken = re.search(r"proposal: \d+-(\S+)\.patch", hypothesis)
    return broken[1] if broken else hypothesis.replace(" ", "-")
