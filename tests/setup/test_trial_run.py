"""Planning by probes: on cards that exist as arithmetic, and on this CPU for real."""

import json
from pathlib import Path

import pytest
from support.programs import autoresearch
from support.repositories import make_repository

from autoresearch.errors import UserError
from autoresearch.measure.result import Result
from autoresearch.setup import plan, trial_run
from autoresearch.setup.plan import Card, Shape
from autoresearch.source import constants

TRAIN = (Path(__file__).parents[2] / "train.py").read_text()
GIB = 2**30


def values(text: str) -> dict[str, int | float]:
    return {constant.name: constant.value for constant in constants.constants(text)}


class Simulated:
    """A card of `gib` that does so many FLOP a second and needs `greed` times the memory that the formula says."""

    def __init__(self, gib: int, flops: float, greed: float = 1.0) -> None:
        self.card, self.flops, self.greed = Card(gib * GIB), flops, greed
        self.probed: list[Shape] = []

    def probe(self, text: str) -> Result:
        names = ("DEPTH", "MODEL_DIM", "BATCH_TOKENS", "MICRO_TOKENS", "LOSS_TOKENS")
        shape = Shape(*(int(values(text)[name]) for name in names))
        self.probed.append(shape)
        if self.greed * shape.training_bytes(self.card.vocab_size) > self.card.memory:
            return Result(outcome="oom", reason="OutOfMemoryError")
        step = 6 * plan.OVERHEAD * shape.matrix_parameters(self.card.vocab_size) * shape.batch / self.flops
        return Result(outcome="ok", curve=[{"step": 10, "seconds": 10 * step}])

    def settle(self, seconds: float = 300) -> str:
        return trial_run.settle(TRAIN, self.card, seconds, self.probe, "a card")[0]


def test_an_h100_keeps_what_the_file_has() -> None:
    card = Simulated(80, 4.4e14)
    settled = card.settle()
    assert card.probed == [plan.SHIPPED]
    assert values(settled) == values(TRAIN)
    assert "# Plan: a card trains 1,0" in settled


def test_kernels_that_probes_found_fastest_are_written_by_name() -> None:
    """Each kind of window has its own; names that a user has written stay."""
    times = {"short_varlen_ms": 1.4, "short_fa4_ms": 2.0, "long_varlen_ms": 5.3, "long_cudnn_ms": 3.2, "step": 10.0}
    probed = []

    def probe(text: str) -> Result:
        probed.append(text)
        return Result(outcome="ok", curve=[{"step": 10, "seconds": 1.2}], reported=times)

    settled, reason, _ = trial_run.settle(TRAIN, Card(80 * GIB), 300, probe, "a card")
    assert 'ATTENTION = "fastest"' in probed[0]
    assert 'ATTENTION = "varlen cudnn"  # ' in settled and reason.endswith(
        "attention for short and long windows: varlen cudnn"
    )
    named = TRAIN.replace('ATTENTION = "auto"', 'ATTENTION = "sdpa"')
    settled, reason, _ = trial_run.settle(named, Card(80 * GIB), 300, probe, "a card")
    assert 'ATTENTION = "sdpa"' in settled and "windows" not in reason


def test_where_no_kernel_was_timed_the_first_that_works_is_taken_again() -> None:
    assert 'ATTENTION = "auto"' in Simulated(80, 4.4e14).settle()


@pytest.mark.parametrize(
    ("seconds", "step", "setup", "taken"),
    [
        (300, 1.17, 60, "model"),  # faster steps, 30 s more of setup
        (300, 1.17, 61, "blocks"),
        (300, 1.199, 40, "blocks"),  # no gain beyond the noise of a probe
        (60, 1.0, 31, "blocks"),  # not probed: too short a budget
        (0, 1.0, 31, "blocks"),  # a budget in steps
    ],
)
def test_one_graph_is_taken_if_its_steps_are_worth_its_setup(
    seconds: float, step: float, setup: float, taken: str
) -> None:
    def result(step: float, setup: float) -> Result:
        return Result(outcome="ok", curve=[{"step": 10, "seconds": 10 * step}], setup_seconds=setup)

    probed = []

    def probe(text: str) -> Result:
        probed.append(text)
        return result(step, setup)

    text, found = trial_run.choose_graph(TRAIN, seconds, probe, result(1.2, 30))
    assert f'GRAPH = "{taken}"  # ' in text and (found.setup_seconds == setup) == (taken == "model")
    assert len(probed) == (seconds >= 120)


