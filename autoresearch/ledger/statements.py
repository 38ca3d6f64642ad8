"""Minimum of evidence for each statement about a session, in one table for reports, commands and briefs."""

NEAR_MISS_ODDS = 0.25  # of a gain, after all evidence, from which a discard is a near miss
COMBINE_ODDS = 0.8  # of a gain, for near misses that program.md should ask to combine
P_CARRIES = 0.95  # that the final version is better with a kept change: "it carries"
P_IDLE = 0.95  # that leaving a kept change out loses less than ...
IDLE_SHARE = 0.2  # ... this share of the smallest kept gain: "it carries nothing"
SHRINKS_ODDS = 0.8  # that over half of a gain is lost at a longer budget: "it shrinks"; or is not: "it survives"
PREFERENCE_ODDS = 10.0  # that a kept version is better than a lost one, before the two are a pair of training data
DEAD_END_SCORES = 8  # scored experiments of a category (or stopped), none kept, none worth another look: "dead end"
UNTRIED_SCORES = 8  # scored experiments of a session, before it says that a category was not tried
FAILED_TRIES, FAILED_SHARE = 8, 0.2  # failed experiments, and their share, before it says that changes should run
WITHIN_NOISE, WITHIN_NOISE_SHARE = 8, 0.25  # experiments within one sigma, before it says that changes are too small
PREDICTIONS = 3  # measured predictions, before they are compared with the measurements
DIFFERENT_ERRORS = 2.0  # standard errors between two numbers that do not agree
CERTAIN = 0.995  # probabilities from here on are not written as 100 %: no measurement is certain


def is_near_miss(odds: float | None) -> bool:
    """Return whether a discard with these odds of a gain, after all evidence, is a near miss."""
    return odds is not None and odds >= NEAR_MISS_ODDS


def is_dead_end(scores: int, kept: int, near_misses: int) -> bool:
    """Return whether a category has had enough scored experiments to be given up."""
    return scores >= DEAD_END_SCORES and not kept and not near_misses


def carries(odds: float) -> bool:
    return odds > P_CARRIES


def is_idle(odds_small_loss: float) -> bool:
    return odds_small_loss > P_IDLE


def has_wrong_sign(predicted: float, delta: float, error: float | None) -> bool:
    """Return whether a measured difference refutes the sign of a prediction."""
    return predicted * delta < 0 and error is not None and abs(delta) > DIFFERENT_ERRORS * error


def describe_odds(odds: float | None) -> str:
    """Return a probability in percent; never 0 or 100."""
    if odds is None:
        return "-"
    if odds >= CERTAIN:
        return "over 99 %"
    return "under 1 %" if odds < 1 - CERTAIN else f"{100 * odds:.0f} %"
