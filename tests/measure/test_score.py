"""The arithmetic of claim and audit, without cells: the audited positions, and the gain of a lie."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.data.dataset import Dataset
from autoresearch.measure import answers
from autoresearch.measure.audit import (
    D_RMS_MAX,
    Audit,
    Coarse,
    Floats,
    coarse,
    compare,
    draw_positions,
    falls_below,
    losses_of,
    splice,
)
from autoresearch.measure.score import evaluation_rows

ROWS, LENGTH = 64, 16
EVERYWHERE = np.ones((ROWS, LENGTH), bool)


def text(rng: np.random.Generator) -> np.ndarray:
    """Return rows in which no two tokens are equal."""
    return np.arange(ROWS * (LENGTH + 1), dtype=np.uint16).reshape(ROWS, LENGTH + 1)


def audited(
    truth: Floats, claims: Floats, count: int, rng: np.random.Generator, incumbent: Coarse | None = None
) -> Audit:
    """Audit claims about a model whose losses are `truth`."""
    falls = None if incumbent is None else falls_below(incumbent, claims)
    drawn = draw_positions(np.ones(truth.shape, bool), count, rng, falls)
    asked = drawn.row, drawn.position
    return compare(truth[asked], claims[asked], drawn.weight, D_RMS_MAX["cpu"])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, ROWS // 2), targeted=st.booleans())
def test_an_auditor_is_never_shown_an_answer(seed: int, count: int, targeted: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = text(rng)
    falls = rng.gamma(0.1, 5.0, size=(ROWS, LENGTH)) if targeted else None
    drawn = draw_positions(EVERYWHERE, count, rng, falls)
    row, position = drawn.row, drawn.position
    windows = splice(rows, row, position, rows.max() + 1 + rows[: len(row)])
    assert len(row) == count == len(set(row.tolist()))
    assert not np.isin(rows[row, position + 1], windows).any()
    for window, r, p in zip(windows, row, position, strict=True):
        assert (window[: p + 1] == rows[r, : p + 1]).all()


def test_positions_are_drawn_uniformly_over_what_is_scored() -> None:
    rng = np.random.default_rng(1)
    scored = np.ones((ROWS, LENGTH), bool)
    scored[:, 3] = False
    counts = np.zeros(LENGTH)
    for _ in range(300):
        drawn = draw_positions(scored, ROWS // 2, rng)
        counts += np.bincount(drawn.position, minlength=LENGTH)
        assert drawn.weight == pytest.approx(1)
    assert counts[3] == 0
    expected = counts.sum() / (LENGTH - 1)
    assert abs(np.delete(counts, 3) - expected).max() < 5 * math.sqrt(expected)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_logits_are_normalised_here(scale: float) -> None:
    rng = np.random.default_rng(2)
    logits = scale * rng.normal(size=(5, 7))
    targets = np.array([0, 1, 2, 3, 4], np.uint16)
    every = np.stack([losses_of(logits, np.full(5, k, np.uint16)) for k in range(7)])
    assert np.exp(-every).sum(0) == pytest.approx(1)
    assert losses_of(logits + 5, targets) == pytest.approx(losses_of(logits, targets), abs=1e-6)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int64"])
def test_a_numpy_claim_is_as_exact_as_the_float32_it_is_sent_in(kind: str) -> None:
    rng = np.random.default_rng(5)
    logits = np.round(8 * rng.normal(size=(300, 50))).astype(kind)
    targets = rng.integers(0, 50, 300)
    claimed = answers._row_losses(logits, targets).astype(np.float32)
    exact = losses_of(logits.astype(np.float64), targets.astype(np.uint16))
    assert abs(claimed - exact).max() < 2e-6
    assert abs((claimed - exact).mean()) < 1e-7


@pytest.mark.parametrize("lie", [0.0005, 0.0015, -0.0015])
@pytest.mark.parametrize("noise", [0.0, 0.006])
@pytest.mark.parametrize("targeted", [False, True])
def test_a_constant_lie_inside_the_tolerance_buys_nothing(lie: float, noise: float, targeted: bool) -> None:
    """Audit one claim many times: the mean score is the truth, within the reported error."""
    rng = np.random.default_rng(3)
    truth = rng.gamma(1.5, 2.0, size=(256, 64))
    claims = truth - lie
    falls = falls_below(coarse(truth + rng.normal(size=truth.shape)), claims) if targeted else None
    offs, errors = [], []
    for _ in range(200):
        drawn = draw_positions(np.ones(truth.shape, bool), 128, rng, falls)
        audited = truth[drawn.row, drawn.position] + noise * rng.normal(size=128)
        audit = compare(audited, claims[drawn.row, drawn.position], drawn.weight, D_RMS_MAX["cpu"])
        assert audit.suspicion is None, audit.suspicion
        offs.append(claims.mean() + audit.d_mean - truth.mean())
        errors.append(audit.d_se)
    assert abs(np.mean(offs)) < 1e-9 + 3 * np.mean(errors) / math.sqrt(200)
    assert np.mean(np.abs(offs) > 1e-9 + 2 * np.array(errors)) < 0.1


@pytest.mark.parametrize("share", [0.01, 0.003])
def test_lies_at_few_positions_are_found_as_often_as_the_draws_promise(share: float) -> None:
    rng = np.random.default_rng(4)
    truth = rng.gamma(1.5, 2.0, size=(1024, 32))
    claims = np.where(rng.random(truth.shape) < share, 0.0, truth)
    found = []
    for _ in range(200):
        found.append(audited(truth, claims, 512, rng).suspicion is not None)
    promised = 1 - (1 - share) ** 512
    assert np.mean(found) > promised - 0.12


def test_a_lie_far_below_the_incumbent_is_asked_about() -> None:
    """A loss of zero is claimed at one position in a thousand: missed by half of the uniform audits."""
    rng = np.random.default_rng(6)
    truth = rng.gamma(2.0, 2.0, size=(1024, 32))
    claims = np.where(rng.random(truth.shape) < 0.001, 0.0, truth)
    incumbent = coarse(truth + 0.5 * rng.normal(size=truth.shape))
    uniform = [audited(truth, claims, 512, rng).suspicion for _ in range(100)]
    targeted = [audited(truth, claims, 512, rng, incumbent).suspicion for _ in range(100)]
    assert 0.2 < np.mean([each is None for each in uniform]) < 0.9
    assert None not in targeted


@pytest.mark.parametrize("concentrated", [False, True])
def test_the_weighted_mean_is_unbiased_and_its_error_is_told(concentrated: bool) -> None:
    """Whatever the falls are: rows that are certain to be asked, rows without scored tokens, differences anywhere."""
    rng = np.random.default_rng(7)
    scored = rng.random((ROWS, LENGTH)) < rng.random((ROWS, 1))
    scored[3] = False
    falls = rng.gamma(0.05 if concentrated else 1.0, 1.0, size=scored.shape)
    d = 0.3 * falls * (rng.random(scored.shape) < 0.5) + rng.normal(size=scored.shape)
    means, errors = [], []
    for _ in range(2000):
        drawn = draw_positions(scored, ROWS // 2, rng, falls)
        assert scored[drawn.row, drawn.position].all() and len(drawn.row) == len(set(drawn.row.tolist()))
        audit = compare(d[drawn.row, drawn.position], np.zeros(len(drawn.row)), drawn.weight, math.inf)
        means.append(audit.d_mean)
        errors.append(audit.d_se)
    spread = float(np.std(means))
    assert abs(np.mean(means) - d[scored].mean()) < 4 * spread / math.sqrt(len(means))
    assert 0.9 * spread < math.sqrt(np.mean(np.square(errors))) < 1.6 * spread


def test_a_version_like_its_incumbent_is_audited_uniformly() -> None:
    """No falls anywhere: nothing to aim at."""
    drawn = draw_positions(EVERYWHERE, ROWS // 2, np.random.default_rng(8), np.zeros((ROWS, LENGTH)))
    assert len(drawn.row) == ROWS // 2 and drawn.weight == pytest.approx(1)


def test_stored_losses_are_good_to_a_sixteenth_of_a_nat() -> None:
    losses = np.random.default_rng(9).gamma(2.0, 2.0, size=(ROWS, LENGTH))
    assert falls_below(coarse(losses), losses).max() <= 1 / 16
    assert (falls_below(coarse(losses), losses - 1) > 15 / 16 - 1e-9).all()
    assert coarse(np.array([0.0, 1e30])).tolist() == [0, 255]


def test_bytes_are_those_of_the_text(bytes_data: Dataset) -> None:
    """The byte count of a token is that of its raw text."""
    rows = evaluation_rows(bytes_data, "val", 10**6)
    sizes = bytes_data.token_bytes()[rows[:, 1:]]
    assert int(sizes.sum()) == sum(len(bytes_data.decode(row[1:])) for row in rows)
