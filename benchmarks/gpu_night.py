"""Run a night in small: a base that is spoilt on purpose, scripted edits of it, and the judge; within ten minutes.

    python benchmarks/gpu_night.py [--minutes 9.5] [--budget 30s] [--pack FOLDER] [--rehearse]

Needs torch, numpy, safetensors and nvidia-ml-py only, and the data set of `first_card.py pack`. It stops before a trial
that would end too late, and says so. Git and the ledger are not used: `make run` tests those.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import on_card

from autoresearch import hardware, judge
from autoresearch.data.dataset import Dataset
from autoresearch.judge import Draw
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.source import constants

BUDGET = {"cuda": "30s", "cpu": "40steps"}
MINUTES = 9.5
Factors = dict[str, float]

SPOILT: Factors = {"MATRIX_LR": 0.05}  # factors on constants, of the base ...
EDITS: dict[
    str, Factors
] = {  # ... and of scripted edits; those that an edit does not name go on as they are in the incumbent
    "MATRIX_LR as it was": {"MATRIX_LR": 1 / 0.05},
    "a tenth of EMBED_LR": {"EMBED_LR": 0.1},
    "a tenth of HEAD_LR": {"HEAD_LR": 0.1},
}
BASE_DRAWS = 2
SPARE = 1.15  # of the longest trial so far, which the next one may take
WORST_BPB = 8.0  # of plain bytes drawn evenly: what a trial without a score counts as

Say = Callable[[str, str], None]


class OutOfTime(Exception):
    """The next trial would end after the night."""


@dataclass
class Night:
    """A small night: `say` gets a label and a line for each trial and each decision."""

    settings: Settings
    data: Dataset
    seconds: float
    say: Say
    spoilt: Factors = field(default_factory=lambda: SPOILT)
    edits: dict[str, Factors] = field(default_factory=lambda: EDITS)
    started: float = field(default_factory=time.monotonic)
    longest_s: float = 0.0
    trials: int = 0

    def run(self, base: str) -> None:
        """Measure the spoilt base and judge the edits until the time is over."""
        incumbent = scale_constants(base, self.spoilt)
        kept: list[Draw] = []
        try:
            kept = [self._draw(incumbent, "the spoilt base") for _ in range(BASE_DRAWS)]
            for name, factors in self.edits.items():
                candidate = scale_constants(incumbent, factors)
                draws = self._judge(name, candidate, incumbent, kept)
                if draws:
                    incumbent, kept = candidate, draws
        except OutOfTime:
            self.say("end", f"{self.trials} trials in {self._spent():.0f} s: no time for another")
        else:
            self.say("end", f"{self.trials} trials in {self._spent():.0f} s: all edits are decided")

    def _judge(self, name: str, candidate: str, incumbent: str, kept: list[Draw]) -> list[Draw]:
        """Measure until the judge decides; return the candidate's fresh draws if it is kept, else none."""
        draws = [self._draw(candidate, name)]
        while True:
            decision = judge.decide("default", draws, kept, judge.noise([kept, draws[1:]]))
            if decision.action in ("keep", "discard"):
                self.say(f"verdict on {name}", f"{decision.action}: {decision.reason}")
                return draws[1:] if decision.action == "keep" else []
            if decision.action == "compare":
                kept.append(self._draw(incumbent, "the incumbent again"))
            else:
                draws.append(self._draw(candidate, f"{name}, again"))

    def _draw(self, text: str, name: str) -> Draw:
        """Measure a version once. Raises OutOfTime if the trial would end too late."""
        if self._spent() + SPARE * self.longest_s > self.seconds:
            raise OutOfTime
        began, self.trials = time.monotonic(), self.trials + 1
        result = CellReferee(self.settings, self.data).measure(
            text, self.trials, TrialPlan(keep_caches=self.trials == 1)
        )
        self.longest_s = max(time.monotonic() - began, self.longest_s if self.trials > 2 else 0.0)  # the first compiles
        self.say(f"trial {self.trials}", f"{name}: {describe(result, self.settings)}")
        score = result.val_bpb if result.val_bpb is not None else float("inf")
        return Draw(min(score, WORST_BPB), self.trials, self.trials)

    def _spent(self) -> float:
        return time.monotonic() - self.started


def scale_constants(text: str, factors: Factors) -> str:
    """Return the text with some constants multiplied."""
    values = {constant.name: constant.value for constant in constants.constants(text)}
    return constants.with_constants(text, {name: values[name] * factor for name, factor in factors.items()})


def describe(result: Result, settings: Settings) -> str:
    """Describe a trial on one line."""
    if result.val_bpb is None:
        return f"{result.outcome}: {result.reason}"
    found = on_card.describe_result(result, settings)
    mfu = f", MFU {found['MFU %']:.1f} %" if found["MFU %"] else ""
    times = f"setup {result.setup_seconds:.1f}, train {result.train_seconds:.1f}, score {result.score_seconds:.1f} s"
    return f"{result.val_bpb:.4f}; {found['steps'] or 0:.0f} steps{mfu}; {times}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"default {MINUTES:g}")
    parser.add_argument("--budget", help="of one trial; default 30s on a card")
    on_card.add_arguments(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.work = options.work or Path(folder)
        device = on_card.prepare(options)
        data = on_card.open_data(options.pack)
        settings = on_card.make_settings(device, options.budget or BUDGET[device], Path(folder) / "caches")
        name = hardware.gpu_name(settings.gpu) or hardware.cpu_name()
        print(f"machine: {name}, torch {hardware.version('torch')}, budget {settings.budget}", flush=True)
        night = Night(settings, data, 60 * options.minutes, lambda label, line: print(f"{label}: {line}", flush=True))
        night.run(on_card.fit_base(options.train.read_text(), settings, data))
    return 0


if __name__ == "__main__":
    sys.exit(on_card.guard(main))
