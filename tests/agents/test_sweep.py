import math
import subprocess
import sys
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
import pytest

from autoresearch.agents.base import BadProposal, Exhausted
from autoresearch.agents.registry import create
from autoresearch.agents.sweep.sweep_agent import Sweep, coordinate, knobs, observations
from autoresearch.ledger.categories import category_of_constant
from autoresearch.metric import VAL_BPB, Metric
from autoresearch.source.constants import constants, with_constants

SOURCE = """import numpy as np
MATRIX_LR = 0.04  # per step
BETA2 = 0.95
DEPTH = 4
MODEL_DIM = 192
BATCH = 2**13
WARMDOWN = 5e-1
FLOOR = -1.5
DROPOUT = 0.0
SEED = 3
COMPILE = 1
"""


@dataclass
class Past:
    n: int
    verdict: str
    delta: float | None
    params: dict
    agent: str = "sweep"
    forecast: float | None = None
    mode: str | None = None
    parent: int | None = 0


@dataclass
class Brief:
    n: int = 1
    seed: int = 7
    source: str = SOURCE
    source_n: int = 0
    sigma: float = 0.002
    metric: Metric = VAL_BPB
    history: list = field(default_factory=list)
    feedback: list = field(default_factory=list)


def history(count=30):
    """Return plausible experiments, every sixth one a failure, every seventh one from another agent."""
    found = [Past(0, "keep", None, {}, "")]
    for n in range(1, count):
        proposal = Sweep().propose(Brief(n=n, history=found[:1]))
        verdict, delta = ("crash", None) if n % 6 == 0 else ("discard", 0.001 * (n % 5))
        agent, params = ("claude", {"note": 1}) if n % 7 == 0 else ("sweep", proposal.params)
        found.append(Past(n, verdict, delta, params, agent))
    return found


def test_proposal_moves_one_to_three_constants_within_a_factor_of_two():
    for n in range(1, 60):
        proposal = Sweep().propose(Brief(n=n))
        assert 1 <= len(proposal.params) <= 3
        values = {constant.name: constant.value for constant in constants(proposal.text)}
        for name, change in proposal.params.items():
            assert name not in ("DROPOUT", "SEED", "COMPILE")
            assert values[name] == change["to"] != change["from"]
            assert type(change["to"]) is type(change["from"])
            assert 0 < abs(change["log2"]) <= 1.001
        expected = with_constants(SOURCE, {name: change["to"] for name, change in proposal.params.items()})
        assert proposal.text == expected


def test_heads_fit_into_the_model():
    source = "HEAD_DIM = 64\nMODEL_DIM = 64\n"
    for n in range(1, 40):
        values = {each.name: each.value for each in constants(Sweep().propose(Brief(n=n, source=source)).text)}
        assert values["HEAD_DIM"] <= values["MODEL_DIM"]
    with pytest.raises(BadProposal, match=r"HEAD_DIM .* is larger than MODEL_DIM .*: there would be no head") as caught:
        Sweep().propose(Brief(source="HEAD_DIM = 640\nMODEL_DIM = 64\n"))
    assert caught.value.params, "the history records the point"


def test_a_momentum_stays_between_0_and_1():
    for n in range(1, 60):
        proposal = Sweep().propose(Brief(n=n, source="ADAM_BETA1 = 0.6\nMOMENTUM_START = 0.3\n"))
        assert all(0 < change["to"] < 1 for change in proposal.params.values())


def test_hypothesis_is_readable():
    for n in range(1, 99):
        proposal = Sweep().propose(Brief(n=n, source="MATRIX_LR = 0.04\n"))
        change = proposal.params["MATRIX_LR"]
        assert proposal.hypothesis == f"MATRIX_LR 0.04 -> {change['to']:g} (x{change['to'] / 0.04:.2f})"
        assert change["log2"] == pytest.approx(math.log2(change["to"] / 0.04), abs=6e-4)
        assert proposal.category == "optimiser"


def test_kinds():
    kinds = {knob.constant.name: knob.kind for knob in knobs(SOURCE)}
    assert kinds == {
        "MATRIX_LR": "float",
        "BETA2": "complement",
        "DEPTH": "int",
        "MODEL_DIM": "int",
        "BATCH": "power",
        "WARMDOWN": "float",
        "FLOOR": "float",
    }


def all_choices(line):
    (knob,) = knobs(line)
    return {value for seed in range(50) for value in knob.choices(np.random.default_rng(seed)).values()}


