"""Early stop of screenings, tried on whole curves: what it saves, and how often it is wrong.

    python benchmarks/early_stop.py collect --out bank.npz [--seeds 0:9]    # train the planted edits
    python benchmarks/early_stop.py planted benchmarks/early_stop_bank.npz  # gains of 1 to 4 sigma
    python benchmarks/early_stop.py sessions LEDGER ...                     # recorded sessions, replayed in order

`collect` trains edits of the numpy train.py of `autoresearch demo`, for a number of steps and without a cell, each on
the seeds of the base. `planted` gives each edit and seed to the rule as a screening, beside three trials of the base
and after the whole trials of the other edits on other seeds. `sessions` reads copies of ledgers: each screening is
judged by the whole trials before it, of earlier ledgers too; sigma and prior are those at the end of its session.
A stop is wrong if the whole score earned a re-run. Then it turns the screenings that lost by 1 to 4 sigma: each trial
of the incumbent is a candidate against them, which has gained that much.
"""

import argparse
import math
import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from statistics import fmean, stdev
from types import ModuleType
from typing import Any, cast

import numpy as np

from autoresearch import judge
from autoresearch.data.dataset import Dataset
from autoresearch.judge import LOOKS, CurveForecast, Draw, Example, LossCurve, curve_gap
from autoresearch.judge.curve_forecast import MAX_ODDS
from autoresearch.ledger import Ledger, Session, Trial
from autoresearch.ledger.baselines import baseline
from autoresearch.ledger.rows import AFTERWARDS, FILLER, Experiment
from autoresearch.ledger.trials import FRESH
from autoresearch.measure.batches import BatchStream
from autoresearch.measure.clock import Budget
from autoresearch.measure.score import evaluation_rows
from autoresearch.session.context import SessionContext
from autoresearch.session.early_stop import CHECK_EVERY, MAX_EARLIER, EarlyStop, categories_of, partner_of, read_curve
from autoresearch.session.evidence import Evidence
from autoresearch.setup import prepare
from autoresearch.source.constants import Number, with_constants
from autoresearch.source.curve_changes import may_log_another_loss
from autoresearch.workspace.workspace import Workspace

STEPS, ROWS = 250, 256
BASE: dict[str, Number] = {"LEARNING_RATE": 0.004, "WARMDOWN": 0.5}
EDITS: dict[str, dict[str, Number]] = {  # category and change: most gain 1 to 4 sigma, the last ones lose
    "optimiser LEARNING_RATE 0.0042": {"LEARNING_RATE": 0.0042},
    "optimiser LEARNING_RATE 0.0045": {"LEARNING_RATE": 0.0045},
    "optimiser BETA2 0.97": {"BETA2": 0.97},
    "optimiser BETA2 0.95": {"BETA2": 0.95},
    "optimiser BETA1 0.85": {"BETA1": 0.85},
    "optimiser BETA1 0.8": {"BETA1": 0.8},
    "numerics CLIP_NORM 0.5": {"CLIP_NORM": 0.5},
    "numerics CLIP_NORM 0.35": {"CLIP_NORM": 0.35},
    "architecture HIDDEN 112": {"HIDDEN": 112},
    "architecture HIDDEN 120": {"HIDDEN": 120},
    "architecture EMBED_DIM 34": {"EMBED_DIM": 34},
    "schedule WARMDOWN 0.4": {"WARMDOWN": 0.4},
    "schedule WARMDOWN 0.3": {"WARMDOWN": 0.3},
    "schedule WARMDOWN 0.2": {"WARMDOWN": 0.2},
    "schedule FINAL_LR 0.25": {"FINAL_LR": 0.25},
    "schedule FINAL_LR 0.4": {"FINAL_LR": 0.4},
    "schedule LEARNING_RATE 0.006, WARMDOWN 0.8": {"LEARNING_RATE": 0.006, "WARMDOWN": 0.8},
    "schedule LEARNING_RATE 0.005, WARMDOWN 0.7": {"LEARNING_RATE": 0.005, "WARMDOWN": 0.7},
    "schedule BATCH_ROWS 36": {"BATCH_ROWS": 36},
    "schedule BATCH_ROWS 40": {"BATCH_ROWS": 40},
    "optimiser LEARNING_RATE 0.003": {"LEARNING_RATE": 0.003},
    "optimiser BETA1 0.95": {"BETA1": 0.95},
    "architecture EMBED_DIM 20": {"EMBED_DIM": 20},
    "architecture HIDDEN 80": {"HIDDEN": 80},
    "schedule WARMDOWN 0.8": {"WARMDOWN": 0.8},
}
EXAMPLES = 40  # whole trials that are known before a planted screening
GAINS_SIGMA = (1.0, 4.0)


