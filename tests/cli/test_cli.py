"""The command line: exit codes, one line for each thing that a user can mend, help, messages, what is shown."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cells import CORE
from support.programs import autoresearch, call_main
from support.repositories import BIGRAM, git

from autoresearch.errors import describe_install
from autoresearch.ledger import Ledger
from autoresearch.setup.slots import choose, lock

NIGHT = [
    "init",
    "doctor",
    "prepare",
    "plan",
    "run",
    "watch",
    "status",
    "log",
    "show",
    "diff",
    "best",
    "report",
    "total",
]
PYTHONPATH = [path for path in [os.environ.get("PYTHONPATH")] if path]
Fails = Callable[[Path, str, int, str], None]
Says = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_DEVICE", "cpu")


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Says:
    """Calls a command in this process, which is much faster: its exit code, stdout and stderr."""

    def saying(folder: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        code = call_main(monkeypatch, *arguments)
        out, err = capfd.readouterr()
        return code, out, err

    return saying


@pytest.fixture
def fails(says: Says) -> Fails:
    """Calls a command in this process: it ends with the exit code, and one line that holds the words."""

    def failing(folder: Path, arguments: str, code: int, words: str) -> None:
        ended, out, err = says(folder, *arguments.split())
        assert (ended, out) == (code, ""), err
        assert words in err and len(err.splitlines()) == 1 and err.startswith("autoresearch: ")

    return failing


@pytest.mark.parametrize(("arguments", "code"), [("log", 3), ("trial absent.py", 1), ("prepare --source gopher", 2)])
def test_the_real_program_ends_with_one_line_and_the_exit_code(tmp_path: Path, arguments: str, code: int) -> None:
    done = autoresearch(tmp_path, *arguments.split())
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1), done.stderr


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    """`--help` has to be there at once: what a command needs is imported when it runs."""
    code = """import sys, autoresearch.cli
heavy = {"torch", "anthropic", "optuna", "matplotlib", "starlette", "uvicorn"}
heavy |= {"numpy", "pydantic", "git", "yaml", "sqlite3", "filelock"}
ours = {name for name in sys.modules if name.startswith("autoresearch.")}
others = {name for name in ours if not name.startswith(("autoresearch.cli", "autoresearch.errors"))}
print(sorted(heavy & set(sys.modules)), sorted(others))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_help_names_every_command_and_all_options_are_explained() -> None:
    from typer.main import get_command

    from autoresearch.cli.app import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in commands if name in NIGHT] == NIGHT
    for name, command in commands.items():
        assert command.help and command.help.endswith("."), name
        unexplained = [p.name for p in command.params if p.param_type_name == "option" and not p.help]
        assert not unexplained, (name, unexplained)


def test_help_shows_examples_and_what_is_required_but_no_type_of_a_flag(tmp_path: Path, says: Says) -> None:
    _, main, _ = says(tmp_path, "--help")
    _, run, _ = says(tmp_path, "run", "--help")
    _, diff, _ = says(tmp_path, "diff", "--help")
    assert "<bool>" not in main + run + diff and "BOOL" not in main + run + diff
    assert "autoresearch run --hours 8" in run and "[required]" in diff and "Examples:" in diff


def test_words_that_are_no_command_or_no_value_are_exit_code_2(tmp_path: Path, says: Says) -> None:
    for arguments, words in (
        ("nonsense", "No such command"),
        ("show x", "Invalid value"),
        ("diff", "Missing argument"),
    ):
        code, _, err = says(tmp_path, *arguments.split())
        assert code == 2 and words in err and "Traceback" not in err


NEED_TRAIN = [
    *[
        "run",
        "run --from a",
        "plan",
        "trial",
        "status --json",
        "watch",
        "log",
        "show 1",
        "diff 1",
        "best",
        "best --write",
    ],
    *["report", "serve", "sessions", "total", "reproduce 1", "export --tsv x", "sample", "ablate", "revert 1"],
    *["review 1 --accept", "note hello", "pause", "unpause", "stop", "remove t --yes", "doctor --ledger"],
]


@pytest.mark.parametrize("command", NEED_TRAIN)
def test_a_place_without_a_train_file(tmp_path: Path, command: str, fails: Fails) -> None:
    words = "no train.py here: cd to your project, or `autoresearch init`"
    fails(tmp_path, command, 3, words)
    git(tmp_path, "init", "-q")
    fails(tmp_path, command, 3, words)
    (tmp_path / "README").touch()
    git(tmp_path, "add", "README")
    git(tmp_path, "commit", "-qm", "something else")
    fails(tmp_path, command, 3, words)
    assert git(tmp_path, "status", "--porcelain", "--ignored") == ""


