"""What the folders of `examples/` have in common."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.examples import ROOT

NAMES = ["agent-harness", "fraud", "kernel", "paper", "sorting-network"]
MAKERS = sorted((ROOT / "examples").glob("*/make_data.py"))
MAX_BYTES = 60_000


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_small_and_says_how_to_start(name: str) -> None:
    folder = ROOT / "examples" / name
    names = {file.name for file in folder.iterdir()}
    assert {"README.md", "autoresearch.yaml", "program.md", ".gitignore"} <= names
    assert f"cp -r {name} ~/ && cd ~/{name}" in (folder / "README.md").read_text()
    assert all(file.stat().st_size < MAX_BYTES for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.parent.name)
def test_the_data_are_what_their_script_makes(maker: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(maker.parent, copy)
    made = [file for file in copy.rglob("*") if file.suffix in (".txt", ".csv", ".jsonl")]
    before = {file: file.read_bytes() for file in made}
    for file in made:
        file.unlink()
    subprocess.run([sys.executable, "make_data.py"], cwd=copy, check=True)
    assert before and {file: file.read_bytes() for file in made} == before