@dataclass
class StepTrial:
    """What train.py asks of its trial; its budget is a number of steps."""

    seed: int
    stream: BatchStream
    vocab_size: int
    seq_len: int
    device: str = "cpu"
    steps: int = 0
    losses: list[float] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Need nothing: there is no clock."""

    @property
    def progress(self) -> float:
        return self.steps / STEPS

    def batches(self, size: int) -> Iterator[Any]:
        for batch in self.stream.batches(size, "cpu", None):
            self.steps += 1
            yield batch

    def log(self, **values: float) -> None:
        self.losses.append(float(values["loss"]))

    def save(self, state: dict[str, Any], config: dict[str, Any]) -> None:
        self.state, self.config = {name: weights.copy() for name, weights in state.items()}, config


def collect(out: Path, seeds: Sequence[int]) -> None:
    """Train base and edits on each seed; write scores [version, seed] and losses [version, seed, step]."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    text = (resources.files("autoresearch.setup") / "demo_files" / "train.py").read_text()
    data = Dataset.open(prepare.prepare(vocab_size=256, seq_len=32))
    versions = {"base": BASE} | {name: BASE | edit for name, edit in EDITS.items()}
    scores = np.zeros((len(versions), len(seeds)))
    losses = np.zeros((len(versions), len(seeds), STEPS), np.float16)
    for k, seed in enumerate(seeds):
        for row, (name, constants) in enumerate(versions.items()):
            scores[row, k], losses[row, k] = train_and_score(with_constants(text, constants), seed, data)
            print(f"{name}, seed {seed}: {scores[row, k]:.4f}", flush=True)
    np.savez_compressed(out, names=list(versions), seeds=list(seeds), scores=scores, losses=losses)


def train_and_score(text: str, seed: int, data: Dataset) -> tuple[float, list[float]]:
    module = ModuleType("candidate")
    exec(compile(text, "train.py", "exec"), module.__dict__)
    shards = [np.fromfile(path, "uint16").reshape(-1, data.seq_len + 1) for path in data.train_shards()]
    trial = StepTrial(seed, BatchStream(shards, seed), data.vocab_size, data.seq_len)
    module.train(trial)
    model, rows, nats = module.load(trial.state, trial.config, "cpu"), evaluation_rows(data, "val", ROWS), 0.0
    for part in np.array_split(rows.astype(np.int64), 8):
        logits = model(part[:, :-1])
        chosen = np.take_along_axis(logits, part[:, 1:, None], -1)[..., 0]
        nats += float((np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1) - chosen).sum())
    return nats / math.log(2) / float(data.token_bytes()[rows[:, 1:]].sum()), trial.losses


# --- one screening


@dataclass(frozen=True)
class Screening:
    """A whole screening, as the rule sees it while it trains; `bound` is the score that earns a re-run."""

    name: str
    categories: tuple[str, ...]
    gaps: tuple[judge.Gap | None, ...]
    partner: float  # score of the incumbent's trial
    score: float
    bound: float
    sigma: float
    seconds: float = 1.0  # of training ...
    more_seconds: float = 0.0  # ... and of scoring
    is_exempt: bool = False  # it may log another loss

    @property
    def earns_rerun(self) -> bool:
        return self.score < self.bound

    def stop(self, examples: Sequence[Example], categories: tuple[str, ...] | None = None) -> float | None:
        """Return the part of the budget at which it is stopped; None if it runs to its end."""
        if self.is_exempt:
            return None
        known = self.categories if categories is None else categories
        forecast = CurveForecast(examples, self.sigma / self.partner, known)
        bound = (self.bound - self.partner) / self.partner
        for look, gap in enumerate(self.gaps):
            if gap is not None and forecast.is_known(look) and forecast.odds_below(look, gap, bound) < MAX_ODDS:
                return LOOKS[look]
        return None

    def saved(self, stop: float | None) -> float:
        """Return the seconds that a stop saves: scoring too, not the setup before the clock."""
        return 0.0 if stop is None else self.seconds * (1 - stop) + self.more_seconds


