"""`autoresearch judge`: a second opinion on logs whose truth the test knows."""

import json
import random
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest
from typer.testing import CliRunner

from autoresearch.analysis.foreign_log import judge_entries, read_log
from autoresearch.cli import app
from autoresearch.errors import UserError
from autoresearch.judge.kept_levels import Stage, judge_log

GOOD = 0.1


def greedy_night(seed: int, good: float = GOOD, ideas: int = 100) -> tuple[list[Stage], list[float]]:
    """Return the stages of a log that keeps any lower score, with sigma 1, and the true scores of its versions."""
    rng = random.Random(seed)
    best = rng.gauss(0, 1)
    truth, scores, others = [0.0], [[best]], [[]]
    for _ in range(ideas):
        u = rng.random()
        effect = -rng.uniform(0.5, 4) if u < good else rng.expovariate(1 / 3) if u < good + 0.6 else 0.0
        score = truth[-1] + effect + rng.gauss(0, 1)
        if score < best:
            best = score
            truth.append(truth[-1] + effect)
            scores.append([score])
            others.append([])
        else:
            others[-1].append(score)
    return [Stage(*each) for each in zip(scores, others, strict=True)], truth


def log_file(folder: Path, rows: list[str], name: str = "results.tsv") -> Path:
    path = folder / name
    path.write_text("\n".join(["commit\tval_bpb\tmemory_gb\tstatus\tdescription", *rows]) + "\n")
    return path


@pytest.mark.slow
def test_gain_and_number_of_real_keeps_are_those_of_the_truth_on_average() -> None:
    nights = [greedy_night(seed) for seed in range(12)]
    opinions = [judge_log(stages, 1.0) for stages, _ in nights]
    true_gains = [truth[-1] for _, truth in nights]
    written = [stages[-1].scores[0] - stages[0].scores[0] for stages, _ in nights]
    off = abs(fmean(o.gain for o in opinions) - fmean(true_gains))
    assert off < 0.5 < abs(fmean(written) - fmean(true_gains))
    real = [sum(b < a - 0.1 for a, b in pairwise(truth)) for _, truth in nights]
    assert abs(fmean(o.real for o in opinions) - fmean(real)) < 1
    inside = [o.low <= gain <= o.high for o, gain in zip(opinions, true_gains, strict=True)]
    assert sum(inside) >= 10


def test_luck_is_not_believed_and_a_large_gain_is() -> None:
    nothing = judge_log(greedy_night(3, good=0.0)[0], 1.0)
    assert nothing.real < 0.3 * len(nothing.keeps)
    jump = judge_log([Stage([0.0], [0.5, 1.0, -0.2]), Stage([-30.0], [-29.0, -30.5])], 1.0)
    assert jump.keeps[0].p_gain > 0.99 and jump.real_low == 1
    assert abs(jump.gain + 30) < 2


def test_the_original_columns(tmp_path: Path) -> None:
    rows = ["a\t0.9979\t44.0\tkeep\tbaseline", "b\t0.0\t0.0\tcrash\tOOM", "c\t0.9950\t44.0\tkeep\tlr"]
    log = read_log(log_file(tmp_path, rows))
    assert (log.metric, log.failed, [entry.line for entry in log.entries]) == ("val_bpb", 1, [1, 3])
    assert log.claimed == pytest.approx(-0.0029)


def test_repeats_give_the_noise_and_are_scores_of_their_version(tmp_path: Path) -> None:
    rows = [
        "a\t1.000\t-\tkeep\tbaseline",
        "d\t1.004\t-\tdiscard\tbaseline",
        "b\t0.900\t-\tkeep\tidea",
        "b\t0.902\t-\tdiscard\tidea again",
    ]
    log = read_log(log_file(tmp_path, rows))
    assert [stage.scores for _, stage in log.versions] == [[1.0, 1.004], [0.9, 0.902]]
    (one,) = judge_entries(log)
    assert one.source == "from 4 repeated entries"
    assert one.sigma == pytest.approx(((0.002**2 * 2 + 0.001**2 * 2) / 2) ** 0.5)