@pytest.mark.parametrize("command", ["run", "log"])
def test_a_train_file_that_is_not_in_a_repository(tmp_path: Path, command: str, fails: Fails) -> None:
    (tmp_path / "train.py").write_text(BIGRAM)
    fails(tmp_path, command, 3, "is not in a git repository: `autoresearch init` makes one")


@pytest.mark.parametrize("command", ["log", "status", "show 1", "note hello", "stop", "doctor --ledger"])
def test_no_session_yet(repository: Path, command: str, fails: Fails) -> None:
    fails(repository, command, 1, "start one with `autoresearch run`")
    assert not (repository / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--budget soon", "write it as 5m, 300s, 15cpu or 200steps"),
        ("--device gpu", "--device: "),
        ("--hours 0", "--hours: "),
        ("--hours inf", "--hours: "),
        ("--minutes -3", "--minutes: -3 should be a number greater than 0"),
        ("--minutes 3 --hours 1", "--hours and --minutes are both given"),
        ("--minutes 3 --until 07:00", "--until and --minutes are both given"),
        ("--until noon", "--until: should be a time of day"),
        ("--judge kind", "--judge: "),
        ("--max-experiments 0", "--max-experiments: "),
        ("--agent nobody", "there is no agent `nobody`: use `auto`, `sweep`"),
        ("--agent scripted:nowhere", "there is no folder nowhere"),
        ("--agent scripted:empty", "has no proposals: put NN-name.patch"),
        ("--tag a/../b", "cannot be a tag: use letters"),
    ],
)
def test_run_called_wrongly_leaves_nothing_behind(repository: Path, arguments: str, words: str, fails: Fails) -> None:
    (repository / "empty").mkdir()
    fails(repository, f"run {arguments}", 2, words)
    assert not (repository / "runs").exists()


@pytest.mark.parametrize("hours", ["inf", "nan", "1e300"])
@pytest.mark.parametrize("command", ["doctor", "compare a b --plan"])
def test_a_night_without_an_end_is_not_forecast(command: str, hours: str, finished: Path, says: Says) -> None:
    code, out, err = says(finished, *command.split(), "--hours", hours)
    assert (code, out) == (2, "") and "Traceback" not in err and "'--hours'" in err


def test_a_log_that_is_not_there_is_named_with_what_to_do(tmp_path: Path, fails: Fails) -> None:
    fails(tmp_path, "judge nofile", 1, "there is no file nofile: name a log of experiments")


@pytest.mark.parametrize(
    ("yaml", "words"), [("a: [\n", "cannot be read"), ("- 1\n", "`name: value` lines"), ("budgget: 5m\n", "budgget")]
)
def test_a_settings_file_that_cannot_be_read(repository: Path, yaml: str, words: str, fails: Fails) -> None:
    (repository / "autoresearch.yaml").write_text(yaml)
    fails(repository, "run", 2, words)


