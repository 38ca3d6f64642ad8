"""Judge a recorded session again: its trials are a bank of draws.

    python benchmarks/replay_night.py LEDGER.db [--tag llm] [--replays 20] [--rule default]

Each experiment is compared with the version that it had to beat in the record, whatever the replay kept. Its screening
is the recorded one. Its re-runs, and the trials of its rival, are drawn from the recorded trials of that version
without replacement (total and ablate included), in the recorded order at first and in random order after that. A draw
beyond those comes from the version's mean and the session's sigma. A draw takes its recorded time, or the mean
of its version. Fillers, and sentinels after a change of the machine, are not replayed. The rule `one noise` is the
default with one sigma for all versions, `before` that of threshold_rule.py.
"""

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import threshold_rule

from autoresearch import judge
from autoresearch.judge import Decision, Draw, Incumbent
from autoresearch.judge.changing_noise import Squares, newest_noise
from autoresearch.ledger import Experiment, Ledger, Trial
from autoresearch.ledger.trials import FRESH

REPLICATES = 3


@dataclass
class Version:
    """A version of the record: its bank of draws, and those that a replay has taken."""

    row: Experiment
    bank: list[Trial]
    screening: Trial | None = None
    mean: float = 0.0
    minutes: float = 0.0
    taken: list[Draw] = field(default_factory=list)  # fresh ones
    candidates: list[list[Draw]] = field(default_factory=list)


class Replay:
    """One replay of a session."""

    def __init__(self, versions: dict[int, Version], sigma: float, seed: int, rule: str, fillers: bool) -> None:
        self.versions, self.sigma, self.rng, self.rule, self.fillers = (
            versions,
            sigma,
            random.Random(seed),
            rule,
            fillers,
        )
        self.count = 0
        self.minutes: Counter[str] = Counter()
        self.past: list[tuple[float, float]] = []
        self.verdicts: dict[int, Decision] = {}
        if seed:
            for version in versions.values():
                self.rng.shuffle(version.bank)

    def run(self) -> "Replay":
        for _ in range(REPLICATES):
            self._draw(self.versions[0], "base")
        for n, version in self.versions.items():
            if n and version.screening is not None:
                self._experiment(version)
        return self

    @property
    def confirming(self) -> float:
        """Return the share of re-runs and sentinels in the minutes of all trials."""
        return (self.minutes["rerun"] + self.minutes["sentinel"]) / sum(self.minutes.values())

    def _experiment(self, version: Version) -> None:
        rival, screening = self._rival(version.row), version.screening
        while (self.rule == "before" and threshold_rule.is_due(rival.taken, self.count)) or not rival.taken:
            self._draw(rival, "sentinel")
        while self.fillers and any(trial.purpose == "filler" for trial in rival.bank):
            self._draw(rival, "filler")
        assert screening is not None
        self.count += 1
        self.minutes["screen"] += minutes(screening)
        if screening.val_bpb is None:
            return
        first = [Draw(screening.val_bpb, self.count, screening.seed)]
        while (decision := self._decide(version, first, rival)).action in ("run_again", "compare"):
            again = decision.action == "run_again"
            self._draw(version if again else rival, "rerun" if again else "sentinel")
        self.past.append((decision.delta / self._noise(rival, version.taken).sigma, decision.p_gain))
        self.verdicts[version.row.n] = decision
        if decision.action == "discard":
            rival.candidates.append([*first, *version.taken])

    def _decide(self, version: Version, first: list[Draw], rival: Version) -> Decision:
        candidate, beliefs = [*first, *version.taken], judge.learn(self.past)
        noise = self._noise(rival, version.taken)
        if self.rule == "before":
            return threshold_rule.decide(candidate, rival.taken, noise, beliefs)
        known = self._incumbent(rival, noise).with_summary(noise, beliefs)
        return judge.decide("default", candidate, known, noise, beliefs)

    def _incumbent(self, version: Version, newest: judge.Noise) -> Incumbent:
        screening, parent = version.screening, None
        selecting = [Draw(screening.val_bpb, version.taken[0].at)] if screening and screening.val_bpb else []
        if version.row.n:
            parent = self._incumbent(self._rival(version.row), newest)
        spread = self._noise(version).sigma / newest.sigma
        return Incumbent(version.taken, selecting, version.candidates, parent, spread)

    def _rival(self, row: Experiment) -> Version:
        """Return the kept version of the record on which an experiment was built."""
        while row.parent is not None:
            row = self.versions[row.parent].row
            if row.verdict == "keep":
                break
        return self.versions[row.n]

    def _draw(self, version: Version, purpose: str) -> None:
        self.count += 1
        if version.bank:
            trial = version.bank.pop(0)
            score, seed, took = trial.val_bpb, trial.seed, minutes(trial)
            assert score is not None
        else:
            score, seed, took = self.rng.gauss(version.mean, self.sigma), None, version.minutes
        self.minutes[purpose] += took
        version.taken.append(Draw(score, self.count, seed))

    def _noise(self, version: Version, candidate: Sequence[Draw] = ()) -> judge.Noise:
        """Return the noise of a kept version and of its candidate."""
        pooled = judge.noise([version.taken for version in self.versions.values()])
        if self.rule != "default":
            return pooled
        lineage, at = [self._squares(version, candidate)], version.row
        while at.n:
            lineage.append(self._squares(self._rival(at)))
            at = self._rival(at).row
        return newest_noise(pooled, lineage[::-1])

    def _squares(self, version: Version, candidate: Sequence[Draw] = ()) -> Squares:
        return Squares.of([version.taken, candidate, *(draws[1:] for draws in version.candidates)])