def test_a_graph_that_fails_or_that_the_user_has_chosen_changes_nothing() -> None:
    blocks = Result(outcome="ok", curve=[{"step": 10, "seconds": 1.2}])
    assert trial_run.choose_graph(TRAIN, 300, lambda text: Result(outcome="oom"), blocks) == (TRAIN, blocks)
    chosen = TRAIN.replace('GRAPH = "blocks"', 'GRAPH = "model"')
    assert trial_run.choose_graph(chosen, 300, lambda text: blocks, blocks) == (chosen, blocks)


@pytest.mark.slow
def test_a_slow_card_is_probed_until_the_plan_is_the_one_that_was_probed() -> None:
    card = Simulated(24, 2.7e13)
    found = values(card.settle())
    assert (found["DEPTH"], found["MODEL_DIM"], found["BATCH_TOKENS"]) == (5, 512, 2**16)
    assert found["EMBED_LR"] == pytest.approx(0.74 * (768 / 512) ** 0.5, abs=1e-3)
    assert len(card.probed) == 2


@pytest.mark.slow
def test_out_of_memory_halves_a_pass_and_the_next_plan_remembers() -> None:
    card = Simulated(24, 2.7e13, greed=3.5)
    settled = card.settle()
    assert card.probed[1] == plan.halve_pass(card.probed[0])
    final = card.probed[-1]
    assert values(settled).items() >= final.constants.items() and final.micro < final.batch
    assert card.greed * final.training_bytes(8192) <= card.card.memory


def test_a_card_without_any_room_is_one_line() -> None:
    with pytest.raises(UserError, match="OutOfMemoryError"):
        Simulated(8, 1e13, greed=1e6).settle()


def test_a_base_that_fails_is_told_with_its_reason() -> None:
    with pytest.raises(UserError, match="the base fails in its first steps: crash: NameError"):
        trial_run.settle(TRAIN, Card(GIB), 300, lambda text: Result(reason="NameError"), "a card")


@pytest.mark.slow
def test_a_plan_on_a_cpu_tells_what_a_trial_will_be(tmp_path: Path, bigram: str, settings_of: dict[str, str]) -> None:
    reports = bigram.replace("trial.start()", "trial.log(tokens_per_step=BATCH * trial.seq_len)\n    trial.start()")
    folder = make_repository(tmp_path / "repository", reports)
    done = autoresearch(folder, "plan", "--budget", "60s", "--json", env=settings_of)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["constants"] == {} and found["reason"] == "the file's own constants"
    assert found["steps"] == pytest.approx(60 / found["step_seconds"])
    assert found["tokens"] == pytest.approx(60 * found["tokens_per_second"]) == pytest.approx(found["steps"] * 8 * 32)
    assert "probe: 10 steps of " in done.stderr and "times in one budget" in done.stderr and found["epochs"] > 4
    assert autoresearch(folder, "plan", "--text", env=settings_of).stdout == reports


@pytest.mark.slow
@pytest.mark.torch
def test_the_repositorys_own_base_gets_the_cpu_profile(tmp_path: Path, settings_of: dict[str, str]) -> None:
    folder = make_repository(tmp_path / "repository", TRAIN)
    done = autoresearch(folder, "plan", "--budget", "15cpu", "--json", env=settings_of)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["constants"] == {name: value for name, value in plan.CPU.items() if value != values(TRAIN)[name]}
    assert found["steps"] > 10 and found["tokens_per_second"] > 100


def test_a_script_that_keeps_its_own_clock_has_no_plan(tmp_path: Path, settings_of: dict[str, str]) -> None:
    text = "from prepare import evaluate_bpb\nevaluate_bpb(None, None, 1)\n"
    done = autoresearch(make_repository(tmp_path / "repository", text), "plan", env=settings_of)
    assert done.returncode == 1 and "train.py is a script that keeps its own clock: there is no plan" in done.stderr