Stopped = list[tuple[Screening, float | None]]


def find_gaps(candidate: LossCurve, incumbent: LossCurve) -> tuple[judge.Gap | None, ...]:
    return tuple(curve_gap(candidate, incumbent, at) for at in LOOKS)


def describe(name: str, stopped: Stopped, whole_s: float | None = None) -> str:
    """Return a row of a table; the share is of `whole_s`, by default of the screenings themselves."""
    seconds = whole_s or sum(each.seconds + each.more_seconds for each, _ in stopped) or 1.0
    earned = [stop for each, stop in stopped if each.earns_rerun]
    wrong, ended = sum(stop is not None for stop in earned), [stop for _, stop in stopped if stop is not None]
    at = f"{100 * fmean(ended):.0f} %" if ended else "-"
    saved = 100 * sum(each.saved(stop) for each, stop in stopped) / seconds
    return f"| {name} | {len(stopped)} | {len(ended)} | {at} | {len(earned)} | {wrong} | {saved:.0f} % |"


HEAD = (
    "| {} | screenings | stopped | at | earn a re-run | of these stopped | time saved |\n|---|---|---|---|---|---|---|"
)


def interval(wrong: int, number: int) -> str:
    """Return the 95 % interval of a share (Clopper and Pearson, 1934), by bisection."""

    def tail(share: float, most: int) -> float:
        return sum(math.comb(number, k) * share**k * (1 - share) ** (number - k) for k in range(most + 1))

    def solve(target: float, most: int) -> float:
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if tail(middle, most) > target else (low, middle)
        return low

    low = 0.0 if wrong == 0 else solve(0.975, wrong - 1)
    return f"{wrong} of {number} (95 % between {100 * low:.1f} % and {100 * solve(0.025, wrong):.1f} %)"


def find_bound(incumbent: Sequence[Draw], noise: judge.Noise) -> float:
    """Return the highest score that earns a re-run, by bisection."""
    now = 1 + max(draw.at for draw in incumbent)
    low, high = (fmean(draw.score for draw in incumbent) + side * 10 * noise.sigma for side in (-1, 1))
    for _ in range(20):
        middle = (low + high) / 2
        is_lost = judge.decide("default", [Draw(middle, now)], incumbent, noise).action == "discard"
        low, high = (low, middle) if is_lost else (middle, high)
    return high


# --- planted gains


def planted(bank: Path) -> None:
    """Print what the rule does to gains of 1 to 4 sigma, with and without the exemption of schedules."""
    arrays = np.load(bank)
    names, scores, losses = [str(name) for name in arrays["names"]], arrays["scores"], arrays["losses"].astype(float)
    sigma, effects = stdev(scores[0]), (scores - scores[0]).mean(1)
    steps = np.arange(1.0, STEPS + 1)
    curves = [
        [LossCurve(steps / STEPS, steps, losses[v, s]) for s in range(scores.shape[1])] for v in range(len(names))
    ]
    print(f"sigma {sigma:.4f} on {scores.shape[1]} seeds of the base\n\n| edit | effect, sigma |\n|---|---|")
    for name, effect in zip(names[1:], effects[1:], strict=True):
        print(f"| {name} | {effect / sigma:+.1f} |")
    chosen = [v for v in range(1, len(names)) if GAINS_SIGMA[0] <= -effects[v] / sigma <= GAINS_SIGMA[1]]
    harmful = [v for v in range(1, len(names)) if effects[v] > 0]
    cases = [(v, s) for v in [*chosen, *harmful] for s in range(scores.shape[1])]
    gaps = {(v, s): find_gaps(curves[v][s], curves[0][s]) for v in range(1, len(names)) for s in range(scores.shape[1])}
    found: dict[bool, Stopped] = {True: [], False: []}
    for v, s in cases:
        screening = _planted_screening(names[v], scores, v, s, gaps[v, s])
        others = [(w, t) for w, t in gaps if w != v and t != s]
        examples = [
            Example(gaps[w, t], (scores[w, t] - scores[0, t]) / scores[0, t], (names[w].split()[0],))
            for w, t in random.Random(v * 100 + s).sample(others, min(EXAMPLES, len(others)))
        ]
        found[True].append((screening, screening.stop(examples)))
        found[False].append((screening, screening.stop([replace(each, categories=()) for each in examples], ())))
    for knows, results in found.items():
        print(f"\n{'schedules are forecast by schedules' if knows else 'all changes are forecast alike'}:\n")
        print(HEAD.format("category"))
        gains = [pair for pair in results if pair[0].name in {names[v] for v in chosen}]
        for category in dict.fromkeys(each.categories[0] for each, _ in gains):
            print(describe(f"{category}, gains", [pair for pair in gains if pair[0].categories[0] == category]))
        print(describe("all gains of 1 to 4 sigma", gains))
        print(describe("all that are worse than the base", [pair for pair in results if pair not in gains]))
        stops = sum(stop is not None for _, stop in gains)
        wrong = sum(stop is not None and each.earns_rerun for each, stop in gains)
        print(f"\nstopped gains: {interval(stops, len(gains))}; wrong stops: {interval(wrong, len(gains))}")


