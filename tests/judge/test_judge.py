"""Verdicts: never on the selecting draw, careful with few measurements, certain with many."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch import judge
from autoresearch.judge import Beliefs, Draw, Noise
from autoresearch.judge.noise import STEADY, NoiseModel, WeightedModel

scores = st.floats(0.9, 1.1)


def draws_of(values: Sequence[float], first: int = 0, every: int = 1) -> list[Draw]:
    """Number scores as consecutive trials."""
    return [Draw(score, first + k * every) for k, score in enumerate(values)]


def steady(sigma: float, dof: float = 30) -> Noise:
    """Return the noise of a machine that does not drift."""
    return Noise(sigma, dof, (WeightedModel(STEADY, 1.0, sigma),))


KNOWN = steady(0.001)
INCUMBENT = draws_of([1.0, 1.001, 0.999])


def decide(
    values: Sequence[float],
    noise: Noise = KNOWN,
    rule: str = "default",
    simpler: float | None = None,
    same: bool = False,
) -> judge.Decision:
    return judge.decide(rule, draws_of(values, 3), INCUMBENT, noise, simpler=simpler, same=same)


def test_not_better_is_discarded_after_one_trial() -> None:
    near, far = decide([1.0005]), decide([1.01])
    assert near.action == "discard" and "not better" in near.reason
    assert far.action == "discard" and far.p_gain < near.p_gain < 0.2
    hardly = decide([0.9998])
    assert hardly.action == "discard" and "hardly better" in hardly.reason


def test_a_lucky_draw_is_measured_again_and_its_luck_is_not_reported() -> None:
    assert decide([0.997]).action == "run_again"
    fluke = decide([0.997, 1.0004, 1.0014])
    assert fluke.action == "discard"
    assert fluke.delta == pytest.approx(0.0009)
    real = decide([0.997, 0.9975, 0.9965])
    assert real.action == "keep" and real.p_gain > 0.9 and real.delta == pytest.approx(-0.003)


def test_one_fresh_draw_keeps_a_large_gain_that_it_confirms() -> None:
    assert decide([0.5]).action == "run_again"
    kept = decide([0.5, 0.5])
    assert kept.action == "keep" and kept.reason.startswith("1 fresh re-run confirms it")
    assert decide([0.995, 1.0005]).action != "keep", "the screening alone was good"
    assert decide([0.998, 0.998]).action == "run_again", "two sigma are not enough for one"


def test_draws_go_where_they_can_change_the_verdict() -> None:
    """More draws cost more than they are worth where the verdict is clear, in either direction."""
    asked = [decide([1 - gain / 1000] * 2).action for gain in (0.5, 2.0, 6.0)]
    assert asked == ["discard", "run_again", "keep"]


def test_what_stays_undecided_is_discarded_with_its_odds() -> None:
    found = [decide([0.998, *[0.9984] * k]) for k in range(7)]
    assert found[0].action == "run_again" and found[-1].action == "discard"
    assert "too close to call" in found[-1].reason and 0.5 < found[-1].p_gain < 0.7


def test_on_a_machine_that_wanders_the_incumbent_is_measured_beside_the_candidate() -> None:
    long_ago = draws_of([1.0, 1.001, 0.999])
    wandering = Noise(0.002, 30, (WeightedModel(NoiseModel(level=2.0, memory=10.0), 1.0, 0.001),))
    candidate = draws_of([0.996, 0.996], 60)
    assert judge.decide("default", candidate, long_ago, wandering).action == "compare"
    faster = [
        *long_ago,
        *draws_of([0.996, 0.9965], 62),
    ]  # the incumbent is as good there: the machine is another one now
    found = judge.decide("default", [*candidate, Draw(0.9962, 64)], faster, wandering)
    assert found.action == "discard" and abs(found.delta) < 0.002
    assert judge.decide("default", candidate, long_ago, KNOWN).action == "keep"


def p_drift(noise: Noise) -> float:
    """Return the probability that the machine's level drifts."""
    return sum(each.weight for each in noise.models if each.model.level)