def minutes(trial: Trial) -> float:
    assert trial.ended is not None
    return (trial.ended - trial.started) / 60


def read(path: Path, tag: str) -> tuple[dict[int, Version], float]:
    """Return the versions of a session by number, and its sigma."""
    with Ledger.open(path, readonly=True) as ledger:
        session = ledger.find_session(tag)
        versions = {}
        for row in ledger.experiments(session.id):
            trials = ledger.trials(session.id, row.id)
            good = [trial for trial in trials if trial.outcome == "ok" and trial.val_bpb is not None]
            bank = [trial for trial in good if trial.purpose in (*FRESH, "total", "ablate")]
            screening = next((trial for trial in trials if trial.purpose == "screen"), None)
            scores = [trial.val_bpb for trial in good if trial.val_bpb is not None]
            versions[row.n] = Version(
                row, bank, screening, fmean(scores or [0.0]), fmean(map(minutes, good)) if good else 0.0
            )
    groups = [[Draw(t.val_bpb or 0.0, t.id) for t in version.bank] for version in versions.values()]
    return versions, judge.noise(groups).sigma


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--tag", default="llm")
    parser.add_argument("--replays", type=int, default=20)
    parser.add_argument("--rule", default="default", choices=("default", "one noise", "before"))
    parser.add_argument("--fillers", action="store_true", help="take a rival's recorded fillers before it is compared")
    options = parser.parse_args()
    replays = [
        Replay(*read(options.ledger, options.tag), seed, options.rule, options.fillers).run()
        for seed in range(options.replays)
    ]
    first = replays[0]
    print("| experiment | recorded verdict | mean difference | kept in | near miss in | trials of it, mean |")
    print("|---|---|---|---|---|---|")
    for n in first.verdicts:
        row = first.versions[n].row
        found = [replay.verdicts[n] for replay in replays]
        kept = sum(each.action == "keep" for each in found)
        near = sum(each.action != "keep" and each.p_gain >= 0.25 for each in found)
        if row.verdict == "keep" or kept or near:
            delta = first.versions[n].mean - first._rival(row).mean
            trials = fmean(1 + len(replay.versions[n].taken) for replay in replays)
            print(f"| {n} | {row.verdict} | {delta:+.4f} | {kept} | {near} | {trials:.1f} |")
    share = fmean(replay.confirming for replay in replays)
    times = ", ".join(
        f"{name} {fmean(r.minutes[name] for r in replays):.1f}" for name in ("base", "screen", "rerun", "sentinel")
    )
    print(f"\nre-runs and sentinels: {share:.0%} of trial minutes ({first.confirming:.0%} in recorded order); {times}")


if __name__ == "__main__":
    main()
