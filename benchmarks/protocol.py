"""Measure the cost of the protocol against a plain evaluation in the training process.

    python benchmarks/protocol.py [--trials 3] [--budget 50steps]

The plain evaluation runs in the training cell after the last save, on as many rows as the referee scores, in the same
batches. Both figures are from the same trials.
"""

import argparse
from pathlib import Path
from statistics import median

from autoresearch.measure.referee import CellReferee
from autoresearch.setup import plan
from autoresearch.setup.project import open_project

PLAIN = '''

_honest_train = train


class _Watched:
    """The trial, with a copy of the saved state."""

    def __init__(self, trial):
        self.trial = trial

    def __getattr__(self, name):
        return getattr(self.trial, name)

    def save(self, state, config):
        self.saved = {name: value.clone() for name, value in state.items()}, config
        self.trial.save(state, config)


def train(trial):
    import time

    watched = _Watched(trial)
    _honest_train(watched)
    began, nats = time.perf_counter(), 0.0
    rows = torch.from_numpy(trial.rows[:EVAL_ROWS].astype("int64")).to(trial.device)
    model = load(*watched.saved, trial.device)
    with torch.inference_mode():
        for part in rows.split(EVAL_BATCH):
            nats += F.cross_entropy(model(part[:, :-1]).flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
    trial.log(plain_seconds=time.perf_counter() - began, plain_nats=nats / rows[:, 1:].numel())
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--budget", default="50steps")
    options = parser.parse_args()
    project = open_project({"budget": options.budget}, Path.cwd())
    sizes = f"\nEVAL_ROWS, EVAL_BATCH = {project.settings.eval_rows}, {project.settings.eval_batch}\n"
    text = plan.fit_device(Path("train.py").read_text(), project.slot.device) + PLAIN + sizes
    results = [CellReferee(project.settings, project.data).measure(text, seed) for seed in range(options.trials)]
    assert all(result.outcome == "ok" for result in results), results[0].reason
    plain = median(result.reported["plain_seconds"] for result in results)
    honest = median(result.score_seconds for result in results)
    print("| evaluation | seconds a trial | share of a 300 s budget |\n|---|---|---|")
    for name, seconds in (("in the process", plain), ("claim and audit", honest), ("difference", honest - plain)):
        print(f"| {name} | {seconds:.2f} | {seconds / 300:.2%} |")


if __name__ == "__main__":
    main()
