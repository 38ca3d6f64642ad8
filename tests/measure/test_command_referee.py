"""Trials of a command: what it sees, which number counts, and how a trial without a number ends."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from autoresearch.measure.clock import Budget
from autoresearch.measure.command_referee import CommandReferee
from autoresearch.measure.command_spec import CommandSpec, NoNumberError, Step
from autoresearch.measure.guards import CommandGuard, Limit, NumberGuard
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.sandbox.cleanup import LEFTOVER
from autoresearch.source_tree import SourceTree

LOCKED = {"bench.sh": "#!/bin/sh\n. ./run.sh\n", "answers.txt": "42\n"}


def exporter(files: Mapping[str, str]) -> Callable[[Path], None]:
    def export(folder: Path) -> None:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
            (folder / name).chmod(0o755 if name.endswith(".sh") else 0o644)

    return export


def measure(script: str, plan: TrialPlan = TrialPlan(), **fields: Any) -> Result:
    """Measure a version whose only file is run.sh, by default sourced by the locked bench.sh."""
    return measure_text(SourceTree({"run.sh": script}).text, plan, **fields)


def measure_text(text: str, plan: TrialPlan = TrialPlan(), **fields: Any) -> Result:
    read = fields.pop("read", {})
    step = Step(fields.pop("command", ("./bench.sh", "{seed}", "{out}")), fields.pop("timeout_s", 20.0), read)
    spec = CommandSpec(step, "loss", edited=("run.sh",), locked=LOCKED, **{"regex": r"^loss: (\S+)", **fields})
    settings = Settings(Budget(20.0, "s"), memory=1 << 30)
    referee = CommandReferee(settings, spec, exporter(LOCKED | {"run.sh": "exit 1\n"}))
    try:
        return referee.measure(text, 7, plan)
    finally:
        referee.close()


def test_seed_files_and_modes_are_those_of_the_trial(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/x.txt").write_text("0.5\n")
    script = 'test -x run.sh && test -d "$2" && touch "$TMPDIR/x" && cat answers.txt && echo "loss: $(cat data/x.txt)"'
    result = measure(script, read={"data": tmp_path / "more"})
    assert (result.outcome, result.val_bpb, result.seed) == ("ok", 0.5, 7), result.reason
    assert measure('echo "loss: $1"').val_bpb == 7.0


@pytest.mark.parametrize(
    ("script", "outcome", "words"),
    [
        ("echo loss: 1; echo loss: 2", "invalid", "printed 2 times"),
        ("echo nothing", "invalid", "printed 0 times"),
        ("echo loss: nan", "nan", "loss is nan"),
        ("echo loss: many", "invalid", "no number: 'many'"),
        ("echo loss: -3", "suspect", "outside of what is possible"),
        ("echo loss: 1; echo no >&2; exit 3", "crash", "exit status 3: no"),
        ("echo loss: 1; kill -9 $$", "crash", "exit status -9"),
        ("echo loss: 1; sleep 30", "timeout", "did not end within 2 s"),
        ("echo x > bench.sh; echo loss: 1", "crash", "exit status"),
    ],
)
def test_a_number_is_never_made_up(script: str, outcome: str, words: str) -> None:
    result = measure(f"set -e; {script}", possible=(0.0, 10.0), timeout_s=2.0 if "sleep" in script else 20.0)
    assert (result.outcome, result.val_bpb) == (outcome, None)
    assert words in result.reason


BURN = "while :; do :; done"


@pytest.mark.parametrize(
    ("script", "budget", "outcome", "words"),
    [
        ("sleep 30", Budget(1.0, "s"), "timeout", "more than its budget of 1 s"),
        (f"{BURN} & {BURN}", Budget(1.0, "cpu"), "timeout", "more than its budget of 1 CPU-seconds"),
        ("sleep 2; echo loss: 1", Budget(1.0, "cpu"), "ok", ""),
    ],
)
def test_a_budget_is_of_the_wall_clock_or_of_all_processes(
    script: str, budget: Budget, outcome: str, words: str
) -> None:
    result = measure(script, budget=budget)
    assert result.outcome == outcome and words in result.reason
    assert (result.used > budget.amount) is (outcome == "timeout")


def test_a_command_gets_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD_X", "SECRET_KEY"):
        monkeypatch.setenv(name, "/from/outside")
    monkeypatch.setenv("PATH", f"/from/outside:{os.environ['PATH']}")
    log = measure("env; echo loss: 1").log
    names = {line.partition("=")[0] for line in log.splitlines()}
    assert "/from/outside" not in log
    assert {name for name in names if name.startswith("PYTHON")} == {
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONNOUSERSITE",
        "PYTHONUNBUFFERED",
    }


def test_guards_read_numbers_beside_the_metric() -> None:
    limit = Limit(1.0, is_upper=True)
    guards = (NumberGuard("late", limit, regex=r"^late (\S+)"), NumberGuard("seconds", limit, clock=True))
    result = measure("sleep 0.2; echo loss: 1; echo late 3", guards=guards)
    assert result.guards["late"] == 3.0 and 0.2 < result.guards["seconds"] < 20, result.reason
    without = measure("echo loss: 1", guards=guards)
    assert (without.outcome, without.val_bpb) == ("invalid", None)
    assert without.reason == "guard late: its number is there 0 times; it has to be once"


def test_a_guard_runs_where_the_score_has_not_lost(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("42")
    secret = CommandGuard(
        "secret", ("sh", "-c", "cat answers run.sh; exit 1"), 20.0, {"answers": tmp_path / "answers"}, ("answers",)
    )
    outputs = CommandGuard("outputs", ("grep", "-q", "3", "{in}/o.txt"), 20.0, {})
    write = 'echo 3 > "$2/o.txt"; echo loss: 1; cat answers'
    passed = measure(f"{write} || true", guards=(outputs,), outputs=("o.txt",))
    assert (passed.outcome, passed.passed) == ("ok", True), passed.reason
    failed = measure(f"{write} || true", guards=(outputs, secret), outputs=("o.txt",), private=("answers",))
    assert (failed.outcome, failed.reason) == ("invalid", "guard secret fails (crash)")
    assert "42" not in failed.log
    lost = TrialPlan(checks_guards=lambda score: score < 1)
    result = measure(f"{write} || true", lost, guards=(secret,), outputs=("o.txt",), private=("answers",))
    assert (result.outcome, result.passed) == ("ok", False)


def test_a_process_that_outlives_the_command_counts_for_nothing() -> None:
    script = '(sleep 1; echo "{}" > "$2/r.json") & echo done'
    result = measure(script, regex=None, json_path="$.loss", outputs=("r.json",), file="r.json")
    assert (result.outcome, result.reason) == ("nothing_saved", "the command did not write {out}/r.json")


def scored(script: str, scorer: str, plan: TrialPlan = TrialPlan(), **fields: Any) -> Result:
    step = Step(("sh", "-c", scorer, "sh", "{in}", "{seed}"), 20.0, {})
    return measure(script, plan, score=step, outputs=("o.txt",), private=("answers.txt",), **fields)


def test_the_score_comes_from_another_cell_without_the_version() -> None:
    write = 'cat answers.txt 2>/dev/null; echo 3 > "$2/o.txt"; echo loss: 0'
    result = scored(write, 'test ! -e run.sh && echo "loss: $(cat $1/o.txt)$(cat answers.txt)"')
    assert (result.outcome, result.val_bpb) == ("ok", 342.0), result.reason
    assert "42" not in result.log


def test_what_the_scorer_prints_is_in_no_reason() -> None:
    result = scored('echo 3 > "$2/o.txt"', "cat answers.txt >&2; exit 1")
    assert (result.outcome, result.reason) == ("crash", "`score` could not score the outputs (crash)")
    assert "42" not in result.log + result.reason


def test_the_holdout_is_measured_only_where_it_is_wanted() -> None:
    holdout = Step(("sh", "-c", 'echo "loss: 1$(cat $1/o.txt)"', "sh", "{in}"), 20.0, {})
    write, scorer = 'echo 3 > "$2/o.txt"', 'echo "loss: $(cat $1/o.txt)"'
    without = scored(write, scorer, holdout=holdout)
    assert (without.val_bpb, without.holdout_bpb) == (3.0, None)
    wanted = scored(write, scorer, TrialPlan(wants_holdout=lambda score: score < 4), holdout=holdout)
    assert (wanted.val_bpb, wanted.holdout_bpb) == (3.0, 13.0)


def test_a_holdout_that_fails_is_named() -> None:
    broken = Step(("sh", "-c", "cat answers.txt; exit 1"), 20.0, {})
    plan = TrialPlan(wants_holdout=lambda score: True)
    result = scored('echo 3 > "$2/o.txt"', 'echo "loss: $(cat $1/o.txt)"', plan, holdout=broken)
    assert (result.outcome, result.val_bpb, result.holdout_bpb) == ("crash", None, None)
    assert result.reason == "`holdout` could not score the outputs (crash)"


def test_a_trial_that_is_not_wanted_any_more_ends() -> None:
    result = measure("sleep 15; echo loss: 1", TrialPlan(is_unwanted=lambda: True))
    assert (result.outcome, result.ended_early) == ("infra", True)


def spec_of(**fields: Any) -> CommandSpec:
    return CommandSpec(Step(("python", "bench.py"), 1.0, {}), "loss", **fields)


@pytest.mark.parametrize(
    ("printed", "number"),
    [
        ('{"a": {"b": 2}}\n', 2.0),
        ('log\n{"other": 1}\n{"a": {"b": 2.5}}\n', 2.5),
        ('{"a": {"b": 1}}\n{"a": {"b": 1}}\n', None),
        ('{"a": {"b": true}}\n', None),
        ('{"a": {"b": "1"}}\n', None),
        ("{" * 5000, None),
    ],
)
def test_a_number_in_a_line_of_json(printed: str, number: float | None) -> None:
    spec = spec_of(json_path="$.a.b")
    if number is not None:
        assert spec.read(printed, None, 0.0).value == number
        return
    with pytest.raises(NoNumberError):
        spec.read(printed, None, 0.0)


def test_the_word_for_what_may_be_believed() -> None:
    score = Step(("python", "score.py"), 1.0, {})
    assert spec_of().belief == "reported"
    assert spec_of(locked={"bench.py": "x"}).belief == "in-process"
    assert spec_of(locked={"bench.py": "x"}, score=score).belief == "separate"
    assert "no file is private" in spec_of(score=score).describe_belief("STRONG")
    assert "print their own number" in spec_of().describe_belief("WEAK")
    assert " 1 file locked " in spec_of(locked={"bench.py": "x"}).describe_belief("WEAK")


def test_the_hash_is_of_everything_that_measures() -> None:
    base = spec_of(locked={"bench.py": "1"}, contents={"data": "1"})
    others = [
        spec_of(locked={"bench.py": "2"}, contents={"data": "1"}),
        spec_of(locked={"bench.py": "1"}, contents={"data": "2"}),
        spec_of(locked={"bench.py": "1"}, contents={"data": "1"}, possible=(0.0, 1.0)),
    ]
    assert base.hash == spec_of(locked={"bench.py": "1"}, contents={"data": "1"}).hash
    assert len({base.hash, *(each.hash for each in others)}) == 4


def test_files_of_the_users_home_are_at_their_places_in_the_home_of_the_cell(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/number").write_text("loss: 2.5\n")
    read = {"~/.cache/a b/data": tmp_path / "cache"}
    result = measure('cat "$HOME/.cache/a b/data/number"; test ! -e "./~"', read=read)
    assert (result.outcome, result.val_bpb) == ("ok", 2.5), result.reason


def guard_of(tmp_path: Path, **fields: Any) -> CommandGuard:
    """Return a guard that fails, by a program of the user's that is not in git."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/check.py").write_text("raise SystemExit(1)\n")
    return CommandGuard("secret", ("python3", "hidden/check.py"), 20.0, {"hidden": tmp_path / "hidden"}, **fields)


