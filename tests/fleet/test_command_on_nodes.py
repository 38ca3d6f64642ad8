"""A command of the user's measures on nodes what it measures at home, with answers that only the score may read."""

from pathlib import Path
from typing import Any

import pytest
from support.fleet_sessions import finish, record, results_of, start
from support.triplets import BETTER, make_separate, write_script

pytestmark = pytest.mark.slow


def test_a_command_finds_on_nodes_what_it_finds_at_home(
    cluster: Any, settings_of: dict[str, str], tmp_path: Path
) -> None:
    script = write_script(tmp_path / "script", {"01-better": BETTER})
    own = {"AGENT": f"scripted:{script}", "SEED": "7", "TOTAL_PAIRS": "2", "MAX_EXPERIMENTS": "1"}
    names = ("CACHE", "TAG", "SLOTS", "DEVICE")
    kept = {name: settings_of[f"AUTORESEARCH_{name}"] for name in names}
    env = {name: value for name, value in settings_of.items() if not name.startswith("AUTORESEARCH_")}
    env |= {f"AUTORESEARCH_{name}": value for name, value in (kept | own).items()}
    home, away = make_separate(tmp_path / "home"), make_separate(tmp_path / "away")
    finish(start(home, env))
    words = finish(start(away, env, "--ray", cluster.address))
    assert record(away) == record(home), words
    good = [result for result in results_of(away) if result["outcome"] == "ok"]
    assert all(result.get("node") for result in good if result.get("holdout_bpb") is not None)
    assert any(result.get("holdout_bpb") is not None for result in good), "the holdout travelled"
