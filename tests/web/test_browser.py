"""The pages in a real browser, with their script: they are drawn, they follow the session, without errors."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest
from support.browser import CHROMIUM, Browser, browser
from support.web_client import TOKEN, add, served

from autoresearch.analysis import summary
from autoresearch.ledger import Ledger
from autoresearch.report import html, report
from autoresearch.session.live import LiveTrial

pytest_plugins = ["support.web_fixtures"]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium is installed: the pages were not tried in a browser"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        found.look(1000)
        yield found


@pytest.fixture(autouse=True)
def _quiet(chromium: Browser, pages: httpx.Client) -> Iterator[None]:
    """The browser has got its cookie, which holds for every port, from the address with the token."""
    chromium.open(f"{pages.base_url}/?token={TOKEN}")
    assert chromium.value("location.href") == f"{pages.base_url}/"
    assert chromium.value("document.cookie") == ""  # no script can read it
    chromium.said.clear()
    yield
    assert chromium.said == []


DRAWN = "document.querySelectorAll('figure.drawn canvas').length"


@pytest.mark.parametrize(
    ("path", "pictures"),
    [
        ("/", 0),
        ("/s/calm", 1),
        ("/s/wild", 1),
        ("/s/wild/1", 1),
        ("/s/wild/curves", 1),
        ("/compare/calm/wild", 1),
        ("/s/wild/experiments", 0),
    ],
)
def test_no_page_makes_the_browser_complain(chromium: Browser, pages: httpx.Client, path: str, pictures: int) -> None:
    chromium.open(f"{pages.base_url}{path}")
    chromium.until(f"{DRAWN} === {pictures}")
    assert chromium.value("document.documentElement.scrollWidth") <= 1000
    assert (
        chromium.value(
            "[...document.scripts].map((each) => each.src).filter((src) => !src.includes('/static/')).length"
        )
        == 0
    )


def test_without_the_token_a_browser_gets_one_line(chromium: Browser, pages: httpx.Client) -> None:
    chromium.ask("Network.clearBrowserCookies")
    chromium.open(f"{pages.base_url}/s/wild")
    assert "autoresearch serve" in chromium.value("document.body.textContent")
    assert chromium.value("document.body.textContent").count("\n") == 1
    chromium.said.clear()  # the status 403


CUT = """[...document.querySelectorAll('main *')].filter((each) => !each.closest('svg, .u-wrap')
  && each.clientWidth && each.scrollWidth > each.clientWidth + 1).map((each) => each.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, False), (1280, True)])
def test_nothing_is_cut_at_the_side(chromium: Browser, pages: httpx.Client, width: int, dark: bool) -> None:
    chromium.look(width, dark=dark, phone=width < 500)
    for path in (
        "/",
        "/s/wild",
        "/s/wild/1",
        "/s/calm/experiments",
        "/s/calm/curves",
        "/compare/calm/wild",
    ):
        chromium.open(f"{pages.base_url}{path}")
        assert chromium.value("document.documentElement.scrollWidth") <= width, path
        assert chromium.value(CUT) == [], path
    chromium.look(1000)


def test_a_report_on_a_phone_has_pictures_that_fit(chromium: Browser, root: Path, tmp_path: Path) -> None:
    chromium.look(390, phone=True)
    chromium.open(write_report(root, tmp_path).as_uri())
    shown = "[...document.querySelectorAll('svg.chart')].filter((each) => each.clientWidth)"
    assert chromium.value(f"{shown}.every((each) => each.matches('.narrow') && each.clientWidth < 390)")
    assert chromium.value(CUT) == [] and chromium.value(f"{shown}.length") == 2
    chromium.look(1000)
    assert chromium.value(f"{shown}.some((each) => each.matches('.narrow'))") is False


def test_the_legend_tells_keeps_from_the_running_best(chromium: Browser, pages: httpx.Client) -> None:
    chromium.open(f"{pages.base_url}/s/wild")
    chromium.until(f"{DRAWN} === 1")
    mark = "(kind) => getComputedStyle(document.querySelector(`[data-kind='${kind}'] .u-marker`))"
    look = f"(({mark})(KIND)).backgroundColor + (({mark})(KIND)).borderRadius"
    keep, best = (chromium.value(look.replace("KIND", f"'{kind}'")) for kind in ("keep", "running best"))
    assert keep.endswith("50%") and not best.endswith("50%") and keep.partition(")")[0] != best.partition(")")[0]
    assert chromium.value("charts[0].chart.axes[0]._splits.every(Number.isInteger)")


