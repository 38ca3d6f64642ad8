"""The pages show the content of the ledger."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from support.experiments import experiment
from support.web_client import HOSTILE, Tags, add, served, session

from autoresearch.analysis import compare
from autoresearch.analysis.total import Interval
from autoresearch.ledger import Ledger, experiment_rows
from autoresearch.session.live import LiveTrial
from autoresearch.web import listing

pytest_plugins = ["support.web_fixtures"]


def numbers_of(text: str) -> list[int]:
    """The experiments of the table, in its order."""
    return [int(link.rsplit("/", 1)[1]) for link in Tags(text).links() if link.rsplit("/", 1)[-1].isdigit()]


def test_every_session_is_listed_the_newest_first(pages: httpx.Client) -> None:
    found = Tags(pages.get("/").text)
    sessions = [link for link in found.links() if link.startswith("/s/")]
    assert sessions[1:] == ["/s/wild", "/s/calm"] and sessions[0].startswith("/s/%3Cscript%3E")
    assert "-0.0500, 95 % between -0.0600 and -0.0400" in found.words and "2.0000 → 1.9000" in found.words


def test_a_session_is_its_report_with_ways_to_every_experiment(pages: httpx.Client) -> None:
    text = pages.get("/s/calm").text
    assert "<svg" in text and "The honest total: experiment 1 against the base" in text
    assert {"/s/calm/1", "/s/calm/2", "/s/calm/3"} <= set(Tags(text).links())
    assert "data-state" not in text  # it is over


def test_an_experiment_has_all_that_is_known_of_it(pages: httpx.Client) -> None:
    text = pages.get("/s/wild/1").text
    assert "1.890000" in text and ">rerun</td>" in text and 'class="curve curve0"' in text
    assert "derived from 0" in Tags(text).words and "bytes before this" in text
    assert len(text) < 200_000  # its log is longer
    assert "No change: this is the base." in pages.get("/s/calm/0").text


def test_an_experiment_shows_what_was_held_against_it_and_what_people_said(pages: httpx.Client) -> None:
    text = pages.get("/s/calm/1").text
    assert ">of 0, beside it</td>" in text and "2.030000" in text and "accepted by Ann: reads well" in text
    assert (
        "rejected by" in pages.get("/s/wild/1").text
        and "<dt>ablation</dt><dd>not measured: " in pages.get("/s/wild/1").text
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", [3, 2, 1, 0]), ("?sort=n", [0, 1, 2, 3]), ("?sort=val_bpb", [1, 0, 2, 3]),
        ("?sort=-val_bpb", [2, 0, 1, 3]),
        ("?verdict=near+miss", [2]), ("?category=architecture&sort=n", [1, 2]), ("?sort=-cost&verdict=keep", [1, 0]),
        ("?sort=nonsense&page=x", [3, 2, 1, 0]), ("?page=99999999999", [3, 2, 1, 0]), ("?page=2", []),
        ("?verdict=%3Cscript%3E", []), ("?unknown=1", [3, 2, 1, 0]),
    ],
)  # fmt: skip
def test_experiments_are_filtered_and_sorted_by_links(pages: httpx.Client, asked: str, expected: list[int]) -> None:
    assert numbers_of(pages.get(f"/s/calm/experiments{asked}").text) == expected


def test_a_card_names_its_columns_without_the_arrow_of_the_sorting(pages: httpx.Client) -> None:
    page = pages.get("/s/calm/experiments?sort=-n").text
    assert ">n ↓</a>" in page and 'data-name="n"' in page and 'n ↓"' not in page


def test_the_links_of_the_table_lead_where_they_say(pages: httpx.Client) -> None:
    links = Tags(pages.get("/s/calm/experiments").text).links()
    crash = next(link for link in links if "verdict=crash" in link)
    assert numbers_of(pages.get(f"/s/calm/experiments{crash}").text) == [3]
    choice = listing.Choice.of({"sort": "cost", "verdict": "keep"})
    assert choice.by("cost").address == "?verdict=keep&sort=-cost&page=1" and choice.where("verdict", None).only == {}


def test_ten_thousand_experiments_are_leafed_through() -> None:
    rows = [experiment(n) for n in range(10_000)]
    *_, table, way = listing.layout(rows, listing.Choice.of({"page": "50"}))
    assert len(table.rows) == listing.PAGE_ROWS and table.rows[-1][0] == "0" and len(way.parts) == 100


def test_a_line_has_what_people_said_and_a_reason_only_once() -> None:
    kept = experiment(1, "keep", reason="less code for the same score", review="rejected", hypothesis="x")
    broken = [experiment(1, "invalid", val_bpb=None, hypothesis=words, reason="y") for words in ("broken: y", "z")]
    *_, table = listing.layout([kept, *broken], listing.Choice.of({"sort": "n"}))
    verdict = table.head.index("verdict")
    assert [row[verdict : verdict + 2] for row in table.rows] == [
        ("simpler", "rejected"), ("invalid", ""), ("invalid", ""),
    ]  # fmt: skip
    assert [row[-1] for row in table.rows] == ["x", "broken: y", "z | y"]


def test_what_was_superseded_is_listed_only_where_it_is_asked_for() -> None:
    gone = {"val_bpb": None, "delta": None, "reason": "superseded by experiment 1"}
    rows = [experiment(1), experiment(2, **gone), experiment(3, origin=2)]
    *_, table, line = listing.layout(rows, listing.Choice.of({"sort": "n"}))
    assert [cells[0] for cells in table.rows] == ["1", "3"]
    assert line.parts == ["Never measured: made again on a newer incumbent: 2 as 3."]
    *_, table, line = listing.layout(rows, listing.Choice.of({"verdict": "unmeasured"}))
    assert [cells[0] for cells in table.rows] == ["2"]


@pytest.mark.parametrize("name", ["cost", "time", "n", "change", "seed", "measured", "verdict", "total", "accuracy"])
def test_a_metric_may_have_the_name_of_a_column(tmp_path: Path, name: str) -> None:
    """It keeps its name where no other column has it, and is called `score` there."""
    with Ledger.open(tmp_path / "runs" / "ledger.db") as store:
        found = session(store, "t", metric=name, kind="noisy")
        add(store, found, 1, "keep", 1.23456, hypothesis="deeper", cost_usd=0.5)
        row = experiment_rows(store, found)[1]
    *_, table = listing.layout([row], listing.Choice({}))
    column = table.head.index("score" if name in listing.COLUMNS else name)
    assert table.rows[0][column] == "1.2346" and len({*table.head}) == len(table.head)
    assert table.head[column].href == "?sort=score&page=1"
    with served(tmp_path) as client:
        for page in ("/s/t", "/s/t/experiments", "/s/t/1", "/s/t/experiments.csv"):
            answer = client.get(page)
            assert answer.status_code == 200 and "1.23" in answer.text, page
        about = client.get("/s/t/1").text
    assert about.count(">1.23456<") == 2  # of the experiment, and of its trial


def test_two_sessions_side_by_side(pages: httpx.Client) -> None:
    found = Tags(pages.get("/compare/calm/wild").text)
    assert "They differ: budget: 5m against 15cpu." in found.words and "not measured" in found.words
    assert "1 of 3: 33 %, 95 % between 6 % and 79 %" in found.words
    assert "1.9000, 95 % between 1.8804 and 1.9196" in found.words
    assert [len(pages.get(f"/compare/{pair}").text) > 0 for pair in ("calm/calm", "calm/nobody")] == [True, True]
    gains = pages.get("/compare/calm/wild/gains.json").json()
    assert [series["name"] for series in gains["series"]] == ["calm", "wild"] and gains["series"][0]["y"][
        -2
    ] == pytest.approx(-0.1)


def test_one_session_has_nothing_beside_it_and_the_page_says_so(tmp_path: Path, pages: httpx.Client) -> None:
    with Ledger.open(tmp_path / "runs" / "ledger.db") as store:
        session(store, "alone")
    with served(tmp_path) as client:
        found = Tags(client.get("/compare").text)
        assert "There is only one session, alone." in found.words and "/s/alone" in found.links()
        assert not any(link.startswith("/compare/") for link in found.links())
    assert "There is no session nobody." in Tags(pages.get("/compare/calm/nobody").text).words
    same = Tags(pages.get("/compare/calm/calm").text)
    assert "Both are calm: choose another" in same.words and "/compare/wild/calm" in same.links()
    assert "first minus second" not in same.words and "/compare/calm/calm" not in same.links()


def test_differences_have_intervals() -> None:
    found = compare.difference(Interval(-0.05, -0.08, -0.02), Interval(-0.01, -0.05, 0.03))
    assert (found.mean, found.low, found.high) == pytest.approx((-0.04, -0.09, 0.01))


def test_the_numbers_of_the_chart_are_those_of_the_ledger(pages: httpx.Client) -> None:
    found = pages.get("/s/calm/progress.json").json()
    columns = {series["name"]: series["y"] for series in found["series"]}
    assert found["x"] == [0, 1, 2, 3] and columns["keep"] == [2.0, 1.9, None, None]
    assert columns["running best"] == [2.0, 1.9, 1.9, 1.9] and columns["near miss"] == [None, None, 2.1, None]
    assert columns["high"][1] == pytest.approx(1.91) and columns["failed"][3] == found["low"]
    assert found["words"]["3"] == "3 crash: a broken one"
    curves = pages.get("/s/calm/1/curves.json").json()
    assert len(curves["x"]) == 20 and [series["name"] for series in curves["series"]] == [
        "rerun, seed 1001",
        "experiment 0",
    ]


# --- curves of chosen trials


def test_curves_of_chosen_trials_lie_on_common_axes(pages: httpx.Client) -> None:
    found = Tags(pages.get("/s/calm/curves").text)
    assert "0: base, seed 1000" in found.words and "1: rerun, seed 1001" in found.words
    assert found.words.count("✓") == 2 and "choose none" in found.words
    both = next(attributes for tag, attributes in found.found if tag == "main")["data-base"]
    add = next(link for link in found.links() if link.startswith(f"{both}%2C"))  # one more trial
    three = Tags(pages.get(add).text)
    assert three.words.count("✓") == 3 and "3: screen, seed 1003" in three.words
    data = pages.get(f"{add}/curves.json").json()
    assert [series["name"] for series in data["series"]] == [
        "0: base, seed 1000", "1: rerun, seed 1001", "3: screen, seed 1003",
    ]  # fmt: skip
    assert both in three.links()  # which leaves it out again
    assert "✓" not in pages.get("/s/calm/curves/none").text


@pytest.mark.parametrize("trials", ["x", "1,", "-1", "99999", "1,1 or 1", "9" * 30, "none,1"])
def test_trials_that_are_not_of_the_session_are_missing(pages: httpx.Client, trials: str) -> None:
    for path in (f"/s/calm/curves/{trials}", f"/s/calm/curves/{trials}/curves.json"):
        assert pages.get(path).status_code == 404


def test_trials_of_another_session_are_missing(pages: httpx.Client) -> None:
    chosen = next(link for link in Tags(pages.get("/s/wild/curves").text).links() if "/curves/" in link)
    assert pages.get(chosen).status_code == 200 and pages.get(chosen.replace("wild", "calm")).status_code == 404


# --- downloads


def read_csv(client: httpx.Client, path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.get(path).text)))


def test_experiments_and_curves_can_be_downloaded(pages: httpx.Client) -> None:
    rows = read_csv(pages, "/s/calm/experiments.csv")
    assert [(row["n"], row["verdict"], row["val_bpb"]) for row in rows] == [
        ("0", "keep", "2.0"), ("1", "keep", "1.9"), ("2", "discard", "2.1"), ("3", "crash", ""),
    ]  # fmt: skip
    assert rows[1]["delta"].startswith("-0.1") and rows[3]["hypothesis"] == "a broken one"  # on one line
    curves = read_csv(pages, "/s/calm/1/curves.csv")
    assert len(curves) == 20 and curves[0] == {
        "seconds of training": "0.0",
        "rerun, seed 1001": "6.0",
        "experiment 0": "",
    }
    gains = read_csv(pages, "/compare/calm/wild/gains.csv")
    assert gains[0] == {"experiment": "0.0", "calm": "0.0", "wild": "0.0"}
    for path in ("/s/calm", "/s/calm/experiments", "/s/calm/1", "/s/calm/curves", "/compare/calm/wild"):
        links = [link for link in Tags(pages.get(path).text).links() if link.endswith(".csv")]
        assert links and all(pages.get(link).status_code == 200 for link in links), path
    (beside,) = (link for link in Tags(pages.get("/s/calm/1").text).links() if "/curves/" in link)
    assert "1: rerun, seed 1001" in pages.get(beside).text


def test_text_in_a_download_is_no_formula(alone: Path) -> None:
    with Ledger.open(alone / "runs" / "ledger.db") as store, served(alone) as client:
        wild = store.session("wild")
        assert wild is not None
        add(store, wild, 5, "discard", 2.0, hypothesis='=HYPERLINK("http://evil.example")', category="\uff1d1+1")
        rows = read_csv(client, "/s/wild/experiments.csv")
    assert rows[-1]["hypothesis"].startswith("'=") and rows[-1]["category"] == "'\uff1d1+1"


# --- what runs now


def test_the_running_trial_is_shown_and_a_change_is_noticed(alone: Path) -> None:
    with Ledger.open(alone / "runs" / "ledger.db") as store, served(alone) as client:
        assert client.get("/s/wild/live.json").json()["x"] == []
        before = client.get("/s/wild/state.json").json()["stamp"]
        wild = store.session("wild")
        experiment = store.add_experiment(wild.id, 5, hypothesis="now", state="measuring")
        store.start_trial(wild.id, experiment.id, "screen", 9, "blob")
        curve = [(0.0, 6.0), (0.1, 5.0), (0.25, 4.0)]
        told = asdict(LiveTrial(5, "screen", "train", 0.25, curve=curve, tokens_per_second=12345.6, arm="codex"))
        (alone / "runs" / "wild" / "live.json").write_text(json.dumps(told))
        assert client.get("/s/wild/state.json").json()["stamp"] != before
        text = client.get("/s/wild").text
        assert (
            'data-chart="live"' in text
            and "12,346 tokens a second" in text
            and ", of codex, " in text
            and "experiment 5, screen, 25 %" in text
            and 'data-state="/s/wild/state.json"' in text
        )
        found = client.get("/s/wild/live.json").json()
        assert [series["name"] for series in found["series"]] == [
            "experiment 5, screen, 25 %",
            "experiment 1, the incumbent",
        ]
        assert found["series"][0]["y"][found["x"].index(0.25)] == 4.0 and found["x"][-1] == 1.0


# --- what is not there


@pytest.mark.parametrize(
    "path",
    [
        "/s/nobody",
        "/s/calm/77",
        "/s/calm/x",
        "/nowhere",
        "/s/nobody/state.json",
        "/s/",
        "/s/calm/99999999999999999999999",
    ],
)
def test_what_is_not_there_is_said_to_be_missing(pages: httpx.Client, path: str) -> None:
    answer = pages.get(path)
    assert answer.status_code == 404 and "Not found" in answer.text and "content-security-policy" in answer.headers


def test_without_a_ledger_there_is_one_line(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        answer = client.get("/")
    assert answer.status_code == 503 and "no session yet: start one with" in answer.text


def test_a_tag_is_text_like_any(pages: httpx.Client) -> None:
    tag = HOSTILE.replace("\x1b", "")
    answer = pages.get(f"/s/{quote(tag, safe='')}")
    assert answer.status_code in (200, 404) and "<script>alert" not in answer.text
