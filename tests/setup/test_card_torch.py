"""Versions of torch that a card cannot be used with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("version", "is_refused"), [("2.9.1", True), ("2.10.0+cu128", True), ("2.11.0+cu130", False)])
def test_torch_without_windows_in_its_attention_is_refused_for_a_card(
    tmp_path: Path, version: str, is_refused: bool
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("")
    (tmp_path / "torch" / "version.py").write_text("cuda: Optional[str] = '12.8'\n")
    (tmp_path / f"torch-{version}.dist-info").mkdir()
    (tmp_path / f"torch-{version}.dist-info" / "METADATA").write_text(f"Name: torch\nVersion: {version}\n")
    asked = "from autoresearch.setup import slots; print(slots.torch_problem())"
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", asked], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert (f"torch {version} has no attention with windows" in done.stdout) == is_refused
    assert ("pip install" in done.stdout) == is_refused
