"""Files of an experiment."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from autoresearch.ledger.artefacts import Artefacts


def test_the_newest_losses_that_can_be_read_are_those_of_a_version(tmp_path: Path) -> None:
    files = Artefacts(tmp_path / "runs" / "t" / "1")
    assert files.read_losses() is None
    (tmp_path / "runs").mkdir()
    rows = np.ones((4, 2))
    for k in range(11):
        files.write_trial(k, {}, "", rows, np.full((4, 3), k, np.uint8))
    files.write_trial(11, {}, "", rows)  # lost before it was audited
    found = files.read_losses()
    assert found is not None and (found == 10).all()
    whole = files.trial(10, ".npz").read_bytes()
    files.trial(10, ".npz").write_bytes(whole[: len(whole) // 2])
    found = files.read_losses()
    assert found is not None and (found == 9).all()


def test_logs_are_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    code = (
        "import sys, pathlib; from autoresearch.ledger.artefacts import Artefacts\n"
        "files = Artefacts(pathlib.Path(sys.argv[1], 'runs', 't', '1'))\n"
        "files.write_trial(1, {}, 'f\\xfcr\\n', None)\n"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code, tmp_path], env=os.environ | plain, check=True)
    assert Artefacts(tmp_path / "runs" / "t" / "1").trial(1, ".log").read_bytes() == "für\n".encode()
