"""From measurements to what to do next with a candidate."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from autoresearch.judge.beliefs import Beliefs, p_gain, p_loss
from autoresearch.judge.noise import Draw, Guess, Noise, difference


@dataclass(frozen=True)
class Rule:
    """Probabilities of a gain: to be measured again at all, to be given up, to be kept; and how many re-runs that takes."""

    promising: float
    futile: float
    certain: float
    least: int
    most: int


DEFAULT = Rule(promising=0.2, futile=0.15, certain=0.6, least=2, most=4)
RULES = {
    "default": DEFAULT,
    "strict": Rule(promising=0.2, futile=0.15, certain=0.95, least=2, most=8),
    "greedy": None,  # the original's: any lower number is kept
}
BOUND = 0.5  # sigma that a simplification may lose ...
LIKELY = 0.8  # ... with this probability at least
SIMPLER_MODES = ("revert", "prune")  # a kept change is taken out
ALLOWANCE = 1.0  # sigma that all simplifications of a session may lose together


@dataclass(frozen=True)
class Decision:
    """What to do with a candidate, why, and the evidence.

    `action` is `run_again`, `compare` (measure the incumbent again, beside it), `keep` or `discard`. `delta` is the
    candidate's mean minus the incumbent's, without the draw that selected it where there is another (bits per byte,
    negative is better); `p_gain` the probability that it is truly better, by all that the session knows.
    """

    action: str
    reason: str
    delta: float
    p_gain: float
    near_miss: bool = False


def decide(
    rule: str,
    candidate: Sequence[Draw],
    incumbent: Sequence[Draw],
    noise: Noise,
    beliefs: Beliefs | None = None,
    simpler: float | None = None,
) -> Decision:
    """Judge a candidate's draws, in order, against the incumbent's. Lower is better.

    Of the incumbent, give no draw that selected it: it would look better than it is. `simpler` is for a candidate that
    takes code away: how many sigma it may cost, of `ALLOWANCE`.
    """
    found = _Found(candidate, incumbent, noise, beliefs or Beliefs())
    chosen = RULES[rule]
    if chosen is None and simpler is None:
        lower = candidate[0].score < min(draw.score for draw in incumbent)
        return found.decision(
            *(("keep", "a lower number") if lower else ("discard", "not a lower number")), " (greedy rule)"
        )
    chosen = chosen or DEFAULT
    if simpler is not None and (simplification := _simplification(found, chosen, simpler)) is not None:
        return simplification
    return _screened(found, chosen) if len(candidate) == 1 else _measured(found, chosen)


def hopeless_above(incumbent: Sequence[Draw], noise: Noise) -> float:
    """A screening claim above this has lost by more than the noise, audited or not."""
    return fmean(draw.score for draw in incumbent) + 2 * noise.sigma


@dataclass(frozen=True)
class _Found:
    """What the draws of a candidate and of the incumbent say."""

    candidate: Sequence[Draw]
    incumbent: Sequence[Draw]
    noise: Noise
    beliefs: Beliefs

    @property
    def fresh(self) -> Sequence[Draw]:
        """Draws that did not select the candidate."""
        return self.candidate[1:]

    @cached_property
    def delta(self) -> float:
        """Bits per byte, of the draws that may judge."""
        draws = self.fresh or self.candidate
        return sum(guess.weight * difference(draws, self.incumbent, guess)[0] for guess in self.noise.guesses)

    @cached_property
    def p_gain(self) -> float:
        """Probability that the candidate is better."""
        return sum(guess.weight * p_gain(self.beliefs, *self._measured(guess)) for guess in self.noise.guesses)

    def p_loss(self, bound: float) -> float:
        """Probability that it loses more than `bound` sigma."""
        return sum(guess.weight * p_loss(self.beliefs, bound, *self._measured(guess)) for guess in self.noise.guesses)

    def _measured(self, guess: Guess) -> tuple[float, float, float]:
        delta, error = difference(self.candidate, self.incumbent, guess)
        return delta / self.noise.sigma, error / self.noise.sigma, self.noise.dof

    def variance(self, candidate: int, incumbent: int) -> float:
        """Of the difference, after so many more draws of each."""
        now = 1 + max(draw.at for draw in [*self.candidate, *self.incumbent])
        ours = [*self.candidate, *(Draw(0.0, now + k) for k in range(candidate))]
        theirs = [*self.incumbent, *(Draw(0.0, now + k) for k in range(incumbent))]
        return sum(guess.weight * difference(ours, theirs, guess)[1] ** 2 for guess in self.noise.guesses)

    def more(self) -> Decision:
        """One more draw: of whichever makes the difference better known."""
        action = "compare" if self.variance(0, 1) < self.variance(1, 0) else "run_again"
        return self.decision(action, "looks better")

    def discard(self, words: str) -> Decision:
        return self.decision("discard", words, near_miss=self.delta < self.noise.sigma)

    def decision(self, action: str, words: str, after: str = "", near_miss: bool = False) -> Decision:
        reason = f"{words}{after}: {self.delta:+.4f} ({self.delta / self.noise.sigma:+.1f} sigma)"
        return Decision(action, reason, self.delta, self.p_gain, near_miss)


def _screened(found: _Found, rule: Rule) -> Decision:
    if found.p_gain >= rule.promising:
        return found.decision("run_again", "looks better")
    return found.discard("not better" if found.delta >= 0 else "hardly better")


def _measured(found: _Found, rule: Rule) -> Decision:
    if found.p_gain < rule.futile:
        return found.discard("fresh re-runs do not confirm it")
    if found.p_gain >= rule.certain and len(found.fresh) >= rule.least and found.delta < 0:
        return found.decision("keep", f"{len(found.fresh)} fresh re-runs confirm it")
    return found.more() if len(found.fresh) < rule.most else found.discard("too close to call")


def _simplification(found: _Found, rule: Rule, allowance: float) -> Decision | None:
    """A verdict on less code for the same score; None where the candidate has to be a gain like any other."""
    bound = min(BOUND, allowance)
    if found.p_gain >= rule.certain or found.p_loss(bound) > (1 - LIKELY if len(found.fresh) >= rule.least else LIKELY):
        return None
    if len(found.fresh) < rule.least:
        return found.decision("run_again", "less code, and not clearly worse")
    if found.delta > bound * found.noise.sigma:
        return None
    return found.decision("keep", f"less code for the same score, on {len(found.fresh)} fresh re-runs")