def test_what_constants_may_become():
    assert all_choices("DEPTH = 4") == {2, 3, 5, 6, 7, 8}
    assert all_choices("LAYERS = 2") == {1, 3, 4}
    assert all_choices("MODEL_DIM = 192") == {128, 256, 320, 384}
    assert all_choices("DIM = 40") == {24, 32, 48, 56, 64, 72, 80}
    assert all_choices("BATCH = 2**13") == {4096, 16384}
    assert all_choices("OFFSET = -3") == {-2, -4, -5, -6}
    assert all(0.9 <= value <= 0.975 and value != 0.95 for value in all_choices("BETA = 0.95"))
    assert all(-3 <= value <= -0.75 for value in all_choices("FLOOR = -1.5"))
    assert all_choices("BETA = 0.9999999999999999") and all_choices("TINY = 5e-324") <= {1e-323}
    assert all(math.isfinite(value) for value in all_choices("BIG = 1.5e308"))
    assert all_choices("SPLIT = (0.5 *\n 2.0)")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MATRIX_LR", "optimiser"),
        ("ADAM_BETA1", "optimiser"),
        ("WEIGHT_DECAY", "optimiser"),
        ("FINAL_LR_FRACTION", "schedule"),
        ("WARMDOWN", "schedule"),
        ("DECAY_STEPS", "schedule"),
        ("BATCH_SIZE", "schedule"),
        ("HEAD_DIM", "architecture"),
        ("WINDOW", "architecture"),
        ("DEPTH", "architecture"),
        ("LOGIT_SOFTCAP", "numerics"),
        ("DROPOUT", "regularisation"),
        ("MAGIC", "other"),
    ],
)
def test_category(name, expected):
    assert category_of_constant(name) == expected


@pytest.mark.slow
def test_the_same_brief_gets_the_same_proposal_also_in_another_process():
    brief = Brief(n=40, history=history())
    proposal = Sweep().propose(brief)
    assert proposal == Sweep().propose(brief)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_sweep import *\n"
        "print(Sweep().propose(Brief(n=40, history=history())).hypothesis)"
    )
    folder = __file__.rpartition("/")[0]
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == proposal.hypothesis


def test_a_refused_proposal_seed_or_number_leads_to_another_draw():
    past = history()
    texts = {
        Sweep().propose(Brief(n=n, seed=seed, history=past, feedback=["duplicate"] * refused)).text
        for n, seed, refused in [(40, 7, 0), (41, 7, 0), (40, 8, 0), (40, 7, 1), (40, 7, 2)]
    }
    assert len(texts) == 5


def test_it_learns_direction_and_leaves_a_cliff_alone():
    def change(start, end, kind="float"):
        return {"kind": kind, "from": start, "to": end, "log2": 0}

    past = [Past(0, "keep", None, {}, "")]
    for n in range(1, 13):
        up = n % 2 == 0
        past.append(Past(n, "discard", -0.02 if up else 0.02, {"MATRIX_LR": change(0.04, 0.06 if up else 0.03)}))
        past.append(Past(n, "crash", None, {"MODEL_DIM": change(192, 256, "int")}))
    proposals = [Sweep().propose(Brief(n=n, history=past)) for n in range(40, 60)]
    rises = [p.params["MATRIX_LR"]["to"] for p in proposals if "MATRIX_LR" in p.params]
    assert len(rises) >= 15 and min(rises) > 0.04
    assert fmean(p.predicted for p in proposals) < -0.005
    assert sum(p.params.get("MODEL_DIM", {"to": 0})["to"] > 192 for p in proposals) <= 2


def test_only_its_own_measured_experiments_count():
    past = history(10)
    strangers = [
        Past(11, "discard", -1.0, {"MATRIX_LR": "x2"}, agent="claude"),
        Past(12, "duplicate", None, past[1].params),
        Past(13, "discard", None, past[1].params),
    ]
    assert Sweep().propose(Brief(n=40, history=past)) == Sweep().propose(Brief(n=40, history=past + strangers))


def test_a_constant_may_change_its_kind():
    old = {"WARMDOWN": {"kind": "int", "from": 2, "to": 3, "log2": 0.585}}
    assert Sweep().propose(Brief(history=[Past(1, "discard", 0.1, old), Past(2, "keep", -0.1, old)])).params


def test_no_constants():
    with pytest.raises(BadProposal, match="UPPER_CASE"):
        Sweep().propose(Brief(source="SEED = 3\nZERO = 0\nUSE_X = True\nFAST = 1\nx = 0.5\n"))


def test_it_ends_when_every_move_has_been_tried():
    done = [Past(n, "duplicate", None, {"BATCH": {}}) for n in range(1, 6)]
    with pytest.raises(Exhausted, match="every move"):
        Sweep().propose(Brief(source="BATCH = 2**13\n", history=done))
    assert Sweep().propose(Brief(source="BATCH = 2**14\n", history=done, source_n=6)).params


def test_importing_it_does_not_import_optuna():
    code = "from autoresearch.agents.registry import create; create('sweep'); sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", f"import sys; {code}"], check=False).returncode == 0
    agent = create("sweep")
    assert (agent.name, agent.model, agent.repairs) == ("sweep", None, 20)


