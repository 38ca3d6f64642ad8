"""Charts: whole numbers, whole labels, nothing outside of the picture, on pages and on phones."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.experiments import experiment
from support.status_rows import STATUS

from autoresearch.ledger import ExperimentRow
from autoresearch.ledger.session_status import TotalOnRecord
from autoresearch.report import chart, curves, png, status, tree
from autoresearch.report.axes import NARROW_WIDTH, WIDTH, Scale, tick_words, ticks
from autoresearch.report.blocks import Curve, Curves
from autoresearch.web import numbers

LONG = "Counted tables know nothing of the row, and two hundred steps teach no induction head: copy what followed"
KEEPS = {0: 2.09, 1: 2.041, 4: 1.774, 11: 1.657, 14: 1.639, 17: 1.631, 20: 1.613, 24: 1.6, 29: 1.59, 34: 1.585}
LETTER = 6.0  # pixels of a letter on average


@pytest.fixture
def night() -> list[ExperimentRow]:
    """Nine keeps, crowded near the end, with long hypotheses; failures, and proposals that were never measured."""
    rows = [experiment(n, "discard", val_bpb=1.7 + n % 7 / 50, hypothesis=LONG) for n in range(53)]
    for n, score in KEEPS.items():
        rows[n] = experiment(n, "keep", val_bpb=score, hypothesis=LONG)
    rows[3], rows[38] = (experiment(n, "crash", val_bpb=None) for n in (3, 38))
    rows[12], rows[52] = (experiment(n, "discard", val_bpb=None, delta=None) for n in (12, 52))
    return rows


def words_of(svg: str) -> Iterator[tuple[str, float, float]]:
    """Return each text of a picture with its left and right end, those of slanted ones aside."""
    for each in ElementTree.fromstring(svg).iter("text"):
        place = each.get("transform", "")
        moved = re.match(r"translate\((\S+) ", place)
        x, wide = float(moved[1] if moved else each.get("x", "0")), LETTER * len(each.text or "")
        left = {"end": x - wide, "middle": x - wide / 2}.get(each.get("text-anchor", ""), x)
        if "rotate" not in place:
            yield each.text or "", left, left + wide


@pytest.mark.parametrize("last", [0, 1, 2, 3, 7, 52, 999, 12345])
def test_experiments_are_counted_in_whole_numbers(last: int) -> None:
    found = ticks(-0.5, last + 0.5, whole=True)
    assert found == [int(value) for value in found] and 1 <= len(found) <= 9
    assert len(set(tick_words(found))) == len(found)


def test_ticks_have_the_digits_that_they_need_and_no_more() -> None:
    assert tick_words(ticks(1.5, 2.1)) == ["1.5", "1.6", "1.7", "1.8", "1.9", "2.0", "2.1"]
    assert tick_words(ticks(0.98, 0.9806))[1] == "0.9801" and tick_words(ticks(0, 5)) == list("012345")


@pytest.mark.parametrize("width", [WIDTH, NARROW_WIDTH])
def test_every_keep_of_a_crowded_chart_has_its_number(night: list[ExperimentRow], width: float) -> None:
    keeps = chart.scored_keeps(night)
    found = [label.words for label in chart.labels(keeps, chart.bounds(night, keeps, 0.006, width))]
    assert found == ["base", *(str(n) for n in KEEPS if n)]


def test_a_label_is_whole_or_only_a_number() -> None:
    texts = ["short", "a longer warmdown, and then some", LONG]
    rows = [experiment(30 * n, "keep", val_bpb=2 - n / 50, hypothesis=texts[n - 1]) for n in range(1, 4)]
    found = [label.words for label in chart.labels(rows, Scale(-0.5, 100.5, 1.7, 2.1))]
    assert found == ["30: short", "60: a longer warmdown, and then some", "90"]


@pytest.mark.parametrize("width", [WIDTH, NARROW_WIDTH])
def test_no_text_is_outside_of_a_picture(night: list[ExperimentRow], width: float) -> None:
    losses = [Curve(f"{n}: rerun, seed 1234567890", [(k / 2, 3 + 1 / (k + 1)) for k in range(30)]) for n in range(6)]
    pictures = [
        chart.picture(night, 0.006, lambda n: "", width),
        curves.picture(Curves(losses, "seconds of training", "loss"), width),
        tree.picture(tree.versions(night, 34), lambda n: "", width),
    ]
    for picture in pictures:
        found = list(words_of(picture))
        assert found and [each for each in found if each[1] < 0 or each[2] > width] == []


def test_what_was_never_measured_has_no_mark(night: list[ExperimentRow]) -> None:
    picture = chart.picture(night, 0.006, lambda n: f"#{n}")
    marks = [each.get("class") for each in ElementTree.fromstring(picture).iter("path")]
    assert marks.count("lost") == 3  # two, and one in the legend
    dropped = [row.n for row in night if row.unmeasured]
    assert dropped and not any(f'href="#{n}"' in picture for n in dropped)
    data = numbers.progress(night, 0.006)
    columns = [each["y"] for each in data["series"] if each["name"] in chart.DOTS.values()]
    assert all(column[data["x"].index(n)] is None for n in dropped for column in columns)


def test_keeps_are_told_from_the_running_best() -> None:
    style = (Path(chart.__file__).parent / "report.css").read_text()
    for theme in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        colours = dict(re.findall(r"--(\w+): (#\w+);", theme))
        assert "good" not in colours or colours["good"] != colours["best"]
    assert png.GREEN != png.BLUE


def test_a_page_has_one_picture_for_screens_and_one_for_phones(night: list[ExperimentRow]) -> None:
    found = re.findall(r'<svg class="([^"]+)" viewBox="0 0 (\d+)', chart.progress(night, 0.006, lambda n: ""))
    assert found == [("chart", str(WIDTH)), ("chart narrow", str(NARROW_WIDTH))]


@pytest.mark.slow
def test_the_chart_of_a_crowded_night_is_drawn_as_png(night: list[ExperimentRow], tmp_path: Path) -> None:
    assert png.save(night, 0.006, tmp_path / "chart.png").stat().st_size > 10_000


# --- curves


def smoothed(ys: Sequence[float]) -> list[float]:
    found = curves.smooth(Curve("x", [(float(k), y) for k, y in enumerate(ys)]))
    assert found is not None and [x for x, _ in found] == [float(k) for k in range(len(ys))]
    return [y for _, y in found]


def test_means_follow_a_curve_and_lose_its_noise() -> None:
    assert smoothed([2.0] * 20) == pytest.approx([2.0] * 20)
    noisy = smoothed([2.0 + 0.5 * (-1) ** k for k in range(100)])
    assert max(abs(y - 2.0) for y in noisy[10:]) < 0.1
    steep = smoothed([9.0, *(2 + 5 / (k + 1) for k in range(99))])
    assert steep[0] == 9.0 and steep == sorted(steep, reverse=True)


def test_steps_and_short_curves_stay_as_they_are() -> None:
    points = [(float(k), 1.0) for k in range(50)]
    assert curves.smooth(Curve("x", points, steps=True)) is None and curves.smooth(Curve("x", points[:5])) is None
    assert "raw" not in curves.draw(Curves([Curve("x", points, steps=True)], "experiment", "change"))


def test_experiments_below_curves_are_whole_too() -> None:
    found = curves.picture(
        Curves([Curve("x", [(0.0, 0.0), (1.0, -0.1), (2.0, -0.1)], steps=True)], "experiment", "change")
    )
    assert not [words for words, *_ in words_of(found) if words.endswith(".5")]


# --- the first tile


@pytest.mark.parametrize(
    ("low", "high", "final", "words"),
    [
        (-0.3, -0.1, 2, ", confirmed"),
        (-0.3, 0.1, 2, ", not confirmed: no difference is shown"),
        (0.1, 0.3, 2, ", not confirmed: worse"),
        (-0.3, -0.1, 1, ", not confirmed yet: the total is that of 1"),
    ],
)
def test_a_gain_is_confirmed_or_not(low: float, high: float, final: int, words: str) -> None:
    total = TotalOnRecord(mean=(low + high) / 2, low=low, high=high, final=final)
    assert status.confirmation(replace(STATUS, total=total, best=2)) == words
    assert status.confirmation(replace(STATUS, total=None, best=2)) == ", not confirmed yet"
    assert status.confirmation(replace(STATUS, best=0)) == ""