def test_a_variable_that_nobody_reads_is_told(
    repository: Path, settings_of: dict[str, str], says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (settings_of | {"AUTORESEARCH_MAX_COST": "5"}).items():
        monkeypatch.setenv(name, value)
    code, out, err = says(repository, "prepare")
    assert code == 0 and "warning: AUTORESEARCH_MAX_COST is set, but nothing reads it" in err
    assert len(out.splitlines()) == 1


def test_a_prepare_of_the_users_own_is_not_executed(repository: Path, settings_of: dict[str, str]) -> None:
    (repository / "prepare.py").write_text("raise SystemExit('executed')\n")
    done = autoresearch(repository, "prepare", env=settings_of | {"PYTHONPATH": os.pathsep.join([".", *PYTHONPATH])})
    assert done.returncode == 0 and "executed" not in done.stderr, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_a_base_that_is_not_there_or_not_committed(tmp_path: Path, fails: Fails) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text(BIGRAM)
    fails(tmp_path, "run", 3, "has no commit yet: `git add train.py && git commit")
    (tmp_path / "program.md").write_text("Lower.\n")
    git(tmp_path, "add", "program.md")
    git(tmp_path, "commit", "-qm", "only this")
    fails(tmp_path, "run", 3, "train.py is not committed: `git add train.py && git commit")
    (tmp_path / "train.py").unlink()
    fails(tmp_path, "run", 3, "no train.py here")


def test_a_model_without_a_key(repository: Path, fails: Fails) -> None:
    fails(repository, "run --agent claude", 3, "set ANTHROPIC_API_KEY")


def test_a_ledger_that_is_none(repository: Path, fails: Fails) -> None:
    (repository / "runs").mkdir()
    (repository / "runs" / "ledger.db").write_bytes(b"no database at all" * 100)
    for command in ("status", "note hello", "doctor --ledger"):
        fails(repository, command, 1, "is damaged (file is not a database): save what is left")


@pytest.mark.parametrize(
    "command",
    ["show {n}", "diff {n}", "diff 0 {n}", "review {n} --accept", "reproduce {n}", "sample {n}", "revert {n}"],
)
def test_a_number_that_no_experiment_has(finished: Path, fails: Fails, command: str) -> None:
    fails(finished, command.format(n=99999999999999999999), 1, "session t has no" if "re" not in command else "")


@pytest.mark.parametrize("by", ["category", "arm"])
def test_sums_are_of_all_verdicts(finished: Path, fails: Fails, by: str) -> None:
    fails(finished, f"log --by {by} --verdict crash", 2, "leave out --verdict")


def test_trials_of_what_is_no_program(tmp_path: Path, fails: Fails) -> None:
    (tmp_path / "latin.py").write_bytes("é = 1".encode("latin-1"))
    for name, words in (("absent.py", "No such file"), (".", "Is a directory"), ("latin.py", "not UTF-8")):
        fails(tmp_path, f"trial {name}", 1, words)


@pytest.mark.slow
def test_data_that_is_read_too_often_is_told(tmp_path: Path, settings_of: dict[str, str]) -> None:
    (tmp_path / "train.py").write_text(BIGRAM.replace("BATCH = 8", "BATCH = 1000"))
    done = autoresearch(tmp_path, "trial", "--json", env=settings_of)
    told = re.search(r"read (\d+\.\d) times", done.stderr)
    assert told and float(told[1]) == round(json.loads(done.stdout)["reported"]["epochs"], 1) > 4
    (tmp_path / "train.py").write_text(BIGRAM)
    assert autoresearch(tmp_path, "trial", env=settings_of).stderr == ""


@pytest.mark.slow
def test_trial_measures_the_file_of_the_settings_wherever_it_is_called(
    repository: Path, settings_of: dict[str, str]
) -> None:
    (repository / "train.py").rename(repository / "model.py")
    (repository / "autoresearch.yaml").write_text("train: model.py\n")
    (repository / "notes").mkdir()
    done = autoresearch(repository / "notes", "trial", env=settings_of)
    assert done.returncode == 0 and "val_bpb" in done.stdout, done.stderr


@pytest.mark.slow
def test_trial_and_prepare_work_outside_of_a_repository(tmp_path: Path, settings_of: dict[str, str]) -> None:
    (tmp_path / "train.py").write_text(BIGRAM)
    done = autoresearch(tmp_path, "prepare", env=settings_of)
    assert done.returncode == 0 and Path(done.stdout.strip()).is_dir()
    done = autoresearch(tmp_path, "trial", env=settings_of)
    assert done.returncode == 0 and re.search(r"^val_bpb: +\d\.\d{6}$", done.stdout, re.MULTILINE)
    (tmp_path / "train.py").write_text(BIGRAM.replace("step += 1", "raise ValueError('no luck')"))
    done = autoresearch(tmp_path, "trial", env=settings_of)
    assert done.returncode == 1 and re.search(r"^outcome: +crash$", done.stdout, re.MULTILINE)
    assert re.search(r"^val_bpb: +-$", done.stdout, re.MULTILINE) and "no luck" in done.stderr


def test_a_session_that_is_over_looked_at(finished: Path, says: Says) -> None:
    def shown(*arguments: str) -> str:
        code, out, err = says(finished, *arguments)
        assert (code, err) == (0, "")
        return out

    status = shown("status")
    assert "state       ended: agent exhausted" in status and "experiments 2: 1 discard, 1 keep" in status
    assert re.search(
        r"^val_bpb +\d\.\d{4} -> \d\.\d{4} \(-\d\.\d{4} as the search saw it, sigma \d\.\d{4}\),"
        r" experiment 1, [0-9a-f]{7}$",
        status,
        re.M,
    )
    assert re.search(r"^started +\d\d:\d\d \(.* ago\)$", status, re.M) and re.search(
        r"^time .*: \w+ \d+ %", status, re.M
    )
    kept = shown("log").splitlines()
    assert [line.split()[0] for line in kept] == ["n", "0", "1"]
    everything = shown("log", "--all").splitlines()
    assert [line.split()[0] for line in everything] == ["n", "0", "1", "2"]
    one = shown("show", "1")
    assert "\nkeep: " in one and "-SMOOTHING = 0.5 " in one and one.count("\nrerun ") >= 1
    assert "--- brief" in shown("show", "1", "--trace")


def test_show_has_what_train_py_printed_last_as_a_quote(finished: Path, says: Says) -> None:
    log = max((finished / "runs" / "t" / "1").glob("trial-*.log"), key=lambda path: int(path.stem[6:]))
    log.write_text("early\n" + "".join(f"{k} \x1b[31mloud\n" for k in range(20)))
    shown = says(finished, "show", "1")[1]
    assert "what train.py printed last" in shown and "> 19 loud" in shown and "early" not in shown
    assert json.loads(says(finished, "show", "1", "--json")[1])["prints"] == [f"{k} loud" for k in range(20)]


def test_versions_compared_and_the_incumbent_taken_over(finished: Path, says: Says, fails: Fails) -> None:
    patch = says(finished, "diff", "0", "1")[1]
    assert "-SMOOTHING = 0.5 " in patch and "+SMOOTHING = 0.02 " in patch
    (finished / "train.py").write_text(git(finished, "show", "refs/autoresearch/t/0:train.py"))
    (finished / "change.diff").write_text(patch)
    git(finished, "apply", "change.diff")
    text = says(finished, "best")[1]
    assert (finished / "train.py").read_text() == text == git(finished, "show", "refs/autoresearch/t/best:train.py")
    git(finished, "checkout", "-q", "train.py")
    assert says(finished, "diff", "1", "1")[1] == ""
    assert says(finished, "diff", "1")[1] == patch, "without a second number, the change to its parent"
    assert says(finished, "show")[1].startswith("experiment 1, ")
    fails(finished, "diff 0", 2, "experiment 0 is the base, without a parent")
    fails(finished, "diff 0 99", 1, "session t has no experiment 99")


def test_the_log_of_one_verdict(finished: Path, says: Says, fails: Fails) -> None:
    assert [line.split()[0] for line in says(finished, "log", "--verdict", "discard")[1].splitlines()] == ["n", "2"]
    assert [row["n"] for row in json.loads(says(finished, "log", "--verdict", "discard", "--json")[1])] == [2]
    assert says(finished, "log", "--verdict", "crash")[1] == "no experiment has the verdict crash\n"
    assert says(finished, "log", "--verdict", "crash", "--all")[1] == "no experiment has the verdict crash\n"
    assert says(finished, "log", "--since", "99")[1] == "nothing was kept since 99: --all lists all experiments\n"
    assert says(finished, "log", "--since", "99", "--all")[1] == "nothing was tried since 99\n"
    fails(finished, "log --verdict great", 2, "there is no verdict `great`: use keep, discard")


def test_words_of_a_program_in_a_subfolder(finished: Path, says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    (finished / "goals").mkdir()
    (finished / "program.md").rename(finished / "goals" / "night.md")
    monkeypatch.setenv("AUTORESEARCH_PROGRAM", "goals/night.md")
    code, out, err = says(finished, "log", "--by", "program", "--json")
    (finished / "goals" / "night.md").rename(finished / "program.md")
    assert (code, [group["text"] for group in json.loads(out)]) == (0, ["Lower val_bpb."]), err


def test_escape_codes_of_an_agent_do_not_reach_the_terminal(finished: Path, says: Says, tmp_path: Path) -> None:
    root = shutil.copytree(finished, tmp_path / "copy")
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil"
    with Ledger.open(root / "runs" / "ledger.db") as store:
        for n in (1, 2):
            store.connection.execute(
                "UPDATE experiments SET hypothesis = ?, reason = ?, category = ? WHERE n = ?", (evil, evil, evil, n)
            )
        store.connection.execute("UPDATE sessions SET agent = ?, branch = ?, stop_reason = ?", (evil, evil, evil))
        store.event(1, "verdict", evil, n=1, data={"verdict": evil})
    (root / "runs/t/1/patch.diff").write_text(f"+{evil}\n")
    (root / "runs/t/1/trace.jsonl").write_text(json.dumps({"kind": evil, "text": evil}) + "\n")
    for command in ("log --all", "show 1", "show 1 --trace", "log --by category", "status", "watch"):
        shown = says(root, *command.split())[1]
        assert "evil" in shown and not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown), command


def test_sessions_and_experiments_that_are_not_there(finished: Path, fails: Fails) -> None:
    fails(finished, "status --tag other", 1, "there is no session `other`; there is t")
    fails(finished, "show 99", 1, "session t has no experiment 99: see `autoresearch log --all`")
    fails(finished, "run --from other", 1, "there is no session `other`; there is t")


def test_messages_to_a_session_that_is_over(finished: Path, fails: Fails, says: Says) -> None:
    for kind in ("pause", "unpause", "stop"):
        fails(finished, kind, 1, f"session t is not running (ended): there is nothing to {kind}")
    code, out, err = says(finished, "note", "try a longer warmdown")
    assert (code, out) == (0, "")
    assert "session t is not running: it reads the note when `autoresearch run --tag t` continues it" in err
    assert "follows no notes; language models do" in err  # its agent is scripted
    code, _, err = says(finished, "note", " ")
    assert code == 2 and "the note is empty" in err


def test_half_a_trace_and_what_json_has_no_word_for(finished: Path, says: Says) -> None:
    trace = finished / "runs/t/2/trace.jsonl"
    trace.write_text('{"kind": "call", "confidence": NaN}\n{"kind": "rat')
    shown = json.loads(says(finished, "show", "2", "--json")[1])["trace"]
    assert shown == [{"kind": "call", "confidence": None}, {"kind": "damaged", "text": '{"kind": "rat'}]
    assert "--- damaged" in says(finished, "show", "2", "--trace")[1]


def test_json_is_alone_on_stdout(finished: Path, says: Says) -> None:
    for command in ("status", "log", "show 1"):
        json.loads(says(finished, *command.split(), "--json")[1])


def test_what_is_looked_at_often_does_not_wait_for_numpy(finished: Path) -> None:
    code = "import sys; from autoresearch.cli import app; app(standalone_mode=False); sys.exit('numpy' in sys.modules)"
    for command in ("log", "status"):
        done = subprocess.run(
            [sys.executable, "-c", code, command], cwd=finished, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", ["run", "trial", "plan"])
def test_a_script_without_the_contract_is_a_blocker_before_anything_is_prepared(
    fails: Fails, repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: str
) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    (repository / "train.py").write_text("for step in range(100):\n    pass\n")
    git(repository, "commit", "-qam", "a script")
    fails(repository, arguments, 3, " has no function `train`: it needs `train(trial)` and `load(")
    assert not (tmp_path / "cache").exists() and not (repository / "runs").exists()


def test_programs_are_told_of_it_too(says: Says, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print 1\n")
    code, out, err = says(tmp_path, "trial", "script.py", "--json")
    assert code == 3 and json.loads(out)["outcome"] == "crash" and "script.py does not parse" in err


def test_arguments_are_checked_before_the_slot(
    finished: Path, settings_of: dict[str, str], monkeypatch: pytest.MonkeyPatch, fails: Fails
) -> None:
    for name, value in settings_of.items():
        monkeypatch.setenv(name, value)
    with lock(choose("cpu", 1, [CORE])):
        fails(finished, "reproduce 99", 1, "experiment 99 has no score that could be reproduced")
        fails(finished, "sample absent.safetensors", 1, "absent.safetensors cannot be read")
        fails(finished, "trial absent.py", 1, "absent.py cannot be read")
        fails(finished, "total --slots 99", 2, "there is no slot 99")
        fails(finished, "reproduce 1", 3, f"(process {os.getpid()}, `")


@pytest.mark.parametrize(
    ("pip", "words"), [(True, "python -m pip install pyarrow`"), (False, "`uv pip install --python ")]
)
def test_what_is_missing_is_installed_beside_the_program(
    pip: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool of uv has no pip of its own."""
    monkeypatch.setattr(sys, "path", sys.path if pip else [])
    monkeypatch.delitem(sys.modules, "pip", raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/tools/autoresearch/bin/python")
    assert words in describe_install("pyarrow")
