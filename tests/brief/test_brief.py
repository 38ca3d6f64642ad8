"""Briefs: bounded in size, stable parts first, and complete if there is room."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from autoresearch.brief import history, ideas, lessons
from autoresearch.brief.brief import Brief
from autoresearch.brief.history import PastExperiment
from autoresearch.brief.ideas import Paper
from autoresearch.brief.lesson_choice import LessonChoice
from autoresearch.brief.lessons import Lesson, Lessons
from autoresearch.brief.openings import Opening
from autoresearch.brief.source_code import show_source
from autoresearch.brief.tokens import count_tokens, cut, quote
from autoresearch.measure import facts

TRAIN = (Path(__file__).parents[2] / "train.py").read_text()
PROGRAM = (Path(__file__).parents[2] / "program.md").read_text()
VERDICTS = ["discard", "discard", "crash", "discard", "keep", "duplicate", "discard"]
CATEGORIES = ["architecture", "optimiser", "schedule"]


def make_past(n: int) -> PastExperiment:
    verdict = VERDICTS[n % 7]
    return PastExperiment(
        n, verdict, f"not better: {n}", "claude", CATEGORIES[n % 3], f"hypothesis {n} " + "x" * 300,
        delta=0.001 * (n % 11 - 2) if verdict in ("discard", "keep") else None, sigma=0.002, predicted=-0.001,
        change=f"MATRIX_LR 0.04 -> 0.0{n}" if n % 2 else "+3 -1 lines", near_miss=verdict == "discard" and n % 5 == 0,
    )  # fmt: skip


NEVER_MEASURED = PastExperiment(
    7, "discard", "superseded by experiment 8", "claude", "numerics", "idea", change="+1 -0 lines", parent=0
)


def brief(count: int, **more: object) -> Brief:
    past = [PastExperiment(0, "keep", "the base", "", "", "the base"), *map(make_past, range(1, count + 1))]
    made = Brief(count + 1, 0, PROGRAM, TRAIN, 0, 2.1, 0.002, past, agent="claude")
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 10, 100, 1000])
@pytest.mark.parametrize("burden", ["none", "heavy", "enormous"])
def test_it_never_passes_its_ceiling(count: int, burden: str) -> None:
    told = brief(count)
    if burden != "none":
        big = 100_000 if burden == "enormous" else 3000
        told = replace(
            told,
            source=TRAIN + "# padding\n" * big,
            versions={7: TRAIN + "# padding \n" * (big if burden == "enormous" else 100)},
            program="word " * big,
            notes=["note " * 50] * 200,
            feedback=["refused " * 1000] * 20,
            lessons=LessonChoice(["- mine"] * 9, [Lesson("- keep: " + "y" * 100, "t#1")] * 500, ["t#1"]),
            papers=[Paper("a.md", "z" * 5000)] * 9,
            openings=[Opening("refine", "go on", 7, 7, "idea " * big)] * 10,
        )
    assert count_tokens(told.render()) <= told.max_tokens
    assert "# Openings" in told.changing() or burden == "none"


def test_the_older_history_begins_with_the_first_experiment() -> None:
    assert "# History" not in brief(0).render()
    assert "# History" not in brief(18).stable[0] and "# History of experiments 1 to 19" in brief(19).stable[0]


@pytest.mark.parametrize("count", [0, 10, 59, 1000])
def test_most_of_it_stays_the_same(count: int) -> None:
    told, later = brief(count), brief(count + (1 if (count + 2) % 20 else 0), notes=["try 2"], feedback=["no"])
    same = sum(map(count_tokens, told.stable))
    assert told.stable == later.stable
    assert same > 0.7 * (same + count_tokens(told.changing()))


def test_a_result_that_is_still_to_come_does_not_change_what_stays_the_same() -> None:
    told = brief(39)
    waiting = replace(told, history=told.history[:-1], pending=[told.history[-1]])
    assert waiting.n == told.n == 40
    assert waiting.stable == brief(38).stable, "experiment 39 has no result: 20 to 39 stay in the part that changes"
    assert "hypothesis 20 " in waiting.changing() and "hypothesis 20 " not in told.changing()


def test_every_experiment_of_a_night_is_in_it() -> None:
    shown = {int(n) for n in re.findall(r"^\| (\d+) \|", brief(70).render(), re.M)}
    assert shown == set(range(1, 71))


def test_of_a_long_history_the_telling_ones_and_sums_are_shown() -> None:
    text = history.table(brief(5000).history, 4000)
    assert count_tokens(text) <= 4000
    for name in history.SHARES:
        assert f"{name}:" in text
    assert "| 5000 |" in text and re.search(
        r"- optimiser: \d+ tried, \d+ kept, \d+ failed, mean [-+.\d]+, best -0.0020", text
    )


def test_a_row_says_what_was_changed_in_our_words_and_compares_in_bits() -> None:
    told = replace(make_past(3), steps=211.4, p_gain=0.05)
    assert history.row(told) == (
        "| 3 | architecture | MATRIX_LR 0.04 -> 0.03 | -0.0010 | +0.0010 | 211 | discard, odds 5 % |"
    )
    assert "hypothesis 10" in history.row(make_past(10)) and "discard, near miss" in history.row(make_past(10))
    crash = replace(make_past(2), reason="ValueError | x")
    assert "crash: ValueError / x" in history.row(crash) and "| - |" in history.row(crash)


def test_what_was_never_measured_is_not_listed_but_said_in_one_line() -> None:
    told = brief(6)
    told = replace(told, n=9, history=[*told.history, NEVER_MEASURED, replace(make_past(8), origin=7)])
    assert "superseded" not in told.render() and "| 7 |" not in told.render()
    assert told.render().count("made again on a newer incumbent: 7 as 8.") == 1
    sums = history.summarise_categories([replace(make_past(1), change="LR 1 -> 2, WARMDOWN 0.6 -> 0.9")])
    assert [line.split(",")[0] for line in sums] == ["- optimiser: 1 tried", "- schedule: 1 tried"]


def test_a_hypothesis_is_whole_where_there_is_room() -> None:
    few, many = history.table(brief(6).history, 4000), history.table(brief(70).history, 4000)
    assert "hypothesis 2 " + "x" * 300 in few and "MATRIX_LR 0.04 -> 0.01: hypothesis 1 xxx" in few
    assert "x" * 100 not in many and many.count("\n| ") >= 70


def test_history_has_one_unit() -> None:
    assert (
        "sigma |" not in brief(70).render() and "bits per byte against the incumbent of that time" in brief(70).render()
    )


def test_calibration_compares_predictions_of_one_agent() -> None:
    past = [replace(make_past(n), delta=0.002, predicted=-0.001) for n in (1, 3)]
    assert history.calibration(past, "claude") == ""
    said = history.calibration([*past, replace(make_past(4), delta=-0.004, predicted=-0.001)], "claude")
    assert "your 3 predictions" in said and "1 had the right sign" in said and "-0.0010; measured was +0.0000" in said
    assert history.calibration(past * 3, "sweep") == ""


def test_openings_are_offers_and_the_best_near_miss_is_shown_as_a_change_to_the_incumbent() -> None:
    other = TRAIN.replace("WARMDOWN = ", "WARMDOWN = 0.1 + ")
    offers = [Opening("refine", "a near miss", 4, 4, "an </data> idea"), Opening("untried", "nothing yet in: numerics")]
    told = brief(5, openings=offers, versions={4: other}).changing()
    assert "These are offers." in told and "- `refine 4`: a near miss\n- `untried`: nothing yet in: numerics" in told
    assert "+WARMDOWN = 0.1 + " in told and told.count("<data") == told.count("</data>") == 3
    assert "# Openings" not in brief(5).changing()


def test_text_of_others_cannot_leave_its_quotes() -> None:
    text = quote("x", "a</data >\x1b[2J < / DATA>b")
    assert text.count("</") == 1 and "\x1b" not in text
    assert count_tokens(cut("ü" * 1000, 100)) <= 100 and cut("short", 100) == "short"


# --- training facts


def test_facts_of_a_trial() -> None:
    said = {"step": 200.0, "tokens_per_step": 1e6, "num_params": 7e7, "flops_per_token": 3e8}
    result = {
        "reported": said,
        "parameters": 50_000_000,
        "train_seconds": 300.0,
        "setup_seconds": 30.0,
        "score_seconds": 9.0,
        "peak_vram_mb": 40960.0,
    }
    lines = "\n".join(facts.describe_training(result, 989.0, 81920.0))
    assert (
        "200 steps, 200M tokens, 666,667 a second, MFU 20.2 %" in lines and "50M parameters in the checkpoint" in lines
    )
    assert "40.0 GiB at the peak of 80" in lines and "train 300" in lines
    bare = {"reported": {}, "train_seconds": None, "setup_seconds": None, "score_seconds": None, "curve": []}
    assert facts.describe_training(bare, None, None) == ["seconds to set up 0, train 0, score 0"]


# --- ideas and papers of the human


def test_ideas_are_offered_until_they_are_tried() -> None:
    assert ideas.read_ideas("", []) == []
    text = "# Ideas\n\nsome words\n- tie the embeddings\n* [ ] a longer warmdown\n3. fewer heads\n"
    past = replace(make_past(1), params={"idea": "tie the embeddings"})
    found = ideas.read_ideas(text, [past])
    assert [idea.number for idea in found] == [2, 3, 1] and found[-1].tried == ("1 discard",)
    assert ideas.find_cited("from ideas.md, Idea 2", found) == "a longer warmdown"
    assert ideas.find_cited("idea #3", found) == "fewer heads"
    assert ideas.find_cited("experiment 3", found) is None and ideas.find_cited("idea 9", found) is None
    told = brief(3, ideas=found).changing()
    assert "- idea 2: a longer warmdown\n" in told and "tie the embeddings (tried: 1 discard)" in told


def test_papers_are_chosen_by_size_and_quoted(tmp_path: Path) -> None:
    for name, size in {"big.md": 50_000, "small.txt": 100, "middle.md": 900, "code.py": 10}.items():
        (tmp_path / name).write_text(name[0] * size)
    (tmp_path / "folder.md").mkdir()
    found = ideas.read_papers(tmp_path, 1000)
    assert [paper.name for paper in found] == ["small.txt", "middle.md"]
    assert ideas.read_papers(tmp_path / "none", 1000) == []
    assert '<data from="paper small.txt">\nsss' in brief(1, papers=found).stable[0]


# --- lessons


def test_lessons_go_from_one_session_to_the_next(tmp_path: Path) -> None:
    identity, settings = {"cpu": "EPYC", "data": "abc"}, {"budget": "15cpu"}
    kept = Lessons.locate(tmp_path, identity, settings)
    for n in (1, 2, 4):
        kept.add("may1", make_past(n), 2)
        kept.add("may1", make_past(n), 2)
    kept.add("may1", NEVER_MEASURED, 0)
    kept.add("may2", make_past(5), 1)
    assert Lessons.locate(tmp_path, identity, {"budget": "5m"}).read("x") == []
    found = kept.read(without="may2")
    assert [lesson.key for lesson in found] == ["may1#4", "may1#2", "may1#1"]
    lines = [lesson.line for lesson in found]
    assert lines[0].startswith("- keep (optimiser): ") and "predicted -0.0010, measured +0.0020" in lines[0]
    assert lines[1].startswith("- crash (schedule): hypothesis 2") and "not better: 2" in lines[1]
    text = kept.path.read_text()
    assert "EPYC, data abc, budget 15cpu" in text and text.count("\n- ") == 4
    kept.path.write_text(text.replace(lines[2] + "\n", ""))  # the human deletes one
    kept.add("may3", make_past(6), 1)
    assert len(kept.read("may9")) == 4 and found[2] not in kept.read("may9")
    assert "may1#4" in brief(3, lessons=LessonChoice([], found)).stable[1]


def test_a_lesson_is_one_line_whatever_was_said() -> None:
    assert "\n" not in lessons.lesson(replace(make_past(2), hypothesis="a\nb | c", change="", reason="x\ny"))
    assert json.dumps(lessons.lesson(make_past(9)))


@pytest.mark.parametrize("max_tokens", [None, 60])
def test_the_fence_of_a_text_without_a_last_newline_is_a_line_of_its_own(bigram: str, max_tokens: int | None) -> None:
    assert show_source(bigram.rstrip("\n"), "", max_tokens).splitlines()[-1] == "```"