def _planted_screening(name: str, scores: Any, v: int, s: int, gaps: tuple[judge.Gap | None, ...]) -> Screening:
    """Return an edit on a seed of the base as a screening, beside that trial of the base and two others."""
    seeds = [s, *random.Random(s).sample([t for t in range(scores.shape[1]) if t != s], 2)]
    base = [Draw(float(scores[0, t]), k, t) for k, t in enumerate(seeds)]
    noise = judge.noise([base], (stdev(scores[0]), 8.0))
    bound = find_bound(base, noise)
    category = name.split()[0]
    partner, score = float(scores[0, s]), float(scores[v, s])
    return Screening(name, (category,), gaps, partner, score, bound, noise.sigma)


# --- recorded sessions


def sessions(paths: Sequence[Path]) -> None:
    """Print what the rule would have saved in recorded sessions, by session and by category."""
    print(HEAD.format("session"))
    everything, turned, earlier, whole = Stopped(), Stopped(), list[Example](), 0.0
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "ledger.db")
            for suffix in ("", "-wal"):
                if Path(f"{path}{suffix}").exists():
                    shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
            with Ledger.open(copy) as ledger:
                for session in ledger.sessions():
                    stopped, examples, seconds = _replay(ledger, session, earlier)
                    print(
                        describe(f"{path.parents[1].name if path.name == 'ledger.db' else path.stem}", stopped),
                        flush=True,
                    )
                    turned += _turn(ledger, session)
                    earlier, everything, whole = [*earlier, *examples], [*everything, *stopped], whole + seconds
    print(describe("all", everything))
    print(describe("all, of all trials of the search", everything, whole))
    print(f"\n{HEAD.format('category')}")
    for category in sorted({name for each, _ in everything for name in each.categories}):
        print(describe(category, [pair for pair in everything if category in pair[0].categories]))
    earned = [stop for each, stop in everything if each.earns_rerun]
    wrong = sum(stop is not None for stop in earned)
    print(f"\nwrong stops: {interval(wrong, len(earned))} that earned a re-run\n\nturned:\n\n{HEAD.format('category')}")
    for category in sorted({name for each, _ in turned for name in each.categories}):
        print(describe(category, [pair for pair in turned if category in pair[0].categories]))
    print(describe("all gains of 1 to 4 sigma", turned))
    wrong = sum(stop is not None and each.earns_rerun for each, stop in turned)
    print(f"\nwrong stops: {interval(wrong, len(turned))}")


