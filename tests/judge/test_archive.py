"""The archive of parents: which versions it has, when the incumbent is left, and what is changed then."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from autoresearch.judge import PLATEAU_PROPOSALS, Archive, ArchivedVersion, Beliefs, Noise, noise
from autoresearch.judge.archive import MAX_PARENTS, expected_improvement

NOISE = noise([], (1.0, 8.0))


def archive(
    *versions: ArchivedVersion, incumbent: int = 0, beliefs: Beliefs | None = None, known: Noise = NOISE
) -> Archive:
    everything = [ArchivedVersion(0, None, 0.0, 4, 100), *versions]
    return Archive({each.n: each for each in everything}, incumbent, known, beliefs or Beliefs())


def failures(count: int, first: int = 1, parent: int = 0) -> list[ArchivedVersion]:
    return [ArchivedVersion(first + k, parent, 2.0, 1, 100, odds=0.03) for k in range(count)]


def shares(found: Archive, draws: int = 400) -> Counter[int]:
    rng = np.random.default_rng(1)
    return Counter(found.choose(rng) for _ in range(draws))


def test_the_incumbent_is_exhausted_after_proposals_that_cost_more_than_they_gain() -> None:
    assert not archive(*failures(PLATEAU_PROPOSALS - 1)).is_exhausted
    poor = Beliefs(share=0.1, scale=2.5)
    assert archive(*failures(PLATEAU_PROPOSALS), beliefs=poor).is_exhausted
    rich = Beliefs(share=0.3, scale=6.0)
    assert not archive(*failures(PLATEAU_PROPOSALS), beliefs=rich).is_exhausted, "gains are large here: it is patient"
    assert archive(*failures(4 * PLATEAU_PROPOSALS), beliefs=rich).is_exhausted is False
    assert archive(*failures(8 * PLATEAU_PROPOSALS), beliefs=rich).is_exhausted


def test_a_keep_begins_the_count_again() -> None:
    keep = ArchivedVersion(26, 0, -3.0, 3, 100, odds=0.95)
    after = [*failures(25), keep, *failures(24, 27, parent=26)]
    assert not archive(*after, incumbent=26, beliefs=Beliefs(0.1, 2.5)).is_exhausted
    assert archive(*after, *failures(1, 51, parent=26), incumbent=26, beliefs=Beliefs(0.1, 2.5)).is_exhausted


def test_a_lucky_draw_is_shrunken_below_a_mean_of_many() -> None:
    lucky, solid = ArchivedVersion(1, 0, -1.4, 1, 100), ArchivedVersion(2, 0, -1.2, 6, 100)
    levels = archive(lucky, solid).levels
    assert levels[1][0] > -0.7, "never its best draw"
    assert levels[2][0] < levels[1][0] and levels[2][1] < levels[1][1]


def test_eight_parents_at_most_and_what_failed_is_none() -> None:
    others = [ArchivedVersion(n, 0, 1.0 + n / 10, 1, 100) for n in range(1, 20)]
    crashed = ArchivedVersion(20, 0, 0.0, 0, 10)
    near = [ArchivedVersion(n, 0, 3.0, 2, 100, near_miss=True, odds=0.3) for n in (21, 22)]
    lean = ArchivedVersion(23, 0, 0.9, 4, 40)
    found = archive(*others, crashed, *near, lean).parents
    assert found[0] == 0 and len(found) == 1 + MAX_PARENTS
    assert {21, 22, 23, 1} <= set(found) and 20 not in found


def test_a_lean_version_that_loses_much_is_no_parent_for_its_length() -> None:
    fill = [ArchivedVersion(n, 0, 0.5, 3, 100) for n in range(1, 12)]
    assert 12 not in archive(*fill, ArchivedVersion(12, 0, 6.0, 4, 10)).parents
    assert 12 in archive(*fill, ArchivedVersion(12, 0, 0.9, 9, 10)).parents


def test_other_families_of_the_tree_have_a_place() -> None:
    keep = ArchivedVersion(3, 0, -6.0, 3, 100, odds=0.99)
    family = ArchivedVersion(1, 0, -4.5, 2, 100, odds=0.2)
    children = [ArchivedVersion(n, 3, -6.0, 2, 100) for n in range(4, 16)]
    found = archive(family, ArchivedVersion(2, 0, -1.0, 1, 100), keep, *children, incumbent=3).parents
    assert 1 in found, "the best of those that do not descend from the incumbent"


def test_subtrees_that_brought_nothing_are_chosen_less_and_less() -> None:
    near = ArchivedVersion(100, 0, -0.2, 4, 100, near_miss=True, odds=0.3)
    fresh = shares(archive(near, *failures(30)))
    tired = shares(archive(near, *failures(30), *failures(30, 101, parent=100)))
    assert fresh[100] > fresh[0]
    assert tired[100] < fresh[100] / 2


def test_changes_of_a_version_in_a_subtree_count_for_the_nearest_parent() -> None:
    near = ArchivedVersion(100, 0, -0.2, 4, 100, near_miss=True, odds=0.3)
    child = ArchivedVersion(101, 100, 5.0, 1, 100)
    crashed = ArchivedVersion(102, 101, 0.0, 0)
    better = [ArchivedVersion(n, 0, 0.0, 3, 100) for n in range(1, 9)]
    found = archive(*better, near, child, crashed)
    assert 101 not in found.parents
    assert found.record(100)[1] == 2 and found.record(0)[1] == len(better) + 1


def test_a_change_that_is_better_than_its_parent_counts_as_a_gain_there() -> None:
    parent, child = ArchivedVersion(1, 0, 3.0, 5, 100, near_miss=True), ArchivedVersion(2, 1, -1.0, 5, 100, odds=0.5)
    gains, tries = archive(parent, child).record(1)
    assert tries == 1 and gains > 0.9


def test_the_choice_follows_from_the_seed() -> None:
    found = archive(*failures(30), ArchivedVersion(100, 0, -0.2, 4, 100, near_miss=True))
    first, second = ([found.choose(np.random.default_rng(seed)) for seed in range(40)] for _ in range(2))
    assert first == second and len(set(first)) > 1
    assert found.choose_other(np.random.default_rng(1)) not in (None, 0)
    assert archive().choose_other(np.random.default_rng(1)) is None


def test_a_worse_parent_needs_larger_gains() -> None:
    assert expected_improvement(0.2, 3.0, 0.0) == pytest.approx(0.6)
    assert expected_improvement(0.2, 3.0, 3.0) == pytest.approx(0.6 / np.e)
    assert expected_improvement(0.0, 3.0, -1.0) == pytest.approx(1.0), "what is ahead already is a gain"


def test_units_do_not_matter() -> None:
    versions = [ArchivedVersion(1, 0, -0.4, 3, 90, near_miss=True), ArchivedVersion(2, 0, 0.8, 1, 100)]
    small = [replace(each, mean=each.mean / 1000) for each in versions]
    tiny = noise([], (0.001, 8.0))
    assert archive(*versions).levels[1] == pytest.approx(archive(*small, known=tiny).levels[1])