def test_curves_are_smoothed_until_one_says_otherwise(chromium: Browser, pages: httpx.Client) -> None:
    chromium.open(f"{pages.base_url}/s/calm/curves")
    chromium.until(f"{DRAWN} === 1")
    assert chromium.value("charts[0].chart.series.length") == 5  # the positions, two curves, their means
    chromium.value("document.querySelectorAll('.u-series:not([hidden])')[1].querySelector('th').click()")
    assert chromium.value("charts[0].chart.series.map((each) => each.show)") == [True, False, False, True, True]
    chromium.value("document.querySelector('.smoothing input').click()")
    chromium.until("charts[0].chart.series.length === 3")
    assert chromium.value(f"{DRAWN}") == 1


def test_words_appear_where_one_points_and_a_click_leads_to_the_experiment(
    chromium: Browser, pages: httpx.Client
) -> None:
    chromium.open(f"{pages.base_url}/s/wild")
    chromium.until(f"{DRAWN} === 1")
    chromium.value("document.querySelector('.u-over').scrollIntoView({block: 'center'})")
    box = chromium.value(
        "(b => ({x: b.x, y: b.y, width: b.width, height: b.height}))"
        "(document.querySelector('.u-over').getBoundingClientRect())"
    )
    place = {"x": box["x"] + box["width"] * 0.25, "y": box["y"] + box["height"] / 2}
    chromium.ask("Input.dispatchMouseEvent", type="mouseMoved", **place)
    assert chromium.until("document.querySelector('.told').textContent.trim()").startswith(
        "1 keep: <script>alert(1)</script>"
    )
    for kind in ("mousePressed", "mouseReleased"):
        chromium.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)
    chromium.until("location.pathname === '/s/wild/1'")


@pytest.mark.slow
def test_the_page_follows_a_session_that_runs(chromium: Browser, alone: Path) -> None:
    with Ledger.open(alone / "runs" / "ledger.db") as store, served(alone) as client:
        wild = store.session("wild")
        assert wild is not None
        experiment = store.add_experiment(wild.id, 5, hypothesis="now", state="measuring")
        trial = store.start_trial(wild.id, experiment.id, "screen", 9, "blob")
        told = asdict(LiveTrial(5, "screen", "train", 0.2, curve=[(0.0, 6.0), (0.2, 5.0)]))
        (alone / "runs" / "wild" / "live.json").write_text(json.dumps(told))
        chromium.open(f"{client.base_url}/s/wild")
        chromium.until(f"{DRAWN} === 2 && stamp !== undefined")
        told |= {"fraction": 0.4, "curve": [[0.0, 6.0], [0.2, 5.0], [0.4, 4.5]]}
        (alone / "runs" / "wild" / "live.json").write_text(json.dumps(told))
        chromium.until("charts.some(({chart}) => chart.data[1].includes(4.5))")
        store.end_trial(trial.id, "ok", 1.8, {})
        store.update_experiment(
            experiment.id, state="settled", verdict="keep", val_bpb=1.8, hypothesis="it became better", settled=9.0
        )
        add(store, wild, 6, "discard", 1.95)
        chromium.until("document.body.textContent.includes('it became better')")
        chromium.until(f"{DRAWN} === 1")
        chromium.open("about:blank")


def write_report(root: Path, folder: Path) -> Path:
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as store:
        wild = store.session("wild")
        assert wild is not None
        found = summary.read(store, wild, root / "runs", 0.0)
    path = folder / "report.html"
    path.write_text(html.page("t", report.layout(found)))
    return path


def test_a_report_opens_from_the_disk(chromium: Browser, root: Path, tmp_path: Path) -> None:
    path = write_report(root, tmp_path)
    chromium.ask("Network.enable")
    chromium.ask("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
    chromium.open(path.as_uri())
    chromium.ask(
        "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1
    )
    assert chromium.value("performance.getEntriesByType('resource').length") == 0
    assert chromium.value("getComputedStyle(document.querySelector('main')).maxWidth") == "928px"
