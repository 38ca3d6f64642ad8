"""An experiment is shown against the version that it was compared with."""

from pathlib import Path

from autoresearch.analysis.experiment_details import read_experiment
from autoresearch.ledger import Ledger, experiment_rows

TEXTS = {0: "LR = 1\nDEPTH = 2\n", 1: "LR = 1\nDEPTH = 3\n", 2: "LR = 2\nDEPTH = 2\n"}
PARAMETERS = {0: 100, 1: 900, 2: 100}


def test_a_learning_rate_on_top_of_a_larger_near_miss_adds_no_parameters(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "runs" / "ledger.db") as store:
        session = store.create_session("t", "b", "s", "claude", "default", {}, {}, 0)
        for n, text in TEXTS.items():
            known = {"delta": 0.01, "sigma": 0.01, "near_miss": True} if n else {}
            verdict, parent = ("discard", n - 1) if n else ("keep", None)
            row = store.add_experiment(session.id, n, verdict=verdict, parent=parent, text=text, **known)
            trial = store.start_trial(session.id, row.id, "screen" if n else "base", n, "b")
            store.end_trial(trial.id, "ok", 2.0, {"parameters": PARAMETERS[n], "reported": {"num_params": 5.0 * n}})
        rows = experiment_rows(store, session)
        assert [(row.parent, row.baseline, row.params_added) for row in rows] == [
            (None, None, None),
            (0, 0, 800),
            (1, 0, 0),
        ]
        discarded = experiment_rows(store, session, "discard")
        assert [(row.baseline, row.params_added) for row in discarded] == [(0, 800), (0, 0)]
        last = store.experiment(session.id, 2)
        assert last is not None
        details = read_experiment(store, session, tmp_path / "runs", last)
        found = details.as_json()
        assert (found["parent"], found["baseline"], details.change) == (1, 0, "LR 1 -> 2")
        assert "-LR = 1\n+LR = 2\n" in found["patch"] and "DEPTH = 3" not in found["patch"]
