"""Versions of program.md are told apart by their words."""

import hashlib
import json
from pathlib import Path

from support.experiments import experiment

from autoresearch.analysis.programs import first_words
from autoresearch.brief.brief import Brief
from autoresearch.ledger.artefacts import Artefacts


def test_each_version_has_the_first_line_that_is_new(tmp_path: Path) -> None:
    texts = ["# Goal\n\nLower the score.\n", "# Goal\n\nLower the score.\n\nOnly the optimiser.\n", "gone"]
    keys = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]
    brief = Brief(1, 0, texts[0], "A = 1\n", 0, 2.0, 0.01, [])
    Artefacts(tmp_path / "t" / "2").write_proposal("", [{"kind": "brief", "text": brief.render()}])
    rows = [experiment(n, program_hash=key) for n, key in ((1, keys[0]), (2, keys[0]), (3, keys[1]), (4, keys[2]))]
    found = first_words(rows, tmp_path / "t", texts[1])
    assert found == {keys[0]: "Lower the score.", keys[1]: "Only the optimiser."}
    assert json.dumps(found)
