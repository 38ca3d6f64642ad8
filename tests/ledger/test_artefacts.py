"""Files of an experiment."""

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