def _replay(ledger: Ledger, session: Session, earlier: Sequence[Example]) -> tuple[Stopped, list[Example], float]:
    """Return the screenings of a session with their stops, its examples, and the seconds of its search."""
    context = SessionContext(session.id, session.tag, ledger, cast(Workspace, None), Path())
    evidence = Evidence(context, 3)
    early = EarlyStop(context, evidence, Budget.parse(session.settings["budget"]))
    rows = {row.n: row for row in ledger.experiments(session.id)}
    examples, stopped, behind = list[Example](), Stopped(), 0
    for row in rows.values():
        rival = baseline(row, rows)
        if (
            rival is not None
            and (screening := _recorded_screening(early, context.experiment(row.n), rival)) is not None
        ):
            stopped.append((screening, screening.stop([*earlier[-MAX_EARLIER:], *examples])))
            behind += stopped[-1][1] is not None
            if stopped[-1][1] is not None and behind % CHECK_EVERY != 1:  # it would have no score
                continue
        examples += early.read_examples(session, row, rival)
    search = [each for each in ledger.trials(session.id) if each.purpose not in (*AFTERWARDS, FILLER)]
    return stopped, examples, sum(float(trial.result.get("total_seconds") or 0.0) for trial in search)


def _turn(ledger: Ledger, session: Session) -> Stopped:
    """Return gains: of each screening that lost by 1 to 4 sigma, the incumbent's trials as candidates against it.

    The examples are the whole trials of all other experiments of the session.
    """
    context = SessionContext(session.id, session.tag, ledger, cast(Workspace, None), Path())
    early = EarlyStop(context, Evidence(context, 3), Budget.parse(session.settings["budget"]))
    rows, noise = {row.n: row for row in ledger.experiments(session.id)}, early.evidence.noise()
    examples = {row.n: early.read_examples(session, row, baseline(row, rows)) for row in rows.values()}
    turned = Stopped()
    for row in rows.values():
        rival = baseline(row, rows)
        trials = early.evidence.trials(row) if rival is not None else []
        if rival is None or not trials or trials[0].val_bpb is None:
            continue
        score, others = trials[0].val_bpb, early.evidence.trials(rival)
        fresh = [trial for trial in others if trial.purpose in FRESH and trial.val_bpb is not None]
        loss = (score - fmean(trial.val_bpb or 0.0 for trial in fresh)) / noise.sigma if fresh else 0.0
        if not GAINS_SIGMA[0] <= loss <= GAINS_SIGMA[1]:
            continue
        known = [example for n, found in examples.items() if n != row.n for example in found]
        categories = categories_of(context.experiment(row.n), context.experiment(rival.n))
        bound, curve = find_bound([Draw(score, 0)], noise), _curve(trials[0], early.budget)
        for trial in fresh:
            gaps = find_gaps(_curve(trial, early.budget), curve)
            screening = Screening(str(row.n), categories, gaps, score, trial.val_bpb or 0.0, bound, noise.sigma)
            turned.append((screening, screening.stop(known)))
    return turned


def _recorded_screening(early: EarlyStop, row: Experiment, rival: Experiment) -> Screening | None:
    """Return the screening of an experiment; None if it has no score."""
    trials = [trial for trial in early.evidence.trials(row) if trial.purpose == "screen" and trial.val_bpb is not None]
    theirs = [trial for trial in early.evidence.trials(rival) if trial.purpose in FRESH and trial.val_bpb is not None]
    if not trials or not theirs:
        return None
    trial, rival = trials[0], early.context.experiment(rival.n)
    partner = partner_of(trial, theirs)
    seconds = float(trial.train_seconds or 0.0)
    return Screening(
        name=str(row.n),
        categories=categories_of(row, rival),
        is_exempt=may_log_another_loss(rival.text or "", row.text or ""),
        gaps=find_gaps(_curve(trial, early.budget), _curve(partner, early.budget)),
        partner=partner.val_bpb or 0.0,
        score=trial.val_bpb or 0.0,
        bound=early.find_bound(row, rival, trial.seed),
        sigma=early.evidence.noise().sigma,
        seconds=seconds,
        more_seconds=float(trial.score_seconds or 0.0),
    )


def _curve(trial: Trial, budget: Budget) -> LossCurve:
    return read_curve(trial.result.get("curve") or [], budget)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["collect", "planted", "sessions"])
    parser.add_argument("paths", type=Path, nargs="*")
    parser.add_argument("--out", type=Path, default=Path("bank.npz"))
    parser.add_argument("--seeds", default="0:9")
    options = parser.parse_args()
    if options.what == "collect":
        collect(options.out, range(*map(int, options.seeds.split(":"))))
    elif options.what == "planted":
        planted(options.paths[0])
    else:
        sessions(options.paths)


if __name__ == "__main__":
    main()