class Toy:
    """15 constants: 5 start 2x off, 3 have a cliff on one side, 7 are well tuned; 5 * `worth` to gain."""

    def __init__(self, seed, worth=0.01, noise=0.004):
        rng = np.random.default_rng([seed, 1])
        order = rng.permutation(15)
        self.noise, self.rng = noise, np.random.default_rng([seed, 2])
        self.best, self.curve = np.zeros(15), np.full(15, worth / 4)
        self.best[order[:5]], self.curve[order[:5]] = rng.choice([-1, 1], 5), worth
        self.cliffs = {c: rng.choice([-1, 1]) for c in order[5:8]}
        values = [0.04, 0.3, 2.5, 0.01, 7e-4] * 3
        self.text = "".join(f"C{i} = {value}\n" for i, value in enumerate(values))
        self.start = self.where(self.text)

    def where(self, text):
        return np.array([math.log2(constant.value) for constant in constants(text)])

    def true(self, text):
        x = self.where(text) - self.start
        if any(x[c] * side > 0.2 for c, side in self.cliffs.items()):
            return None
        return float(np.sum(self.curve * (x - self.best) ** 2))

    def measure(self, text):
        true = self.true(text)
        return None if true is None else true + self.noise * self.rng.standard_normal()


def search(toy, propose, evaluations=60):
    """Treat proposals as a session does (screen, one fresh re-run, keep), and return the true gain."""
    text, scores, past, used = toy.text, [toy.measure(toy.text) for _ in range(3)], [], 0
    while used < evaluations:
        n = len(past) + 1
        new, params = propose(Brief(n=n, source=text, sigma=toy.noise, history=past))
        score, used, verdict, mean = toy.measure(new), used + 1, "discard", fmean(scores)
        if score is not None and score < mean:
            score, used = toy.measure(new), used + 1
            if score < mean - toy.noise * math.sqrt(1 + 1 / len(scores)):
                verdict, text, scores = "keep", new, [score]
        past.append(
            Past(n, "crash", None, params) if score is None else Past(n, verdict, round(score - mean, 4), params)
        )
    return toy.true(toy.text) - toy.true(text)


def sweep_move(brief):
    proposal = Sweep().propose(brief)
    return proposal.text, proposal.params


def at_random(rng):
    def propose(brief):
        found = constants(brief.source)
        picked = [found[i] for i in rng.choice(len(found), rng.integers(1, 4), replace=False)]
        return with_constants(brief.source, {c.name: c.value * 2 ** rng.uniform(-1, 1) for c in picked}), {}

    return propose


@pytest.mark.slow
def test_it_beats_random_moves_on_a_noisy_toy():
    swept_gain = fmean(search(Toy(seed), sweep_move) for seed in range(10))
    random_gain = fmean(search(Toy(seed), at_random(np.random.default_rng(seed))) for seed in range(10))
    print(f"of 0.05: sweep {swept_gain:.4f}, random {random_gain:.4f}")
    assert swept_gain > 0.032
    assert swept_gain > 1.3 * random_gain


def test_coordinate():
    assert (coordinate("complement", 0.75), coordinate("int", -8), coordinate("float", 0.25)) == (-2, 3, -2)


def test_what_was_stopped_early_counts_by_its_forecast() -> None:
    params = {"A": {"kind": "float", "from": 1.0, "to": 2.0}}
    history = [Past(1, "discard", None, params), Past(2, "discard", None, params, forecast=0.03)]
    assert [(each.delta, each.parent) for each in observations(history, "sweep")] == [(0.03, 0)]


def move(name: str, start: float, end: float) -> dict:
    return {name: {"kind": "float", "from": start, "to": end}}


def test_a_change_of_a_version_from_the_archive_counts_with_the_moves_of_that_version() -> None:
    """Its difference is to the incumbent, as are the moves of both together."""
    first = Past(1, "discard", 0.01, move("A", 1.0, 2.0) | move("B", 1.0, 2.0))
    second = Past(2, "discard", -0.02, move("B", 2.0, 8.0) | move("C", 1.0, 4.0), mode="archive", parent=1)
    third = Past(3, "discard", -0.03, move("A", 2.0, 1.0), mode="archive", parent=2)
    found = [each.moves for each in observations([first, second, third], "sweep")]
    assert found[1] == {"A:float": (0.0, 1.0), "B:float": (0.0, 3.0), "C:float": (0.0, 2.0)}
    assert found[2] == {"A:float": (0.0, 0.0), "B:float": (0.0, 3.0), "C:float": (0.0, 2.0)}


@pytest.mark.parametrize(
    ("mode", "parent"), [("archive branch", 1), ("archive", 2), ("archive", 9)], ids=["branch", "agent", "unknown"]
)
def test_a_change_whose_moves_from_the_incumbent_are_not_known_tells_nothing(mode: str, parent: int) -> None:
    known = Past(1, "discard", 0.01, move("A", 1.0, 2.0))
    other = Past(2, "discard", 0.01, {"note": 1}, agent="claude")
    history = [known, other, Past(3, "discard", -0.02, move("C", 1.0, 4.0), mode=mode, parent=parent)]
    assert [each.delta for each in observations(history, "sweep")] == [0.01]