def test_the_same_words_on_another_incumbent_are_no_repeat(tmp_path: Path) -> None:
    rows = ["a\t1.0\t-\tkeep\tbase", "b\t0.9\t-\tkeep\tlr up", "c\t0.8\t-\tkeep\tlr up"]
    assert len(judge_entries(read_log(log_file(tmp_path, rows)))) > 1  # noise unknown: several opinions


def test_json_lines_nested_numbers_and_a_maximum(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    entries = [{"metrics": {"auc": 0.5 + 0.1 * k}, "verdict": "accepted", "sha": str(k)} for k in range(3)]
    path.write_text("\n".join(map(json.dumps, [*entries, {"metrics": {"auc": None}}])) + "\nno json\n")
    log = read_log(path, "metrics.auc", "max")
    (one,) = judge_entries(log, 0.01)
    assert log.failed == 1 and one.opinion.real > 1.9
    assert log.sign * one.opinion.gain == pytest.approx(0.2, abs=0.03)


def test_a_log_without_status_keeps_what_is_best_so_far(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,3.0\n2,3.1\n3,2.5\n")
    assert [entry.kept for entry in read_log(path).entries] == [True, False, True]


def test_a_quotation_mark_in_a_table_with_tabs_is_a_letter(tmp_path: Path) -> None:
    rows = ["a\t1.0\t-\tkeep\tbase", 'b\t0.9\t-\tkeep\t"half open', "c\t0.8\t-\tkeep\tx\u2028y", "d\t0.7\t-\tkeep\tz"]
    assert [entry.score for entry in read_log(log_file(tmp_path, rows)).entries] == [1.0, 0.9, 0.8, 0.7]


def test_a_quotation_mark_that_stays_open_in_a_csv_is_said_with_its_line(tmp_path: Path) -> None:
    """The line where its row begins."""
    path = tmp_path / "log.csv"
    path.write_text('loss,notes\n3.0,"a, b"\n\n2.9,"open\n2.8,x\n')
    with pytest.raises(UserError, match=r"log\.csv: line 4 cannot be read: unexpected end of data"):
        read_log(path)
    path.write_text(f"loss,notes\n3.0,{'x' * 200_000}\n2.9,x\n")
    with pytest.raises(UserError, match="line 2 cannot be read: field larger than field limit"):
        read_log(path)


@pytest.mark.parametrize("depth", [900, 100_000])
def test_a_line_of_json_that_is_nested_too_deeply_has_no_score(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "log.jsonl"
    deep = '{"a":' * depth + "1" + "}" * depth
    path.write_text(f'{{"loss": 3.0}}\n{{"loss": 2.0, "more": {deep}}}\n{{"loss": 1.0}}\n')
    assert [entry.score for entry in read_log(path).entries][::2] in ([3.0], [3.0, 1.0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column with a known metric"),
        ("a,b\n1,2\n", "give --metric, one of: a, b"),
        ("val_bpb,status\n1.0,keep\n1.1,discard\n", "nothing was kept after the first of 2 entries"),
    ],
)
def test_what_cannot_be_judged_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_log(path)
    with pytest.raises(UserError, match="there is no"):
        read_log(tmp_path / "none.tsv")


def test_the_command_prints_and_draws(tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = [f"x{k}\t{1 - 0.01 * k + rng.gauss(0, 0.001):.6f}\t-\tkeep\tidea <{k}>" for k in range(4)]
    path, page = log_file(tmp_path, rows), tmp_path / "page.html"
    done = CliRunner().invoke(app, ["judge", str(path), "--sigma", "0.001", "--html", str(page)])
    assert done.exit_code == 0 and "About 3 of 3 keeps are real" in done.output
    html = page.read_text()
    assert html.count("<svg") == 2 and "idea &lt;3&gt;" in html
    asked = CliRunner().invoke(app, ["judge", str(path), "--json"])
    assert len(json.loads(asked.output)["opinions"]) == 4