def test_drift_is_recognised() -> None:
    rng = random.Random(0)
    quiet = [draws_of([rng.gauss(1, 0.01) for _ in range(4)], first, 30) for first in range(4)]
    level = [rng.gauss(0, 0.05) for _ in range(12)]
    moving = [
        [Draw(1 + level[at // 10] + rng.gauss(0, 0.01), at) for at in range(first, 120, 30)] for first in range(4)
    ]
    assert p_drift(judge.noise(quiet)) < 0.5 < 0.9 < p_drift(judge.noise(moving))


def test_pairs_with_one_seed_count_for_more_where_the_seed_decides() -> None:
    rng = random.Random(0)
    luck = {seed: rng.gauss(0, 0.01) for seed in range(20)}
    versions = [
        [Draw(1 + luck[seed] + rng.gauss(0, 0.002), 20 * k + seed, seed) for seed in range(20)] for k in range(3)
    ]
    noise = judge.noise(versions)
    shared = sum(each.weight for each in noise.models if each.model.shared)
    assert shared > 0.9
    likeliest = max(noise.models, key=lambda each: each.weight)
    same = [Draw(0.99, 100 + k, k) for k in range(3)], [Draw(1.0, 110 + k, k) for k in range(3)]
    other = same[0], [Draw(1.0, 110 + k, 50 + k) for k in range(3)]
    assert judge.difference(*same, likeliest)[1] < 0.7 * judge.difference(*other, likeliest)[1]


def test_noise_is_pooled_over_versions_and_shrunk_toward_earlier_sessions() -> None:
    rng = random.Random(0)
    groups = [draws_of([rng.gauss(mean, 0.01) for _ in range(3)], 3 * mean) for mean in range(20)]
    found = judge.noise(groups)
    assert found.dof == 40 and found.sigma == pytest.approx(0.01, rel=0.3)
    few = [draws_of([1.0, 1.0001])]
    assert judge.noise(few, (0.01, 100)).sigma > 10 * judge.noise(few).sigma
    assert judge.noise(few, (0.01, 100)).dof == 1 + 8  # earlier sessions count for so much at most
    assert judge.noise([]).dof == 0


def test_a_deterministic_version_says_nothing_on_the_noise_of_others() -> None:
    equal, noisy = draws_of([1.1] * 9), draws_of([1.0, 1.01, 1.02], 9)
    found = judge.noise([equal, noisy])
    assert (found.sigma, found.dof) == (judge.noise([noisy]).sigma, 2)
    assert judge.noise([equal]).sigma < 1e-5 and judge.noise([equal]).dof == 8, "all of them may be deterministic"


def test_noise_that_is_hardly_known_makes_careful() -> None:
    values = [0.9975, 0.998, 0.9978]
    assert decide(values, steady(0.001, 60)).p_gain > decide(values, steady(0.001, 2)).p_gain


def test_a_session_in_which_nothing_works_grows_sceptical() -> None:
    nothing, much = judge.learn([(0.1, 0.05)] * 60), judge.learn([(-3.0, 0.95)] * 20)
    assert nothing.share < Beliefs().share < much.share
    assert judge.learn([(-8.0, 1.0)] * 20).scale > judge.learn([(-0.5, 1.0)] * 20).scale
    p = [judge.decide("default", draws_of([0.9985], 3), INCUMBENT, KNOWN, b).p_gain for b in (nothing, Beliefs(), much)]
    assert p == sorted(p)


def test_a_huge_gain_is_believed_and_a_huge_loss_is_not() -> None:
    assert decide([0.1]).p_gain > 0.99 > 0.01 > decide([1.9]).p_gain


def test_greedy_keeps_any_lower_number() -> None:
    assert decide([0.9989], rule="greedy").action == "keep"
    discarded = decide([0.9995], rule="greedy")
    assert discarded.action == "discard"
    assert discarded.reason.startswith("not lower than the incumbent's lowest, 0.9990 (greedy rule): ")


def test_less_code_for_the_same_score_is_kept_as_long_as_the_allowance_lasts() -> None:
    assert decide([1.0001], simpler=1.0).action == "run_again"
    kept = decide([1.0001, 0.9999, 1.0002], simpler=1.0)
    assert kept.action == "keep" and "less code" in kept.reason
    assert decide([1.0001, 0.9999, 1.0002]).action == "discard"
    assert decide([1.0001, 1.0006, 1.0008], simpler=1.0).action == "discard"  # 0.7 sigma: it may lose half of one
    assert decide([1.0001, 1.0002, 1.0003], simpler=0.1).action == "discard"  # the allowance is used up


def test_the_same_function_is_kept_at_the_same_score_after_one_confirming_trial() -> None:
    assert decide([1.0001], simpler=1.0, same=True).action == "run_again"
    kept = decide([1.0001, 1.0002], simpler=1.0, same=True)
    assert kept.action == "keep" and kept.reason.startswith("the same function at the same score")
    assert decide([1.0001, 1.0002], simpler=1.0).action == "run_again", "less code needs two"
    assert decide([1.005], simpler=1.0, same=True).action == "discard", "it is slower"
    assert decide([1.0001, 1.004], simpler=1.0, same=True).action == "discard"
    assert decide([1.0001, 1.0002], simpler=0.1, same=True).action == "discard", "the allowance is used up"
    assert "confirms it" in decide([0.99, 0.9901], simpler=1.0, same=True).reason, "a gain is judged as a gain"


def test_probabilities_are_students() -> None:
    for dof, t in ((2, 6.965), (5, 3.365), (30, 2.457)):  # 99 % points of the table
        assert judge.p_below_zero(-t, 1.0, dof) == pytest.approx(0.99, abs=0.003)
    assert judge.p_below_zero(1.0, 1.0, 10) == pytest.approx(1 - judge.p_below_zero(-1.0, 1.0, 10))


@pytest.mark.slow
@given(
    st.lists(scores, min_size=1, max_size=9),
    st.lists(scores, min_size=1, max_size=5),
    st.floats(1e-5, 0.1),
    st.integers(1, 99),
    st.sampled_from(["default", "strict"]),
    st.none() | st.floats(0, 1),
    st.booleans(),
)
def test_never_kept_on_fewer_draws_than_the_rule_says(
    draws: list[float], incumbent: list[float], sigma: float, dof: int, name: str, simpler: float | None, same: bool
) -> None:
    rule = judge.RULES[name]
    assert rule is not None
    decision = judge.decide(name, draws_of(draws, 5), draws_of(incumbent), steady(sigma, dof), None, simpler, same)
    fresh = len(draws) - 1
    if decision.action == "keep":
        equal, shorter = (decision.reason.startswith(words) for words in ("the same function", "less code"))
        assert fresh >= 1 + shorter and not (equal and (not same or simpler is None))
        most = simpler if equal else min(0.5, simpler or 0.0)
        assert decision.delta <= 0 or (simpler is not None and decision.delta <= (most or 0.0) * sigma)
    if decision.action in ("run_again", "compare"):
        assert fresh < rule.max_reruns


@given(st.lists(st.lists(st.floats(-4, 4), min_size=1, max_size=6), max_size=20), st.floats(1e-5, 0.1))
def test_simplifications_never_lose_more_than_the_allowance_together(
    candidates: list[list[float]], sigma: float
) -> None:
    """Sum losses as a session does (Evidence._decide); scores: sigma above the incumbent."""
    incumbent, left = draws_of([1.0] * 3), judge.ALLOWANCE_SIGMA
    for scores in candidates:
        draws = draws_of([1.0 + score * sigma for score in scores], 3)
        same = len(scores) % 2 == 0
        decision = judge.decide("default", draws, incumbent, steady(sigma), simpler=left, same=same)
        if decision.action == "keep":
            left -= max(decision.delta, 0.0) / sigma
    assert left >= -1e-9


@given(st.lists(scores, min_size=2, max_size=4), st.permutations([1.0, 1.001, 0.999]), st.randoms())
def test_the_order_of_independent_draws_does_not_matter(
    fresh: list[float], incumbent: list[float], rng: random.Random
) -> None:
    shuffled = rng.sample(fresh, len(fresh))
    a, b = (
        judge.decide("default", draws_of([0.997, *draws], 3), draws_of(incumbent), KNOWN) for draws in (fresh, shuffled)
    )
    assert a.action == b.action and a.delta == pytest.approx(b.delta) and a.p_gain == pytest.approx(b.p_gain)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 1)), max_size=8), st.randoms())
def test_the_order_of_candidates_does_not_matter(past: list[tuple[float, float]], rng: random.Random) -> None:
    a, b = judge.learn(past), judge.learn(rng.sample(past, len(past)))
    assert (a.share, a.scale) == (pytest.approx(b.share), pytest.approx(b.scale))