@pytest.mark.parametrize("fields", [{"private": ("hidden",)}, {}])
def test_a_version_cannot_replace_what_a_guard_reads(tmp_path: Path, fields: dict[str, Any]) -> None:
    version = SourceTree({"run.sh": "echo loss: 1; test ! -e hidden\n", "hidden/check.py": ""}).text
    guard = guard_of(tmp_path, **fields)
    result = measure_text(version, guards=(guard,), private=fields.get("private", ()))
    assert (result.outcome, result.passed) == ("invalid", False), result.reason
    assert "guard secret fails" in result.reason


def test_what_is_read_replaces_what_the_base_and_the_version_have(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("3\n")
    version = SourceTree({"run.sh": 'echo "loss: $(cat answers.txt)"', "made/x": "4"}).text
    read = {"./answers.txt": tmp_path / "more", "made": tmp_path}
    result = measure_text(version, read=read)
    assert (result.outcome, result.val_bpb) == ("ok", 3.0), result.reason
    version = SourceTree({"run.sh": 'echo "loss: $(cat made/more)"', "made": "4"}).text
    assert measure_text(version, made={"made": tmp_path}).val_bpb == 3.0


def test_the_scorer_sees_no_folder_of_the_version(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("5\n")
    version = SourceTree({"run.sh": 'echo 3 > "$2/o.txt"', "answers/secret": "1", "json/x.sh": ""}).text
    scorer = 'test ! -e json && echo "loss: $(cat answers/secret)"'
    score = Step(("sh", "-c", scorer, "sh", "{in}"), 20.0, {"answers": tmp_path})
    result = measure_text(version, score=score, outputs=("o.txt",), private=("answers",))
    assert (result.outcome, result.val_bpb) == ("ok", 5.0), result.reason


def test_a_link_of_the_base_leads_to_nothing_that_is_removed(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("42\n")

    def export(folder: Path) -> None:
        exporter(LOCKED | {"run.sh": "echo loss: 1\n"})(folder)
        (folder / "data").symlink_to(tmp_path)

    step = Step(("./bench.sh",), 20.0, {"data/answers": tmp_path / "answers"})
    spec = CommandSpec(step, "loss", private=("data/answers", "."), regex=r"^loss: (\S+)")
    referee = CommandReferee(Settings(Budget(20.0, "s"), memory=1 << 30), spec, export)
    result = referee.measure(SourceTree({"run.sh": "echo loss: 1\n"}).text, 1)
    referee.close()
    assert result.outcome == "ok", result.reason
    assert (tmp_path / "answers").read_text() == "42\n" and not (tmp_path / "answers").is_symlink()


def test_a_base_that_was_half_written_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tries = []

    def export(folder: Path) -> None:
        tries.append(folder)
        exporter(LOCKED if len(tries) > 1 else {"bench.sh": ""})(folder)
        if len(tries) == 1:
            raise OSError("no space left on device")

    spec = CommandSpec(Step(("./bench.sh",), 20.0, {}), "loss", regex=r"^loss: (\S+)")
    referee = CommandReferee(Settings(Budget(20.0, "s"), memory=1 << 30), spec, export)
    with pytest.raises(OSError, match="no space"):
        referee.measure(SourceTree({"run.sh": "echo loss: 1\n"}).text, 1)
    assert list(tmp_path.iterdir()) == []
    for seed in (2, 3):
        result = referee.measure(SourceTree({"run.sh": "echo loss: 1\n"}).text, seed)
        assert (result.outcome, result.val_bpb, len(tries)) == ("ok", 1.0, 2), result.reason
    referee.close()
    referee.close()
    assert not tries[1].exists()


def test_what_stays_of_a_killed_program_can_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spec = CommandSpec(Step(("./bench.sh",), 20.0, {}), "loss", regex=r"^loss: (\S+)")
    referee = CommandReferee(Settings(Budget(20.0, "s"), memory=1 << 30), spec, exporter(LOCKED))
    seen = set[str]()
    plan = TrialPlan(watch=lambda progress: seen.update(path.name for path in tmp_path.iterdir()))
    assert referee.measure(SourceTree({"run.sh": "sleep 0.2; echo loss: 1\n"}).text, 1, plan).outcome == "ok"
    assert len(seen) == 3 and all(LEFTOVER.fullmatch(name) for name in seen)
    referee.close()


def test_a_trial_that_fails_has_taken_its_time() -> None:
    failed = measure("sleep 0.5; exit 1")
    assert failed.outcome == "crash" and 0.5 <= failed.train_seconds <= failed.total_seconds
    scorer = scored('echo 3 > "$2/o.txt"', "sleep 0.5; exit 1")
    assert scorer.outcome == "crash" and scorer.score_seconds >= 0.5
    assert scorer.train_seconds + scorer.score_seconds <= scorer.total_seconds


def test_a_group_that_does_not_match_is_no_number() -> None:
    guard = NumberGuard("late", Limit(1.0, is_upper=True), regex=r"^late( \S+)?")
    result = measure("echo late; echo late 3; echo loss: 1; echo loss:", guards=(guard,), regex=r"^loss:( \S+)?$")
    assert (result.outcome, result.val_bpb, result.guards) == ("ok", 1.0, {"late": 3.0}), result.reason


def test_a_character_that_utf8_cannot_hold_is_measured_as_git_has_it() -> None:
    result = measure("echo loss: 1 # \ud800")
    assert (result.outcome, result.val_bpb) == ("ok", 1.0), result.reason
